"""--mode wall: known times in a lock, in read, asleep, on and waiting for a CPU; whole stacks of
threads that wait, as eu-stack has them; and no system call of the target that notices."""

import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from formats import go_pprof
from harness import FULL, SAMPLES, Profile, Recorder, Sample, cprof, row_where, wait_until
from tolerance import SIGMAS

NS = 1_000_000_000
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "mins": 60, "hrs": 3600}
ENGINES = ["perf", "ptrace"]
TIMEOUTS = set(
    "epoll_wait epoll_pwait sigtimedwait semtimedop recv accept poll select nanosleep futex "
    "io_getevents msgrcv inotify_read pause".split()
)
BUILDS = ["waits", "waits_o0", "waits_fp", "waits_alloca"]


def samples_of(path):
    """[{"seconds", "labels", "stack"}] as Go reads the profile, by wall time, leaf first."""
    text = go_pprof(path, "-traces", "-sample_index=wall").stdout
    samples = []
    for block in text.split("-----------+-------------------------------------------------------\n")[1:]:
        labels, stack, seconds = {}, [], None
        for line in block.splitlines():
            value = re.match(r"\s*([\d.]+)(ns|us|ms|s|mins|hrs)   (\S.*)", line)
            label = re.match(r"\s*(\w+):  (.*)", line)
            if seconds is None and value:
                seconds = float(value.group(1)) * UNITS[value.group(2)]
                stack.append(value.group(3))
            elif seconds is None and label:
                labels[label.group(1)] = label.group(2)
            elif line.strip():
                stack.append(line.strip())
        if seconds is not None:
            samples.append({"seconds": seconds, "labels": labels, "stack": stack})
    return samples


def functions_of(stack):
    return [re.sub(r" \(inline\)$", "", frame) for frame in stack]


def seconds_by(samples, key):
    sums = defaultdict(float)
    for sample in samples:
        sums[key(sample)] += sample["seconds"]
    return sums


def record_wall(path, engine, *args, **kwargs):
    return cprof("record", "--mode", "wall", "--engine", engine, "-o", path, *args, **kwargs)


def header(path):
    return dict(
        line.split("=", 1)
        for line in go_pprof(path, "-comments").stdout.splitlines()
        if "=" in line
    )


def wait_recording(recorder, path, engine):
    """Until what the target does is recorded: the engine of stops works in a thread of its own."""
    if engine == "perf":
        recorder.wait_attached()
    tasks = Path(f"/proc/{recorder.process.pid}/task")
    wait_until(
        "recording", lambda: path.exists() and (engine == "perf" or len(list(tasks.iterdir())) > 1)
    )


def record_sample(path, engine, sample, seconds, *args):
    """Attached, from before its work to behind it."""
    with Sample(sample, "--hold", "--seconds", seconds, *args) as target:
        with Recorder(
            "--mode", "wall", "--engine", engine, "--max-overhead", 5, "-o", path, "-p", target.pid
        ) as recorder:
            recorder.first_in_line()
            wait_recording(recorder, path, engine)
            target.go()
            truth = target.finish(end=False)
            recorder.finish()
    return truth


@pytest.mark.parametrize("engine", ENGINES)
def test_times_of_a_thread_that_waits_for_several_things(tmp_path, engine):
    path = tmp_path / "wall.pb.gz"
    truth = record_sample(path, engine, "waits", 60 if FULL else 5)
    samples = [s for s in samples_of(path) if s["labels"].get("thread") == "mixed"]
    total = truth["wall_ns"] / NS
    # all of its life is in the profile, waiting and running
    assert sum(s["seconds"] for s in samples) == pytest.approx(total, rel=0.02)
    by_state = seconds_by(samples, lambda s: s["labels"].get("state"))
    by_function = defaultdict(lambda: defaultdict(float))
    for s in samples:
        for name in ("wait_lock", "wait_read", "wait_sleep"):
            if name in functions_of(s["stack"]):
                by_function[name][s["labels"]["state"]] += s["seconds"]
    # what a wait of 8 ms on average adds to the error of a sum, by how often it was looked at
    looked = len(samples)
    for name, state, key in (
        ("wait_lock", "lock", "lock_ns"),
        ("wait_read", "io", "read_ns"),
        ("wait_sleep", "sleep", "sleep_ns"),
    ):
        true = truth[key] / NS
        # the truth is from before to behind the call: also on and waiting for a CPU
        measured = sum(by_function[name].values())
        share = true / total
        limit = SIGMAS * (share * (1 - share) / looked) ** 0.5 + 0.02
        assert abs(measured / total - share) < limit, f"{name}: {measured} s, {true} s true"
        waited = measured - by_function[name]["runnable"]  # a busy machine
        assert by_function[name][state] > 0.9 * waited, f"{name}: {dict(by_function[name])}"
    cpu = row_where(truth["threads"], name="mixed")["cpu_ns"] / NS
    assert by_state["running"] == pytest.approx(cpu, rel=0.1)
    lock = {
        s["labels"]["waits_for"]
        for s in samples
        if s["labels"].get("state") == "lock" and "wait_lock" in functions_of(s["stack"])
    }
    assert lock == {hex(truth["lock_address"])}


@pytest.mark.parametrize("engine", ["perf", pytest.param("ptrace", marks=pytest.mark.full)])
def test_time_in_the_run_queue(tmp_path, engine):
    """Six threads on the machine's CPUs: what they do not get of them, they wait for."""
    path = tmp_path / "queue.pb.gz"
    truth = record_sample(path, engine, "waits", 20 if FULL else 3, "--burners", 6)
    burners = {t["name"]: t["cpu_ns"] / NS for t in truth["threads"] if t["name"] != "mixed"}
    samples = samples_of(path)
    for name, cpu in burners.items():
        states = seconds_by(
            [s for s in samples if s["labels"].get("thread") == name],
            lambda s: s["labels"].get("state"),
        )
        wall = truth["wall_ns"] / NS
        # of CPU time behind the last stop of a thread there is no sample
        missed = 0.05 if engine == "perf" else 0.2
        assert states["running"] == pytest.approx(cpu, rel=0.1, abs=missed), states
        assert states["runnable"] == pytest.approx(wall - cpu, rel=0.1), states
    # of threads that could run no stack is seen: that of their last sample is taken, and marked
    for s in samples:
        if s["labels"].get("state") == "runnable":
            assert s["labels"]["inferred"] == "wait"


def eu_stacks(pid):
    """{tid: [function]} leaf first, without the frames that are inlined."""
    text = subprocess.run(
        ["eu-stack", "-p", str(pid)], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    stacks = {}
    for block in re.split(r"^TID ", text, flags=re.M)[1:]:
        tid, lines = block.split(":", 1)
        stacks[int(tid)] = [
            match.group(1).split("@")[0]
            for match in re.finditer(r"^#\d+ +0x[0-9a-f]+ (\S+)", lines, flags=re.M)
        ]
    return stacks


@pytest.mark.parametrize("build", BUILDS)
def test_stacks_of_waiting_threads_are_those_of_eu_stack(tmp_path, build):
    """At every depth, in seven kinds of waits: none is wrong, and 95 % are whole."""
    path = tmp_path / "stacks.pb.gz"
    n = 84
    with Sample(build, "--seconds", 600, "--still", n) as target:
        record_wall(path, "perf", "-d", 1.5, "--max-overhead", 50, "-p", target.pid)
        truth = eu_stacks(target.pid)
    seen, whole, wrong = set(), 0, []
    for s in samples_of(path):
        tid = int(s["labels"]["tid"])
        if s["labels"].get("thread") != "still" or s["labels"]["state"] in ("running", "runnable"):
            continue
        if tid in seen:
            continue
        seen.add(tid)
        # names of inlined functions and aliases of symbols are not what is compared here
        mine = [f for f in functions_of(s["stack"]) if f.startswith(("go_", "wait_", "run_"))]
        true = [f for f in truth[tid] if f.startswith(("go_", "wait_", "run_"))]
        assert true[-1] == "run_still"
        if "stop" not in s["labels"]:
            whole += 1
            if mine != true or not functions_of(s["stack"])[-1].endswith("clone3"):
                wrong.append((s["stack"], truth[tid]))
        elif mine != true[: len(mine)]:
            wrong.append((s["stack"], truth[tid]))
    assert len(seen) == n
    assert not wrong, wrong[0]
    assert whole >= 0.95 * n, f"{whole} of {n}: {header(path)}"


def test_a_thousand_threads_inside_the_contract(tmp_path):
    path = tmp_path / "thousand.pb.gz"
    seconds = 30 if FULL else 4
    with Sample("waits", "--seconds", 600, "--still", 1000) as target:
        record_wall(path, "perf", "-d", seconds, "--no-symbols", "-p", target.pid)
    facts = header(path)
    # 1 % of the CPUs; the beginning, in which every thread is met and files are read, is beside it
    cpus = int(facts["cpus"])
    assert int(facts["recorder_cpu_ns"]) < (0.01 * cpus * seconds + 0.35) * NS, facts
    by_thread = seconds_by(
        [s for s in samples_of(path) if s["labels"].get("thread") == "still"],
        lambda s: s["labels"]["tid"],
    )
    # each for all of its time, however seldom it was looked at; a busy machine begins late
    assert len(by_thread) == 1000
    longest = max(by_thread.values())
    assert 0.8 * seconds < longest < seconds + 0.5
    for tid, measured in by_thread.items():
        assert measured == pytest.approx(longest, rel=0.05, abs=0.1), tid


@pytest.mark.parametrize("engine", ENGINES)
def test_no_system_call_of_the_target_notices(tmp_path, engine):
    """14 system calls that a signal or a stop would end early."""
    path = tmp_path / "timeouts.pb.gz"
    truth = record_sample(path, engine, "timeouts", 60 if FULL else 3)
    interrupted = {key: truth[key] for key in TIMEOUTS if truth[key] != 0}
    assert not interrupted, f"{interrupted} of {truth['calls']}: {header(path)}"
    assert truth["calls"] > 1000
    # it was looked at all the while
    assert {s["labels"].get("thread") for s in samples_of(path)} >= TIMEOUTS


def test_states_and_locks_are_reported(tmp_path):
    path = tmp_path / "report.pb.gz"
    record_wall(path, "perf", "--", *waits_command(2))
    profile = Profile(path)
    states = {row["state"] for row in profile.hotspots("--by", "state")}
    assert {"lock", "io", "sleep", "running"} <= states
    locks = cprof("report", path, "--by", "lock").stdout
    assert "wait_lock" in locks


def waits_command(seconds):
    return [SAMPLES / "waits", "--seconds", str(seconds)]


def test_the_whole_machine_is_refused():
    done = cprof("record", "-a", "--mode", "wall", "-d", 1, status=None)
    assert done.returncode != 0
    assert "whole machine" in done.stderr
