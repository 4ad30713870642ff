"""Whatever happens to a recorded program: it goes on as if it were alone, and the report says what
could not be recorded."""

import os
import random
import resource
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import harness
import heap
import pytest

KILLS = 100 if harness.FULL else 12
THREADS = 8
# one block each; more than two batches beyond any limit below
STACKS = 50000 if harness.FULL else 10000
# what heap_threads busy asks for
SIZES = {*range(16, 16 + 1024), *range(2048, 2048 + 512)}


def start(path, program, *args, **environment):
    env = heap.shim_environment(path, **environment)
    env["CPROF_HEAP_FOLLOW"] = "all"
    return subprocess.Popen(
        heap.program_command(program, *args),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
    )


def wait_ready(process):
    assert process.stdout.readline() == b"ready\n", process.stderr.read()


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_program_leaves_a_consistent_file(tmp_path, seed):
    """SIGKILL at a random moment of 8 threads that do nothing but allocate and free."""
    path = tmp_path / "busy.cprof-heap"
    with start(path, "heap_threads", "busy") as process:
        wait_ready(process)
        time.sleep(random.Random(seed).uniform(0.01, 0.2))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    checked = heap.Checked(path)
    checked.assert_consistent(threads=THREADS)
    off = checked["alloc_bytes"] - checked["free_bytes"] - checked["live_bytes"]
    assert abs(off) <= THREADS * max(SIZES)
    own = heap.own_lines(checked.sites, ())
    impossible = [b for b in checked.blocks if b[2] in own and b[0] not in SIZES]
    assert not impossible
    # a thread that was not scheduled for long, within the table: counted, with what follows from it
    assert set(checked.losses) <= {"loss_lock", "loss_missed_free"}
    assert len(checked.blocks) <= THREADS * 128 + 64
    told = heap.report(path)
    assert told["target"]["state"] == "killed"
    assert told["totals"]["blocks"] == checked["live_blocks"]
    assert abs(told["losses"]["difference_blocks"]) <= THREADS


def test_full_table(tmp_path):
    """The limit is a multiple of 4096 blocks; what is beyond it is counted, not forgotten."""
    run = heap.run_program(tmp_path, "heap_stacks", "many", STACKS, CPROF_HEAP_MAX_BLOCKS=4096)
    assert run.truth.facts["stacks"] == STACKS
    told = heap.report(run.path)
    losses = told["losses"]
    assert losses["frozen"] and told["verdict"]["at_least"]
    assert told["totals"]["blocks"] <= 4096
    assert told["totals"]["blocks"] + losses["table_full"] == STACKS
    assert "at least" in harness.cprof("heap", "report", run.path).stdout


def test_too_many_sites(tmp_path):
    run = heap.run_program(tmp_path, "heap_stacks", "many", STACKS, CPROF_HEAP_MAX_SITES=1000)
    told = heap.report(run.path, "--limit", 10)
    assert told["losses"]["frozen"]
    assert told["totals"]["blocks"] == STACKS, "blocks of further sites are there, without a stack"
    assert told["losses"]["sites_full"] >= STACKS - 1000


@pytest.fixture
def small_disk():
    with tempfile.TemporaryDirectory(prefix="cprof-heap-disk-") as place:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=True)
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", "-l", place], check=True)


def test_full_disk(small_disk):
    """No SIGBUS, no error in the program; what did not fit is told."""
    run = heap.run_program(small_disk, "heap_stacks", "many", 50000)
    assert run.truth.ends == 1
    told = heap.report(run.path, "--limit", 10)
    losses = told["losses"]
    assert losses["frozen"] and losses["no_space"] > 0
    assert 0 < told["totals"]["blocks"] < 50000
    assert told["totals"]["blocks"] + losses["no_space"] >= 50000
    # what is without its stack is so because of the disk, not of a limit
    assert losses["sites_full"] == 0
    text = harness.cprof("heap", "report", run.path).stdout
    assert "at least" in text and "the file system was full" in text
    assert "CPROF_HEAP_MAX_" not in text.replace("when full (CPROF_HEAP_MAX_BLOCKS)", "")


def test_limit_on_file_sizes(tmp_path):
    """A program with RLIMIT_FSIZE neither gets SIGXFSZ nor misses anything."""
    path = tmp_path / "limited.cprof-heap"
    done = subprocess.run(
        ["prlimit", "--fsize=1000000", *heap.program_command("heap_time", "growth")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=heap.shim_environment(path) | {"CPROF_HEAP_FOLLOW": "all"},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and heap.Truth(done.stdout.decode()).ends == 1
    # prlimit itself is recorded too, before it limits itself and becomes the program
    for file in tmp_path.glob("*.cprof-heap"):
        heap.Checked(file).assert_consistent()


def test_deleted_file(tmp_path):
    """A running process's file, deleted: it is still read through the process."""
    path = tmp_path / "gone.cprof-heap"
    with start(path, "heap_threads", "busy") as process:
        try:
            wait_ready(process)
            path.unlink()
            told = heap.report("-p", process.pid)
            assert told["target"]["state"] == "running"
            assert told["totals"]["blocks"] > 0
        finally:
            process.kill()


def test_all_descriptors_closed(tmp_path):
    run = heap.run_program(tmp_path, "heap_processes", "daemon")
    assert heap.report(run.path)["losses"]["no_space"] == 0
    assert heap.add_up(heap.sums_by_report(run.path)[0].values()) == run.truth.total()


def test_strict_seccomp(tmp_path):
    """With a file that is made whole at the start, nothing but read and write is called."""
    run = heap.run_program(tmp_path, "heap_processes", "strict", CPROF_HEAP_POPULATE=1)
    assert run.output == "strict\n"
    sums, _, told = heap.sums_by_report(run.path)
    blocks = {line.function: s.blocks for line, s in sums.items()}
    assert blocks["strict_make"] == 100 and blocks["parent_make"] == 1
    assert told["target"]["state"] == "killed"


def test_report_of_a_running_process(tmp_path):
    """Two snapshots of a process that runs on: what it says, at both."""
    path = tmp_path / "live.cprof-heap"
    with start(path, "heap_time", "live") as process:

        try:
            for step in range(3):
                text = ""
                while not text.endswith("end\n"):
                    text += process.stdout.readline().decode()
                sums, _, told = heap.sums_by_report(path)
                assert sums == heap.Truth(text).sites, step
                assert told["target"]["state"] == "running"
                by_pid = heap.report("-p", process.pid)
                assert by_pid["totals"] == told["totals"] | {
                    key: by_pid["totals"][key] for key in ("oldest_age_ns",)
                }
                process.stdin.write(b"x")
                process.stdin.flush()
        finally:
            process.kill()


def test_forked_child_leaves_the_file_alone(tmp_path):
    """Without --follow=all there is one file, with the parent's blocks alone."""
    run = heap.run_program(tmp_path, "heap_processes", "fork")
    assert [file.name for file in tmp_path.iterdir()] == [run.path.name]
    assert heap.sums_by_report(run.path)[0] == run.truth.sites


def test_each_followed_child_has_a_file(tmp_path):
    env = heap.shim_environment(tmp_path / "%p.cprof-heap") | {"CPROF_HEAP_FOLLOW": "all"}
    done = subprocess.run(
        heap.program_command("heap_processes", "fork"),
        stdout=subprocess.PIPE,
        env=env,
        timeout=60,
        check=True,
    )
    truth = heap.Truth(done.stdout.decode())
    found = {}
    for file in tmp_path.glob("*.cprof-heap"):
        sums, _, told = heap.sums_by_report(file)
        found[str(told["target"]["pid"])] = sums
        assert file.name == f"{told['target']['pid']}.cprof-heap"
    assert len(found) == 2
    by_function = sorted(
        sorted((line.function, s.blocks) for line, s in sums.items()) for sums in found.values()
    )
    assert by_function == [[("child_make", 1000)], [("parent_make", 11)]]
    assert truth.ends == 1


def test_exec_replaces_the_file(tmp_path):
    """One file for each program that the process was; the truth is the second one's."""
    env = heap.shim_environment(tmp_path / "%p.cprof-heap") | {"CPROF_HEAP_FOLLOW": "all"}
    done = subprocess.run(
        heap.program_command("heap_processes", "exec", heap.PROGRAMS / "heap_basic"),
        stdout=subprocess.PIPE,
        env=env,
        timeout=60,
        check=True,
    )
    truth = heap.Truth(done.stdout.decode())
    sums = {}
    # the process stays the same: the second file's name gets a number
    for file in tmp_path.iterdir():
        own, _, told = heap.sums_by_report(file)
        sums[Path(told["target"]["exe"]).name] = own
    assert sums["heap_basic"] == truth.sites
    assert [s.bytes for s in sums["heap_processes"].values()] == [4444]


def test_limit_on_memory(tmp_path):
    """RLIMIT_AS: where the file's address space is not to be had, the program runs all the same."""
    path = tmp_path / "as.cprof-heap"

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (200 << 20, 200 << 20))

    done = subprocess.run(
        heap.program_command("heap_basic", "plain"),
        stdout=subprocess.PIPE,
        env=heap.shim_environment(path) | {"CPROF_HEAP_FOLLOW": "all"},
        preexec_fn=limit,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and heap.Truth(done.stdout.decode()).ends == 1
    if path.exists():
        heap.Checked(path).assert_consistent()


def test_privileges(tmp_path):
    """A setuid program takes nothing from its environment, and runs."""
    copy = Path("/usr/local/bin") / f"cprof-heap-setuid-{os.getpid()}"
    try:
        copy.write_bytes((heap.PROGRAMS / "heap_processes").read_bytes())
        copy.chmod(0o4755)
        path = tmp_path / "setuid.cprof-heap"
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy, "setuid"],
            stdout=subprocess.PIPE,
            env=heap.shim_environment(path) | {"CPROF_HEAP_FOLLOW": "^cprof-heap"},
            timeout=60,
            check=False,
        )
        assert done.returncode == 0 and heap.Truth(done.stdout.decode()).ends == 1
        assert not path.exists()
    finally:
        copy.unlink(missing_ok=True)
