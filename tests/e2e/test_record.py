"""`cprof record`: how it begins, ends, and what it exits with."""

import os
import re
import signal
import subprocess
import time

import formats
import harness
import pytest
from harness import Profile, Recorder, Sample, cprof, record_command, wait_until


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_the_commands_status_is_passed_on(tmp_path, status):
    # Starting a program takes a millisecond of CPU time: at 1 Hz that is no sample.
    args = ("-F", 1, "--", harness.SAMPLES / "sample_short", "--exit", status)
    done = cprof("record", "-o", tmp_path / "x.pb.gz", *args, status=status)
    assert "warning: no samples" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSEGV, signal.SIGKILL])
def test_a_commands_signal_is_passed_on_as_128_and_its_number(tmp_path, number):
    sample = harness.SAMPLES / "sample_short"
    args = ("record", "-o", tmp_path / "x.pb.gz", "--", sample, "--signal", int(number))
    cprof(*args, status=128 + number)


def test_a_command_that_does_not_exist(tmp_path):
    done = cprof("record", "-o", tmp_path / "x.pb.gz", "--", "/no/such/program", status=1)
    assert "/no/such/program" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_commands_are_found_in_the_path(tmp_path):
    env = harness.cprof_environment(PATH=f"{harness.SAMPLES}:{os.environ['PATH']}")
    args = ("record", "-o", tmp_path / "x.pb.gz", "--", "sample_short", "--exit", 3)
    cprof(*args, status=3, env=env)


def test_an_idle_target_gives_status_4_and_the_reason(tmp_path):
    path = tmp_path / "idle.pb.gz"
    with Sample("cpu_split", "--hold") as target:
        done = cprof("record", "-o", path, "-d", "1", "-p", target.pid, status=4)
    assert "no samples" in done.stderr
    assert str(target.pid) in done.stderr
    assert re.search(r"sleep|idle|no CPU time", done.stderr)
    # What there is can be read and says the same.
    report = cprof("report", path, status=4)
    assert "no samples" in report.stderr


def test_duration_ends_the_recording_and_leaves_the_target(tmp_path):
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split") as target:
        start = time.monotonic()
        cprof("record", "-o", path, "-d", "1500ms", "-p", target.pid)
        assert 1.5 <= time.monotonic() - start < 15
        assert target.process.poll() is None
        assert target.finish()["cpu_ns"] > 0
    recording = Profile(path).report()["recording"]
    assert 1.4e9 < recording["duration_ns"] < 4e9
    assert recording["state"] == "complete"


def test_duration_with_a_command(tmp_path):
    """The recording ends, the command goes on; it is not ours to end."""
    path = tmp_path / "x.pb.gz"
    sample = harness.SAMPLES / "cpu_split"
    with Recorder("-o", path, "-d", "1", "--", sample, "--seconds", 3) as recorder:
        done = recorder.finish()
    assert Profile(path).report()["recording"]["duration_ns"] < 2.5e9
    assert "burn_a" in done.stderr


def test_sigint_ends_a_recording_and_keeps_it(tmp_path):
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split") as target:
        with Recorder("-o", path, "-p", target.pid) as recorder:
            recorder.wait_attached()
            harness.wait_cpu(target.pid, 1.2)
            recorder.interrupt()
            done = recorder.finish()
        assert target.process.poll() is None
        target.finish()
    profile = Profile(path)
    assert profile.report()["recording"]["state"] == "complete"
    assert profile.samples > 300
    assert "burn_a" in done.stderr


def test_sigterm_does_too(tmp_path):
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split") as target:
        with Recorder("-o", path, "-p", target.pid) as recorder:
            recorder.wait_attached()
            harness.wait_cpu(target.pid, 0.7)
            recorder.process.terminate()
            recorder.finish()
        target.finish()
    assert Profile(path).report()["recording"]["state"] == "complete"


def test_the_targets_end_ends_the_recording(tmp_path):
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split") as target:
        with Recorder("-o", path, "-p", target.pid) as recorder:
            recorder.wait_attached()
            harness.wait_cpu(target.pid, 0.5)
            target.finish()
            start = time.monotonic()
            recorder.finish()
            assert time.monotonic() - start < 10
    assert Profile(path).samples > 50


def test_a_killed_target_ends_the_recording(tmp_path):
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split") as target:
        with Recorder("-o", path, "-p", target.pid) as recorder:
            recorder.wait_attached()
            harness.wait_cpu(target.pid, 0.7)
            target.kill()
            recorder.finish()
    assert Profile(path).samples > 50


def test_two_processes_at_once(tmp_path):
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split") as one, Sample("inlined") as other:
        cprof("record", "-o", path, "-d", "1", "-p", f"{one.pid},{other.pid}")
    names = {row["function"] for row in Profile(path).hotspots()}
    assert "burn_a" in names and "mix_inner" in names
    comms = {frames[0] for frames, _ in Profile(path).folded()}
    assert {"cpu_split", "inlined"} <= comms


def test_an_existing_profile_is_kept_as_old_and_that_is_said(tmp_path):
    path = tmp_path / "cpu_split.pb.gz"
    said = []
    for _ in range(3):
        first = path.read_bytes() if path.exists() else None
        done = record_command(tmp_path, "cpu_split", "--seconds", "0.3").done
        said += [line for line in done.stderr.splitlines() if ".old" in line]
    assert path.with_suffix(".gz.old").read_bytes() == first
    kept = f"cprof: the earlier {path} is kept as {path}.old"
    assert said == [kept, f"{kept}, in the place of the one before"]


def test_the_default_file_is_in_the_working_directory(tmp_path):
    sample = harness.SAMPLES / "cpu_split"
    cprof("record", "--", sample, "--seconds", "0.5", cwd=tmp_path)
    assert (tmp_path / "cprof.pb.gz").exists()
    report = cprof("report", cwd=tmp_path)
    assert "burn_a" in report.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cprof.pb.gz"]


def test_the_summary_names_the_hot_lines_and_the_file(cpu_split):
    line = harness.marked_lines("cpu_split.c")["burn_a"][0]
    assert "burn_a" in cpu_split.done.stderr
    assert f"cpu_split.c:{line}" in cpu_split.done.stderr
    assert str(cpu_split.path) in cpu_split.done.stderr


def test_quiet_is_quiet(tmp_path):
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split") as target:
        done = cprof("record", "-q", "-o", path, "-d", "500ms", "-p", target.pid)
    assert done.stdout == "" and done.stderr == ""


def test_output_to_a_pipe(tmp_path):
    with Sample("cpu_split") as target:
        done = harness.subprocess.run(
            [str(harness.CPROF), "record", "-d", "700ms", "-p", str(target.pid), "-o", "-"],
            stdout=harness.subprocess.PIPE,
            stderr=harness.subprocess.DEVNULL,
            check=True,
            timeout=60,
        )
    path = tmp_path / "piped.pb.gz"
    path.write_bytes(done.stdout)
    assert Profile(path).samples > 100


def test_no_symbols_now_and_symbolized_later(tmp_path):
    profile = record_command(
        tmp_path, "cpu_split", "--seconds", "1", options=("--no-symbols",)
    )
    raw = formats.go_pprof(profile.path, "-raw").stdout
    assert "burn_a" not in raw and "/cpu_split" in raw
    # The report looks names up by itself, and leaves the file as it is.
    before = profile.path.read_bytes()
    assert "burn_a" in {row["function"] for row in profile.hotspots()}
    assert profile.path.read_bytes() == before
    cprof("symbolize", profile.path)
    later = Profile(profile.path)
    names = {name for _, _, name in formats.pprof_top(profile.path)[0]}
    assert {"burn_a", "burn_b", "burn_c", "group_ab", "main"} <= names
    assert later.samples == profile.samples


def test_min_quality_is_a_gate(tmp_path):
    sample = harness.SAMPLES / "cpu_split"
    path = tmp_path / "x.pb.gz"
    args = ("--", sample, "--seconds", "0.5")
    cprof("record", "-o", path, "--min-quality", "90", *args)
    cprof("record", "-o", path, "--min-quality", "90", "--no-symbols", *args, status=3)


def test_what_was_measured_is_on_top(cpu_split):
    text = cprof("report", cpu_split.path).stdout
    head = "\n".join(text.splitlines()[:8])
    event = cpu_split.report()["recording"]["event"]
    assert event in ("cycles", "cpu-clock")
    for fact in ("cpu_split", "999 Hz", event, "1 thread"):
        assert fact in head, head


def test_a_thread_that_ends_before_the_recording_does(tmp_path):
    """Threads come and go in every real server; their samples stay."""
    path = tmp_path / "x.pb.gz"
    with Sample("threads", "--hold", "--late-rounds", 1, "--cpu-seconds", 1) as target:
        with Recorder("-o", path, "-p", target.pid) as recorder:
            recorder.wait_attached()
            target.go()
            target.finish(end=False)
            recorder.finish()
    names = {row["thread"] for row in Profile(path).hotspots("--by", "thread")}
    assert {"worker-0", "worker-1", "worker-2", "late-comer"} <= names


def test_a_second_recorder_of_the_same_target(tmp_path):
    with Sample("cpu_split") as target:
        paths = [tmp_path / "a.pb.gz", tmp_path / "b.pb.gz"]
        recorders = [Recorder("-o", p, "-d", "1", "-p", target.pid) for p in paths]
        for recorder in recorders:
            recorder.finish()
    assert all(Profile(p).samples > 100 for p in paths)


def born_as(pid, command):
    """A process with this id; somebody else on the machine may be faster, now and then."""
    for _ in range(1000):
        with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
            file.write(str(pid - 1))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
    raise AssertionError(f"no process got the id {pid}")


# One child of the command ends, and a stranger gets its id.
LEAVES_A_NUMBER = """
sh -c 'echo $$ > child.new'
mv child.new child
while [ ! -e done ]; do sleep 0.02; done
i=0
while [ $i -lt 300000 ]; do i=$((i + 1)); done
"""


def test_a_stranger_with_the_number_of_a_child_is_a_stranger(tmp_path):
    command = ["sh", "-c", LEAVES_A_NUMBER]
    with Recorder("-q", "-o", "a.pb.gz", "--", *command, cwd=tmp_path) as recorder:
        child = tmp_path / "child"
        wait_until("the child", child.exists)
        stranger = born_as(
            int(child.read_text()), [harness.SAMPLES / "cpu_split", "--cpu-seconds", "0.5"]
        )
        assert stranger.wait(timeout=60) == 0
        (tmp_path / "done").touch()
        recorder.finish()
    profile = Profile(tmp_path / "a.pb.gz")
    samples = {r["comm"]: r["self_samples"] for r in profile.hotspots("--by", "process")}
    assert samples["sh"] > 50
    assert set(samples) <= {"sh", "mv", "sleep"}, samples


def test_the_recorder_releases_everything_it_opened(tmp_path):
    with Sample("cpu_split") as target:
        with Recorder("-o", tmp_path / "x.pb.gz", "-p", target.pid) as recorder:
            recorder.wait_attached()
            recorder.kill()
        wait_until("the target to run on", lambda: target.process.poll() is None)
        truth = target.finish()
    assert truth["sample"] == "cpu_split"
