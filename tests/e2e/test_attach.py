"""
Attach to anything: what cannot be recorded is named, what ends or is replaced meanwhile does no
harm, and a recorder that is stopped from its terminal lets the target run.
"""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import contained
import harness
import pytest
from harness import (
    CPROF,
    FULL,
    SAMPLES,
    Profile,
    Recorder,
    Sample,
    cpu_s,
    cprof,
    tracers,
    wait_until,
)

ENGINES = ["perf", "ptrace"]
MODES = ["cpu", "wall", "offcpu"]
PF_KTHREAD = 0x00200000


def fields_of(pid):
    """Those of /proc/PID/stat behind the name."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()


def a_kernel_thread():
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(fields_of(entry.name)[6]) & PF_KTHREAD:
            return int(entry.name)
    raise AssertionError("there is no thread of the kernel")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_thread_of_the_kernel(tmp_path, engine):
    pid = a_kernel_thread()
    done = cprof("record", "-o", tmp_path / "x", "--engine", engine, "-p", pid, status=1)
    assert f"{pid} is a thread of the kernel" in done.stderr
    doctor = cprof("doctor", "-p", pid, status=1)
    assert "no: a thread of the kernel" in doctor.stdout
    assert not (tmp_path / "x").exists()


LOOPS_32 = ".globl _start\n_start:\n\tjmp _start\n"


@pytest.fixture(name="program_32")
def fixture_program_32(tmp_path):
    """Runs in 32-bit mode; without a compiler or libraries for it."""
    source, made = tmp_path / "loops.s", tmp_path / "loops"
    source.write_text(LOOPS_32)
    subprocess.run(["as", "--32", source, "-o", tmp_path / "loops.o"], check=True)
    subprocess.run(["ld", "-m", "elf_i386", tmp_path / "loops.o", "-o", made], check=True)
    with subprocess.Popen([made]) as process:
        wait_until("exec", lambda: os.readlink(f"/proc/{process.pid}/exe") == str(made))
        yield process
        process.kill()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_program_of_another_machine(tmp_path, program_32, engine, mode):
    options = ("--engine", engine, "--mode", mode, "-d", 1)
    pid = program_32.pid
    done = cprof("record", "-o", tmp_path / "x", *options, "-p", pid, status=1)
    assert f"{pid} runs a 32-bit program" in done.stderr
    assert not (tmp_path / "x").exists()
    doctor = cprof("doctor", "-p", pid, status=1)
    assert "no 64-bit x86 program" in doctor.stdout
    assert program_32.poll() is None


def test_a_process_that_ends_meanwhile(tmp_path):
    """All at once: each has a program of its own, which ends in the middle."""
    running = []
    for engine in ENGINES:
        for mode in MODES:
            target = Sample("waits", "--seconds", 600, "--still", 5)
            path = tmp_path / f"{engine}-{mode}.pb.gz"
            options = ("--engine", engine, "--mode", mode, "--max-overhead", 20)
            running.append((target, path, Recorder("-q", "-o", path, "-p", target.pid, *options)))
    try:
        for i, (target, path, _) in enumerate(running):
            wait_until("samples", lambda path=path: path.exists() and path.stat().st_size > 0)
            # killed, or as it ends by itself
            target.kill() if i % 2 else target.finish()
        for _, path, recorder in running:
            recorder.finish(timeout=30)
            assert Profile(path).samples > 0, path
    finally:
        for target, _, recorder in running:
            recorder.kill()
            target.kill()


# In a namespace in which numbers are given out as it is told: the first one's is given again.
REUSE = """
import subprocess, sys, time
from pathlib import Path
cprof, samples, path, engine, mode = sys.argv[1:]
def start(name):
    process = subprocess.Popen([f"{samples}/{name}", "--seconds", "100"], stdout=subprocess.PIPE)
    assert process.stdout.readline().startswith(b"ready")
    return process
def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
def work(process, ticks):
    end = cpu(process.pid) + ticks
    while cpu(process.pid) < end:
        time.sleep(0.02)
first, other = start("cpu_split"), start("inlined")
recorder = subprocess.Popen([cprof, "record", "-q", "--engine", engine, "--mode", mode, "-o", path,
                             "--max-overhead", "20", "-p", f"{first.pid},{other.pid}"])
while not Path(path).exists() or Path(path).stat().st_size == 0:
    assert recorder.poll() is None
    time.sleep(0.02)
first.kill()
first.wait()
for _ in range(100):
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(first.pid - 1))
    second = start("syscall_heavy")
    if second.pid == first.pid:
        break
    second.kill()
    second.wait()
assert second.pid == first.pid
work(second, 20)
work(other, 10)
other.kill()
other.wait()
sys.exit(recorder.wait(30))
"""


@pytest.mark.parametrize(
    "engine, mode",
    [
        ("perf", "cpu"),
        ("ptrace", "wall"),
        pytest.param("perf", "wall", marks=pytest.mark.full),
        pytest.param("perf", "offcpu", marks=pytest.mark.full),
        pytest.param("ptrace", "cpu", marks=pytest.mark.full),
        pytest.param("ptrace", "offcpu", marks=pytest.mark.full),
    ],
)
def test_another_process_with_the_number_of_one_that_ended(tmp_path, engine, mode):
    path = tmp_path / "x.pb.gz"
    command = [*contained.unshare(("mount", "pid")), sys.executable, "-c", REUSE]
    subprocess.run(
        [*command, CPROF, SAMPLES, path, engine, mode],
        check=True, timeout=120, env=harness.cprof_environment(),
    )  # fmt: skip
    commands = {row["comm"] for row in Profile(path).hotspots("--by", "process")}
    if mode == "cpu":
        assert {"cpu_split", "inlined"} <= commands
    assert "syscall_heavy" not in commands
    assert not {"burn_user", "read_zeros"} & {row["function"] for row in Profile(path).hotspots()}


class Terminal:
    """A shell that somebody types into."""

    def __init__(self, directory):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            env = harness.cprof_environment(PS1="$ ", TERM="dumb")
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], env)

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, pattern, timeout=20):
        """Until it is in what was printed since the last one."""
        end = time.monotonic() + timeout
        while not (found := re.search(pattern, self.text)):
            readable, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert readable, f"{pattern}: not in {self.text!r}"
            self.text += os.read(self.fd, 4096).decode("utf-8", "replace")
        self.text = self.text[found.end() :]
        return found

    def close(self):
        os.kill(self.pid, signal.SIGHUP)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def child_named(pid, name):
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if Path(f"/proc/{child}/comm").read_text().strip() == name:
            return int(child)
    return None


@pytest.mark.parametrize("mode", ["cpu", "wall", pytest.param("offcpu", marks=pytest.mark.full)])
def test_ctrl_z_and_fg(tmp_path, mode):
    """Many times: while it is stopped nothing is traced, and the target works."""
    options = f"--engine=ptrace --mode {mode} --max-overhead=100 -F 20000"
    with Sample("cpu_split", "--seconds", 600) as target:
        terminal = Terminal(tmp_path)
        try:
            terminal.expect(r"\$ ")
            terminal.type(f"{CPROF} record {options} -o x.pb.gz -p {target.pid}\n")
            recorder = wait_until("cprof", lambda: child_named(terminal.pid, "cprof"))
            wait_until("samples", lambda: (tmp_path / "x.pb.gz").exists())
            for _ in range(20 if FULL else 5):
                terminal.type("\x1a")
                terminal.expect(r"\[1\]\+  Stopped")
                assert fields_of(recorder)[0] == "T"
                assert not tracers(target.pid)
                harness.wait_cpu(target.pid, 0.05)
                terminal.type("fg\n")
                terminal.expect(r"record ")
                wait_until("that it goes on", lambda: fields_of(recorder)[0] != "T")
                before = cpu_s(recorder)
                wait_until("that it samples", lambda before=before: cpu_s(recorder) > before)
            terminal.type("\x03")
            terminal.expect(r"profile: x\.pb\.gz")
        finally:
            terminal.close()
        assert target.finish()["cpu_ns"] > 0
    profile = Profile(tmp_path / "x.pb.gz")
    assert "burn_a" in {row["function"] for row in profile.hotspots()}
