"""Runs cprof and the samples, and reads what they say."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CPROF_BUILD", REPOSITORY / "build" / "release"))
CPROF = Path(os.environ.get("CPROF_BIN", BUILD / "profiler" / "cli" / "cprof"))
SAMPLES = Path(os.environ.get("CPROF_SAMPLES", BUILD / "samples"))
SUPPORT = Path(os.environ.get("CPROF_SUPPORT", BUILD / "tests" / "e2e"))

# Every count and duration of the specification, instead of a run of some minutes.
FULL = os.environ.get("CPROF_TEST_FULL") == "1"

# CPU seconds that give MIN_SAMPLES and a reserve.
CPU_SECONDS_999 = 5.4
CPU_SECONDS_99 = 53


def wait_until(what, condition, timeout=20.0):
    """Poll, as none of the things waited for here can be waited for in the kernel."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(0.02)


def cpu_s(pid):
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_cpu(pid, seconds, timeout=60.0):
    """Until a process has used so much more CPU time: what there is to sample of it."""
    begin = cpu_s(pid)
    wait_until(f"{seconds} s of CPU time", lambda: cpu_s(pid) >= begin + seconds, timeout)


def cprof_environment(**changes):
    """An environment without anything of the user's that changes what cprof prints."""
    env = {k: v for k, v in os.environ.items() if k not in ("DEBUGINFOD_URLS", "COLUMNS")}
    env["NO_COLOR"] = "1"
    env.update(changes)
    return env


def assert_sound(stderr, what):
    """Nothing that a cprof built with sanitizers would complain about."""
    assert "Sanitizer" not in stderr and "runtime error:" not in stderr, f"{what}\n{stderr}"


def cprof(*args, status=0, timeout=120, env=None, cwd=None, stdin=None):
    """Run a command of cprof to its end. With status=None any exit status but a crash will do."""
    done = subprocess.run(
        [str(CPROF), *map(str, args)],
        stdin=stdin or subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=timeout,
        env=env or cprof_environment(),
        cwd=cwd,
        check=False,
    )
    done.stdout = done.stdout.decode("utf-8", "replace")
    done.stderr = done.stderr.decode("utf-8", "replace")
    what = f"cprof {' '.join(map(str, args))}: exit status {done.returncode}\n{done.stderr}"
    assert done.returncode >= 0, what
    assert_sound(done.stderr, what)
    if status is not None:
        assert done.returncode == status, what
    return done


def perf_event_fds(pid):
    """How many events a process holds; 0 when it has ended."""
    count = 0
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                count += "perf_event" in os.readlink(entry.path)
            except OSError:
                pass
    except OSError:
        pass
    return count


class Sample:
    """A running sample program."""

    def __init__(self, name, *args):
        self.name = name
        self.output = ""
        self.process = subprocess.Popen(
            [str(SAMPLES / name), *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._read_ready(self.process.pid)

    def _read_ready(self, pid):
        line = b""
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([self.process.stdout], [], [], 30)
            byte = os.read(self.process.stdout.fileno(), 1) if readable else b""
            assert byte, f"{self.name} did not get ready: {line!r}"
            line += byte
        assert line.decode() == f"ready pid={pid}\n", line

    @property
    def pid(self):
        return self.process.pid

    def go(self):
        """End the wait of --hold."""
        self.process.send_signal(signal.SIGUSR1)

    def finish(self, end=True, timeout=120):
        """The truth, after the sample has ended normally."""
        if end:
            self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, f"{self.name}: {self.process.returncode} {err!r}"
        return find_truth(out.decode())

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def find_truth(text):
    """The line of JSON among what a program, or cprof running it, has printed."""
    for line in text.splitlines():
        if line.startswith('{"sample":'):
            return json.loads(line)
    raise AssertionError(f"no truth was printed:\n{text}")


class Recorder:
    """A `cprof record` that is running, @under another command that executes it."""

    def __init__(self, *args, under=(), env=None, cwd=None):
        self.command = list(map(str, [*under, CPROF, "record", *args]))
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env or cprof_environment(),
            cwd=cwd,
        )

    def wait_attached(self):
        """Until it holds events: what the target does from here on is recorded."""

        def attached():
            assert self.process.poll() is None, self.finish(status=None).stderr
            return perf_event_fds(self.process.pid)

        wait_until("attaching", attached)
        return self

    def first_in_line(self):
        """
        Let it run when it is due, also where other tests and builds keep the machine busy: a
        recorder that has to wait copies less of the stacks, so as to lose no sample, and then
        how deep they are says more about the machine than about cprof. What it starts is not.
        """
        pid = self.process.pid
        try:
            # a nice value counts in its own session only (sched(7), "The autogroup feature")
            real_time = os.SCHED_RR | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(pid, real_time, os.sched_param(1))
        except PermissionError:
            with contextlib.suppress(PermissionError, ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, pid, -15)
        except ProcessLookupError:
            pass
        return self

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def finish(self, status=0, timeout=120):
        out, err = self.process.communicate(timeout=timeout)
        done = subprocess.CompletedProcess(
            self.command,
            self.process.returncode,
            out.decode("utf-8", "replace"),
            err.decode("utf-8", "replace"),
        )
        what = f"{' '.join(self.command)}: exit status {done.returncode}\n{done.stderr}"
        assert_sound(done.stderr, what)
        if status is not None:
            assert done.returncode == status, what
        return done

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


class Profile:
    """A finished profile, asked through cprof's own commands."""

    def __init__(self, path, truth=None, done=None):
        self.path = Path(path)
        self.truth = truth
        self.done = done
        self._reports = {}

    def report(self, *args):
        """The JSON report; rows are not limited."""
        if args not in self._reports:
            done = cprof("report", self.path, "--format", "json", "--limit", 0, *args)
            self._reports[args] = json.loads(done.stdout)
        return self._reports[args]

    def hotspots(self, *args):
        return self.report(*args)["hotspots"]

    @property
    def samples(self):
        return self.report()["totals"]["samples"]

    def folded(self, *args):
        """[([comm, root, ..., leaf], count)]"""
        lines = cprof("export", self.path, "--format", "folded", *args).stdout.splitlines()
        return [parse_folded(line) for line in lines]

    def user_folded(self, *args):
        """
        folded() without frames of the kernel: what the program itself was in. On a busy machine the
        kernel is on top of any function, which loses its CPU there and gets it back.
        """
        return [
            ([frame for frame in frames if not frame.endswith("_[k]")], count)
            for frames, count in self.folded(*args)
        ]

    def leaf_counts(self, *args):
        """{function: samples} by the innermost frame; with --lines, {(file, line): samples}."""
        return count_leaves(self.folded(*args), "--lines" in args)

    def user_self(self, *args):
        """The same by the innermost frame that is not the kernel's."""
        return count_leaves(self.user_folded(*args), "--lines" in args)

    def total_share(self, pattern, *args):
        """Of the samples with a frame that matches."""
        return share_where(self.folded(*args), pattern, lambda frames: frames[1:])

    def leaf_share(self, pattern, *args):
        """Of the samples whose innermost frame matches."""
        return share_where(self.folded(*args), pattern, lambda frames: frames[-1:])


def row_where(rows, **wanted):
    """The one row with these values."""
    found = [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]
    assert len(found) == 1, f"{len(found)} of {len(rows)} rows have {wanted}: {rows[:10]}"
    return found[0]


def parse_folded(line):
    stack, _, count = line.rpartition(" ")
    return stack.split(";"), int(count)


def count_leaves(stacks, by_line):
    counts = {}
    for frames, count in stacks:
        leaf = re.sub(r"_\[[ijk]\]$", "", frames[-1]) if len(frames) > 1 else ""
        if by_line:
            place = re.fullmatch(r".* \((.*):(\d+)\)", leaf)
            leaf = (place.group(1), int(place.group(2))) if place else ("", 0)
        counts[leaf] = counts.get(leaf, 0) + count
    return counts


def share_where(stacks, pattern, select_frames):
    expression = re.compile(pattern)
    total = sum(count for _, count in stacks)
    hits = sum(
        count
        for frames, count in stacks
        if any(expression.fullmatch(frame) for frame in select_frames(frames))
    )
    return hits / total


def record_command(directory, sample, *sample_args, options=(), status=0, env=None):
    """`cprof record -- SAMPLE`, to the sample's end."""
    path = Path(directory) / f"{sample}.pb.gz"
    with Recorder("-o", path, *options, "--", SAMPLES / sample, *sample_args, env=env) as recorder:
        done = recorder.first_in_line().finish(status=status, timeout=300)
    return Profile(path, find_truth(done.stdout), done)


def record_attached(directory, sample, *sample_args, options=(), env=None):
    """`cprof record -p` from before the sample's first work until its end."""
    path = Path(directory) / f"{sample}.pb.gz"
    with Sample(sample, "--hold", *sample_args) as target:
        with Recorder("-o", path, "-p", target.pid, *options, env=env) as recorder:
            recorder.first_in_line().wait_attached()
            target.go()
            truth = target.finish(end=False, timeout=300)
            done = recorder.finish()
    return Profile(path, truth, done)


def record_for(path, pid, cpu_seconds, *options):
    """
    Record a process until it has used so much CPU time, however busy the machine is. Return: how
    the recorder ended, with any status: it may have refused to begin.
    """
    with Recorder("-o", path, "-p", pid, *options) as recorder:
        end = cpu_s(pid) + cpu_seconds
        ended = recorder.process.poll
        wait_until("work", lambda: ended() is not None or cpu_s(pid) >= end, timeout=300)
        if ended() is None:
            recorder.interrupt()
        return recorder.finish(status=None)


def tracers(pid):
    """Who traces a thread of it."""
    found = set()
    for path in Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            text = path.read_text(encoding="utf-8", errors="replace")
            found.add(int(re.search(r"\nTracerPid:\t(\d+)", text).group(1)))
    return sorted(found - {0})


def marked_lines(source):
    """{mark: [line, ...]} of the HOT() marks in a sample's source: an answer that is
    independent of the compiler's __LINE__."""
    marks = {}
    text = (REPOSITORY / "samples" / source).read_text()
    for number, line in enumerate(text.splitlines(), 1):
        for mark in re.findall(r'\bHOT\("([^"]+)"', line):
            marks.setdefault(mark, []).append(number)
    return marks
