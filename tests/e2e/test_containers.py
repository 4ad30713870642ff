"""
Targets in containers seen from outside, cprof inside of one that refuses perf, and users without
privileges: the engine that works is found, and names, files and lines are right.
"""

import shutil
import subprocess

import contained
import harness
import pytest
from contained import Contained
from harness import FULL, SAMPLES, SUPPORT, Profile, cprof, marked_lines, record_for, tracers

ENGINES = ["perf", "ptrace"]
# 60 and 30 % of cpu_split; some hundred samples of it, and far fewer on a busy machine.
BURNS = {"burn_a", "burn_b"}
SAMPLES_MIN = 20
MUCH = "--max-overhead=50"


def assert_lines(profile):
    """Functions, files and lines of cpu_split, by the marks in its source."""
    # the loop around it is in the line above
    lines = {line for lines in marked_lines("cpu_split.c").values() for line in lines}
    marks = lines | {line - 1 for line in lines}
    rows = [r for r in profile.hotspots("--by", "line") if r["function"] in BURNS]
    right = [r for r in rows if (r["file"] or "").endswith("/cpu_split.c") and r["line"] in marks]
    assert BURNS == {row["function"] for row in right}
    n, n_right = (sum(row["self_samples"] for row in some) for some in (rows, right))
    # of all samples on a quiet machine; on a busy one stops gather behind system calls
    assert n >= SAMPLES_MIN
    assert n_right > 0.95 * n, rows


def assert_numbers(profile, pid):
    rows = profile.hotspots("--by", "thread")
    assert {row["pid"] for row in rows} == {pid}, rows


def assert_waits(profile, truth):
    """Functions and files of waits, and the address of its lock."""
    rows = {row["function"]: row for row in profile.hotspots()}
    for function in ("wait_lock", "wait_read", "wait_sleep", "run_mixed"):
        assert rows[function]["total_samples"] > 0, function
        assert rows[function]["file"].endswith("/waits.c"), rows[function]
    assert hex(truth["lock_address"]) in {row["lock"] for row in profile.hotspots("--by", "lock")}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "namespaces",
    [
        pytest.param(("mount",), marks=pytest.mark.full),
        pytest.param(("mount", "pid"), marks=pytest.mark.full),
        contained.ALL,
    ],
    ids="+".join,
)
def test_a_program_in_a_container_has_its_names(tmp_path, namespaces, engine):
    """Outside of it the path of the program leads to another one."""
    path = tmp_path / "x.pb.gz"
    with Contained(tmp_path, namespaces, "cpu_split") as target:
        done = record_for(path, target.pid, 3 if FULL else 0.7, "--engine", engine, MUCH)
        assert done.returncode == 0, done.stderr
        assert not tracers(target.pid)
        target.finish()
    profile = Profile(path)
    assert profile.report()["recording"]["engine"] == engine
    assert_lines(profile)
    assert_numbers(profile, target.pid)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["wall", "offcpu"])
def test_threads_that_wait_in_a_container(tmp_path, mode, engine):
    path = tmp_path / "x.pb.gz"
    with Contained(tmp_path, contained.ALL, "waits", "--still", 7) as target:
        done = record_for(path, target.pid, 0.1, "--mode", mode, "--engine", engine, MUCH)
        assert done.returncode == 0, done.stderr
        assert not tracers(target.pid)
        truth = target.finish()
    profile = Profile(path)
    assert profile.report()["recording"]["mode"] == mode
    assert_waits(profile, truth)
    assert_numbers(profile, target.pid)
    assert {row["pid"] for row in profile.hotspots("--by", "lock")} == {target.pid}


def test_doctor_knows_a_container(tmp_path):
    with Contained(tmp_path, contained.ALL, "cpu_split") as target:
        text = cprof("doctor", "-p", target.pid).stdout
    assert "it has its own files or process numbers" in text
    assert "yes, by perf: nothing is stopped" in text
    assert "yes, for --engine=ptrace" in text


def record_inside(path, sample, cpu_seconds, *options, **container):
    found = contained.inside("record", path, cpu_seconds, sample, *options, **container)
    assert not found["tracers"]
    return found


def test_inside_a_container_perf_is_refused_and_ptrace_chosen(tmp_path):
    path = tmp_path / "x.pb.gz"
    found = record_inside(path, "cpu_split", 0.7, MUCH)
    assert found["status"] == 0, found["stderr"]
    assert "perf_event_open is refused" in found["stderr"]
    assert "seccomp filter" in found["stderr"] and "--engine=ptrace" in found["stderr"]
    profile = Profile(path)
    assert profile.report()["recording"]["engine"] == "ptrace"
    assert_lines(profile)
    # theirs, of which there are few
    assert all(row["pid"] < 100 for row in profile.hotspots("--by", "thread"))


@pytest.mark.parametrize("mode", ["wall", pytest.param("offcpu", marks=pytest.mark.full)])
def test_inside_a_container_threads_that_wait_are_seen(tmp_path, mode):
    path = tmp_path / "x.pb.gz"
    found = record_inside(path, "waits", 0.15, MUCH, "--mode", mode)
    assert found["status"] == 0, found["stderr"]
    assert Profile(path).report()["recording"]["engine"] == "ptrace"
    assert_waits(Profile(path), found["truth"])


def test_inside_a_container_a_command_is_recorded(tmp_path):
    path = tmp_path / "x.pb.gz"
    found = contained.inside("command", path, 0.7, "cpu_split", MUCH)
    assert found["status"] == 0, found["stderr"]
    assert "perf_event_open is refused" in found["stderr"]
    assert found["truth"]["cpu_ns"] > 0.6e9
    assert Profile(path).report()["recording"]["engine"] == "ptrace"
    assert_lines(Profile(path))


@pytest.mark.parametrize("mode", ["wall", pytest.param("offcpu", marks=pytest.mark.full)])
def test_the_first_process_of_a_container_from_inside(tmp_path, mode):
    """As with docker exec: the program is number 1, which signals treat otherwise."""
    path = tmp_path / "x.pb.gz"
    with Contained(tmp_path, ("mount", "pid"), "waits") as target:
        command = ["nsenter", "--target", target.pid, "--mount", "--pid", SUPPORT / "refuse_perf"]
        command += [harness.CPROF, "record", "-o", path, "-p", 1, "--mode", mode, MUCH, "-d", 1.5]
        done = subprocess.run(
            list(map(str, command)),
            capture_output=True, text=True, timeout=60, check=False,
            env=harness.cprof_environment(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert not tracers(target.pid)
        truth = target.finish()
    assert "--engine=ptrace" in done.stderr
    assert_waits(Profile(path), truth)
    assert_numbers(Profile(path), 1)


@pytest.mark.parametrize("mode", ["cpu", pytest.param("wall", marks=pytest.mark.full)])
def test_inside_a_container_with_an_old_list_of_system_calls(tmp_path, mode):
    """It refuses those that it does not know: what they are for is done without."""
    path = tmp_path / "x.pb.gz"
    options = (MUCH, "--mode", mode)
    found = record_inside(path, "cpu_split", 0.5, *options, filters=("--old",))
    assert found["status"] == 0, found["stderr"]
    assert_lines(Profile(path))


def test_numbers_of_another_namespace_are_refused(tmp_path):
    """A /proc that is not its own: no number means what it seems to."""
    command = ("unshare", "--pid", "--fork", harness.CPROF)
    options = ("record", "-o", tmp_path / "x", "-d", "1", "-p", "1")
    for arguments in (options, ("doctor",)):
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1
        assert "another PID namespace" in done.stderr and "mount -t proc" in done.stderr
    assert not (tmp_path / "x").exists()


def test_inside_a_container_doctor_says_what_is_missing():
    found = contained.inside("doctor", "cpu_split")
    assert found["status"] == 0, found["stdout"]
    assert "by the seccomp filter that cprof runs under" in found["stdout"]
    assert "--cap-add PERFMON" in found["stdout"]
    assert "a sample stops a thread for" in found["stdout"]
    assert "yes, by ptrace: perf is refused" in found["stdout"]
    assert "Recording works here, by ptrace." in found["stdout"]


REFUSED = {"--ptrace": "ptrace()", "--readv": "process_vm_readv()"}


@pytest.mark.parametrize("refused", REFUSED)
@pytest.mark.parametrize("mode", ["cpu", pytest.param("wall", marks=pytest.mark.full)])
def test_inside_a_container_that_refuses_both_it_says_so_once(tmp_path, refused, mode):
    path = tmp_path / "x.pb.gz"
    found = record_inside(path, "cpu_split", 1, "--mode", mode, filters=(refused,))
    said = found["stderr"]
    assert found["status"] == 1, said
    assert said.count("perf_event_open is refused") == 1
    assert said.count(f"{REFUSED[refused]} is refused by the seccomp filter") == 1, said
    assert "--cap-add SYS_PTRACE" in said
    assert not path.exists()


@pytest.mark.parametrize("refused", REFUSED)
def test_inside_a_container_that_refuses_both_doctor_says_so(refused):
    found = contained.inside("doctor", "cpu_split", filters=(refused,))
    assert found["status"] == 1, found["stdout"]
    assert f"no: {REFUSED[refused]} is refused by the seccomp filter" in found["stdout"]
    assert "--cap-add SYS_PTRACE" in found["stdout"]
    assert found["stdout"].endswith("Recording does not work here: see above.\n")


NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_user_and_a_container_of_theirs(nobody, engine):
    """As containers without root are: the user namespace is the user's own."""
    path = nobody.directory / "x.pb.gz"
    with Contained(nobody.directory, contained.ALL, "cpu_split", user=NOBODY) as target:
        options = ("--engine", engine, MUCH, "-d", 1)
        done = nobody.run("record", "-q", "-o", path, "-p", target.pid, *options)
        assert done.returncode == 0, done.stderr
        assert not tracers(target.pid)
        target.finish()
    assert_lines(Profile(path))
    assert_numbers(Profile(path), target.pid)


@pytest.mark.parametrize(
    "engine, mode",
    [
        ("perf", "wall"),
        ("ptrace", "wall"),
        pytest.param("ptrace", "offcpu", marks=pytest.mark.full),
    ],
)
def test_a_user_sees_own_threads_wait(nobody, engine, mode):
    path = nobody.directory / "x.pb.gz"
    program = nobody.add(SAMPLES / "waits")
    options = ("--engine", engine, "--mode", mode, MUCH)
    done = nobody.run("record", *options, "-o", path, "--", program, "--seconds", 2)
    assert done.returncode == 0, done.stderr
    assert Profile(path).report()["recording"]["engine"] == engine
    assert_waits(Profile(path), harness.find_truth(done.stdout))


def with_settings(directory, settings, *command):
    """Run a command as a user, refused perf, where /proc/sys/kernel has other settings."""
    fake = directory / "kernel"
    shutil.copytree("/proc/sys/kernel", fake, ignore=only_plain_settings)
    for name, value in settings.items():
        (fake / name).parent.mkdir(exist_ok=True)
        (fake / name).write_text(f"{value}\n")
    script = 'mount --bind "$1" /proc/sys/kernel && shift && exec "$@"'
    full = [*contained.unshare(("mount",)), "sh", "-c", script, "sh", fake, *NOBODY]
    full += [SUPPORT / "refuse_perf", *command]
    done = subprocess.run(
        list(map(str, full)),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        cwd=directory, env=harness.cprof_environment(HOME=str(directory)),
    )  # fmt: skip
    harness.assert_sound(done.stderr, str(full))
    return done


def only_plain_settings(directory, names):
    """What cprof looks at; not every setting can be read."""
    return [name for name in names if not name.startswith(("perf_event_", "kptr_"))]


def test_a_user_where_perf_is_for_root_only(nobody):
    """As Debian's own kernels have it."""
    path = nobody.directory / "x.pb.gz"
    program = nobody.add(SAMPLES / "cpu_split")
    command = (nobody.cprof, "record", MUCH, "-o", path, "--", program, "--cpu-seconds", 0.7)
    done = with_settings(nobody.directory, {"perf_event_paranoid": 3}, *command)
    assert done.returncode == 0, done.stderr
    assert "kernel.perf_event_paranoid is 3" in done.stderr
    assert "--engine=ptrace" in done.stderr
    assert_lines(Profile(path))


HIDES = (
    "import ctypes, time; ctypes.CDLL(None).prctl(4, 0); print('ready', flush=True); "
    "time.sleep(99)"
)


@pytest.mark.parametrize(
    "scope, said", [(1, "record -- CMD"), (2, "setcap cap_sys_ptrace=ep"), (3, "a reboot")]
)
def test_yama_is_explained(nobody, scope, said):
    """A process that may not be traced, and a setting that would be the reason."""
    path = nobody.directory / "x.pb.gz"
    command = [*NOBODY, "/usr/bin/python3", "-c", HIDES]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as target:
        try:
            assert target.stdout.readline() == b"ready\n"
            command = (nobody.cprof, "record", "-o", path, "-d", 1, "-p", target.pid)
            settings = {"yama/ptrace_scope": scope}
            done = with_settings(nobody.directory, settings, *command)
        finally:
            target.kill()
    assert done.returncode == 1
    assert f"kernel.yama.ptrace_scope is {scope}" in done.stderr
    assert said in done.stderr
    assert not path.exists()
