"""Errors that help: what failed, on what, why, and what to do next. Never a crash."""

import re
import subprocess
import sys

import harness
import pytest
from harness import Sample, cprof


def free_pid():
    """A pid that nobody has: of a process that has ended and was reaped."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_no_such_process(tmp_path):
    pid = free_pid()
    done = cprof("record", "-o", tmp_path / "x.pb.gz", "-p", pid, status=1)
    assert str(pid) in done.stderr
    assert re.search("no such process", done.stderr, re.IGNORECASE)
    assert not (tmp_path / "x.pb.gz").exists()


def test_one_of_two_processes_does_not_exist(tmp_path):
    pid = free_pid()
    with Sample("cpu_split") as target:
        done = cprof("record", "-o", tmp_path / "x.pb.gz", "-p", f"{target.pid},{pid}", status=1)
    assert str(pid) in done.stderr


def test_not_yours(nobody):
    with Sample("cpu_split") as target:
        done = nobody.run("record", "-o", nobody.directory / "x.pb.gz", "-p", target.pid)
    assert done.returncode == 1
    assert str(target.pid) in done.stderr
    assert re.search("permi|not yours|another user|root|sudo", done.stderr, re.IGNORECASE)


def test_recording_a_directory_that_may_not_be_written(nobody):
    program = nobody.add(harness.SAMPLES / "cpu_split")
    done = nobody.run("record", "-o", "/etc/cprof-test.pb.gz", "--", program, "--seconds", 1)
    assert done.returncode == 1
    assert "/etc/cprof-test.pb.gz" in done.stderr
    assert "Permission denied" in done.stderr


def test_unprivileged_recording_of_an_own_command(nobody):
    program = nobody.add(harness.SAMPLES / "cpu_split")
    path = nobody.directory / "x.pb.gz"
    done = nobody.run("record", "-o", path, "--", program, "--cpu-seconds", 1)
    assert done.returncode == 0, done.stderr
    names = {row["function"] for row in harness.Profile(path).hotspots()}
    assert {"burn_a", "burn_b", "burn_c"} <= names


def test_out_of_file_descriptors(tmp_path):
    """32 threads and 20 descriptors: an explanation, or another way that needs fewer."""
    source = "import threading,time\nfor _ in range(32):\n" + (
        " threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "print('ready', flush=True)\ntime.sleep(60)"
    )
    target = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE)
    try:
        target.stdout.readline()
        done = subprocess.run(
            ["prlimit", "--nofile=20:20", str(harness.CPROF), "record", "-d", "1"]
            + ["-o", str(tmp_path / "x.pb.gz"), "-p", str(target.pid)],
            capture_output=True,
            text=True,
            env=harness.cprof_environment(),
            timeout=60,
            check=False,
        )
    finally:
        target.kill()
        target.communicate()
    harness.assert_sound(done.stderr, "20 descriptors")
    assert done.returncode in (1, 4), done.stderr
    if done.returncode == 1:
        assert re.search("descriptor|ulimit|nofile|open files", done.stderr, re.IGNORECASE)


def test_mlock_limit_of_the_unprivileged(nobody):
    """Many rings, no locked memory allowed: still a recording, or what to raise."""
    program = nobody.add(harness.SAMPLES / "threads")
    path = nobody.directory / "x.pb.gz"
    done = nobody.run(
        *("record", "-o", path, "--", program, "--cpu-seconds", "0.5"), limits=("--memlock=0:0",)
    )
    assert done.returncode in (0, 1), done.stderr
    if done.returncode:
        assert re.search("mlock", done.stderr)


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("frobnicate",),
        ("record",),
        ("record", "-p"),
        ("record", "-p", "x"),
        ("record", "-p", "0"),
        ("record", "-p", "-5"),
        ("record", "-F", "0", "--", "true"),
        ("record", "-F", "1000000", "--", "true"),
        ("record", "-d", "soon", "--", "true"),
        ("record", "-p", "1", "--", "true"),
        ("record", "--no-such-option"),
        ("report", "--format", "yaml"),
        ("report", "--by", "colour"),
        ("report", "--limit", "many"),
        ("report", "a", "b"),
        ("report", "--focus", "("),
        ("export", "--format", "png"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2_and_explained(tmp_path, args, cpu_split):
    if "--focus" in args:
        args = (args[0], cpu_split.path, *args[1:])
    done = cprof(*args, status=2, cwd=tmp_path)
    assert done.stderr.strip(), args
    assert done.stdout == ""


def test_help_and_version():
    assert "record" in cprof("--help").stdout
    assert cprof("--version").stdout.startswith("cprof ")
    for command in ("record", "report", "flamegraph", "export", "symbolize", "doctor"):
        assert command in cprof(command, "--help").stdout


def test_doctor_says_which_engine_works(cpu_split):
    text = cprof("doctor").stdout
    assert "perf" in text
    assert cpu_split.report()["recording"]["event"] in text


def test_doctor_of_a_process():
    with Sample("cpu_split") as target:
        assert str(target.pid) in cprof("doctor", "-p", target.pid).stdout


def test_doctor_says_what_the_unprivileged_lack(nobody):
    with Sample("cpu_split") as target:
        done = nobody.run("doctor", "-p", target.pid)
    text = done.stdout + done.stderr
    assert done.returncode in (0, 1), text
    assert "perf_event_paranoid" in text
    assert re.search("sysctl|CAP_PERFMON|cap_perfmon|sudo", text)
