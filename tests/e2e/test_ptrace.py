"""The engine that stops threads: what it measures is true, and the target notices nothing."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import harness
import pytest
from harness import FULL, SAMPLES, SUPPORT, Profile, Recorder, Sample, cprof, tracers, wait_until
from tolerance import tolerance, tolerance_of_two

# No limit on what sampling may cost: these tests ask for as much of it as there can be.
PTRACE = ("--engine=ptrace", "--max-overhead=100")
TOP = 10
TIMEOUTS = (
    "epoll_wait epoll_pwait sigtimedwait semtimedop recv accept poll select nanosleep futex "
    "io_getevents msgrcv inotify_read pause".split()
)


class Support(Sample):
    """A program of tests/support/stops, which prints as samples do."""

    def __init__(self, name, *args):
        super().__init__(SUPPORT / name, *args)


def recording(path):
    return Profile(path).report()["recording"]


def tasks(pid):
    return [int(tid) for tid in os.listdir(f"/proc/{pid}/task")]


def status_of(tid):
    """{name: value} of /proc/TID/status; {} when it has ended."""
    try:
        with open(f"/proc/{tid}/status", encoding="utf-8", errors="replace") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except (FileNotFoundError, ProcessLookupError):
        return {}


def is_held(pid):
    """Any thread of it stands still in a tracer's stop."""
    return any(status_of(tid).get("State", "").startswith("t") for tid in tasks(pid))


def assert_untouched(pid):
    """Nothing traces it, and it works on."""
    wait_until("that nobody traces it", lambda: not tracers(pid), timeout=2)
    assert not is_held(pid)
    before = cpu_ticks(pid)
    wait_until("that it runs", lambda: cpu_ticks(pid) > before, timeout=30)


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def wait_sampling(recorder, path):
    """Until the first second of samples is in the file."""

    def begun():
        assert recorder.process.poll() is None, recorder.finish(status=None).stderr
        return path.exists() and path.stat().st_size > 0

    wait_until("the first append", begun)
    return recorder


def record_for(path, pid, cpu_seconds, *options):
    """Record a process until it has used so much CPU time."""
    done = harness.record_for(path, pid, cpu_seconds, *PTRACE, *options)
    assert done.returncode == 0, done.stderr
    return Profile(path)


def test_shares_are_those_of_the_program(tmp_path):
    """Rates adapt to the machine, so as long as it takes; values are CPU time, exactly."""
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split") as target:
        profile = record_for(path, target.pid, 20 if FULL else 4)
        truth = target.finish()
    assert recording(path)["engine"] == "ptrace"
    assert profile.samples > 1000
    for function in truth["functions"]:
        share = profile.total_share(function["name"])
        bound = tolerance(function["share"], profile.samples)
        assert abs(share - function["share"]) <= bound, (function["name"], share)
    totals = profile.report()["totals"]
    target_ns = recording(path)["target_user_ns"] + recording(path)["target_system_ns"]
    assert abs(totals["cpu_ns"] - target_ns) < 0.02 * target_ns + 20e6, totals


PYTHON_WORK = """
import hashlib, json, re, zlib
text = "".join(f'{i}: the quick brown fox {i * 7919 % 10007}\\n' for i in range(4000))
print("ready", flush=True)
while True:
    json.loads(json.dumps([{"a": i, "b": [i, str(i)]} for i in range(2000)]))
    zlib.compress(text.encode())
    sorted(text.split(), key=lambda word: word[::-1])
    re.findall(r"(fox) (\\d+)", text)
    hashlib.sha256(text.encode()).hexdigest()
"""


def test_the_hottest_functions_are_those_that_perf_has(tmp_path):
    """Both on one run of one program. perf sees time in the kernel where it is, ptrace at the
    function that called it: as --no-kernel has it. The program keeps the memory it has: on a busy
    machine stops gather at page faults (profiler/capture/README.md, known limits)."""
    a, b = tmp_path / "perf.pb.gz", tmp_path / "ptrace.pb.gz"
    keeps_memory = {"PYTHONMALLOC": "malloc", "MALLOC_TRIM_THRESHOLD_": "1000000000"}
    with subprocess.Popen(
        [sys.executable, "-c", PYTHON_WORK],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **keeps_memory, "MALLOC_MMAP_THRESHOLD_": "1000000000"},
    ) as target:
        try:
            assert target.stdout.readline() == "ready\n"
            options = ("--engine=perf", "--no-kernel")
            with Recorder("-o", a, "-p", target.pid, *options) as perf:
                perf.wait_attached()
                ptrace_profile = record_for(b, target.pid, 20 if FULL else 4)
                perf.interrupt()
                perf.finish()
        finally:
            target.kill()
    by_perf, by_ptrace = Profile(a).user_self(), ptrace_profile.user_self()
    n_perf, n_ptrace = sum(by_perf.values()), sum(by_ptrace.values())
    top = sorted(by_perf, key=by_perf.get, reverse=True)[:TOP]
    for name in top:
        x, y = by_perf[name] / n_perf, by_ptrace.get(name, 0) / n_ptrace
        assert abs(x - y) <= tolerance_of_two(max(x, y), n_perf, n_ptrace) + 0.01, (name, x, y)


def test_no_call_returns_eintr_because_of_us(tmp_path):
    """14 calls that wait, 0.1 to 150 ms each, with work between: the race between looking and
    stopping is lost now and then, and the call is then entered once more."""
    path = tmp_path / "x.pb.gz"
    with Sample("timeouts") as target:
        cprof("record", "-o", path, "-q", "-p", target.pid, *PTRACE, "-d", 60 if FULL else 3)
        truth = target.finish()
    counts = recording(path)
    assert truth["calls"] > 1000
    assert sum(truth[name] for name in TIMEOUTS) == 0, truth
    assert counts["eintr_left"] == 0
    assert counts["pauses"] > 300
    assert counts["eintr_rewound"] > 0, "no race was lost: this has shown nothing"


def test_signals_and_job_control_pass_unchanged(tmp_path):
    path = tmp_path / "x.pb.gz"
    with Support("signal_exchange", "--signals", 100000 if FULL else 10000) as target:
        with Recorder("-o", path, "-p", target.pid, *PTRACE, "-F", 5000) as recorder:
            truth = target.finish(end=False)
            recorder.finish()
    assert truth["received"] == truth["sent"]
    assert truth["out_of_order"] == 0
    assert truth["stops"] == truth["sent"] / 1000
    assert truth["broken_stops"] == 0
    assert truth["sender"] == 0
    assert recording(path)["pauses"] > 10


@pytest.mark.parametrize("seed", range(200 if FULL else 10))
def test_sigkill_of_the_recorder_at_a_random_moment(tmp_path, seed):
    """While attaching, sampling or detaching: the target goes on, and its result is right."""
    path = tmp_path / "x.pb.gz"
    moment = random.Random(seed)
    with Sample("threads" if seed % 2 else "cpu_split") as target:
        with Recorder("-o", path, "-p", target.pid, *PTRACE, "-F", 20000) as recorder:
            time.sleep(moment.uniform(0, 0.3 if seed % 3 else 1.5))
            if seed % 4 == 3:
                recorder.interrupt()
                time.sleep(moment.uniform(0, 0.02))
            recorder.kill()
        assert_untouched(target.pid)
        truth = target.finish()
    assert truth["cpu_ns"] > 0
    shares = [function["share"] for function in truth["functions"]]
    assert abs(sum(shares) - 1) < 0.01


def test_a_hung_recorder_is_ended_by_its_watchdog(tmp_path):
    """Stopped in the middle of a stop: the target runs again within two seconds."""
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split") as target:
        with Recorder("-o", path, "-p", target.pid, *PTRACE, "-F", 20000) as recorder:
            wait_sampling(recorder, path)

            def caught_in_a_stop():
                recorder.process.send_signal(signal.SIGSTOP)
                wait_until(
                    "the recorder's stop",
                    lambda: status_of(recorder.process.pid)["State"].startswith("T"),
                )
                if is_held(target.pid):
                    return True
                recorder.process.send_signal(signal.SIGCONT)
                return False

            wait_until("a stop within a stop", caught_in_a_stop, timeout=120)
            begun = time.monotonic()
            wait_until("the release", lambda: not is_held(target.pid), timeout=10)
            # half a second, and what a busy machine makes of it
            assert time.monotonic() - begun < 2
            done = recorder.finish(status=-signal.SIGKILL)
        assert "the recorder hung" in done.stderr
        assert_untouched(target.pid)
        target.finish()
    assert Profile(path).samples > 0, "what was recorded before is kept"


def test_ctrl_c_lets_go_at_once(tmp_path):
    path = tmp_path / "x.pb.gz"
    with Sample("threads") as target:
        with Recorder("-o", path, "-p", target.pid, *PTRACE, "-F", 20000) as recorder:
            wait_sampling(recorder, path)
            recorder.interrupt()
            time.sleep(0.1)
            for _ in range(20):
                assert not tracers(target.pid)
            recorder.finish()
        assert_untouched(target.pid)


def starve():
    """Of the CPU that is shared with a program that spins, one second in 300."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def share_cpu():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def seconds_until_untraced(pids, seconds_max):
    begun = time.monotonic()
    while any(tracers(pid) for pid in pids) and time.monotonic() < begun + seconds_max:
        time.sleep(0.001)
    return time.monotonic() - begun


def test_ctrl_c_lets_go_of_threads_that_do_not_stop(tmp_path):
    """Two that are given no CPU to stop on: traced at one time, as only late ones are. The best of
    some tries counts: the machine may be busy."""
    path = tmp_path / "x.pb.gz"
    seconds = []
    spin = [sys.executable, "-c", "while True: pass"]
    starved = []
    with contextlib.ExitStack() as stack:
        # pylint: disable=subprocess-popen-preexec-fn
        for prepare in (share_cpu, starve, starve):
            process = subprocess.Popen(spin, preexec_fn=prepare)
            stack.callback(process.wait)
            stack.callback(process.kill)
            starved.append(process.pid)
        del starved[0]
        while len(seconds) < 5 and min(seconds, default=1) > 0.1:
            pids = ",".join(map(str, starved))
            with Recorder("-o", path, "-p", pids, *PTRACE) as recorder:
                wait_until("late ones", lambda: all(map(tracers, starved)), timeout=60)
                recorder.interrupt()
                seconds.append(seconds_until_untraced(starved, 10))
                recorder.finish(status=None)
    assert min(seconds) < 0.1, seconds


@pytest.mark.parametrize("sample", ["fork_exec", "swarm", "threads"])
def test_programs_that_fork_execute_and_make_threads(tmp_path, sample):
    """Their result is as without us: they print it, and end with 0."""
    path = tmp_path / "x.pb.gz"
    options = ("-o", path, "-q", *PTRACE, "-F", 5000)
    done = cprof("record", *options, "--", SAMPLES / sample, "--seconds", 1, timeout=60)
    truth_ns = harness.find_truth(done.stdout)["cpu_ns"]
    assert truth_ns > 0
    profile = Profile(path)
    assert profile.samples > 50
    if sample == "threads":  # of the others, processes end unseen
        known_ns = profile.report()["totals"]["cpu_ns"] + recording(path)["cpu_unsampled_ns"]
        assert abs(known_ns - truth_ns) < 0.02 * truth_ns + 30e6


def test_libraries_of_a_young_program_are_known(tmp_path):
    """Nothing tells of what it loads after its start: it is looked for when it is met."""
    path = tmp_path / "x.pb.gz"
    work = "import json\nfor i in range(100): json.loads(json.dumps([{'a': [i] * 9}] * 3000))"
    cprof("record", "-q", "-o", path, *PTRACE, "--", sys.executable, "-c", work)
    profile = Profile(path)
    assert profile.samples > 100
    assert profile.report()["quality"]["stops"]["no_map"] < 0.1 * profile.samples


def test_a_commands_status_is_passed_on(tmp_path):
    path = tmp_path / "x.pb.gz"
    work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exit 7"
    cprof("record", "-q", "-o", path, *PTRACE, "--", "sh", "-c", work, status=7)


def cprof_under(filter_options, *args):
    """cprof under a seccomp filter as containers have it."""
    command = [SUPPORT / "refuse_perf", *filter_options, harness.CPROF, *args]
    return subprocess.run(
        list(map(str, command)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env=harness.cprof_environment(),
        check=False,
    )


def functions_in(path):
    """Of a recording that grows; there may be no sample yet."""
    done = cprof("report", path, "--format", "json", status=None)
    rows = json.loads(done.stdout)["hotspots"] if done.returncode == 0 else []
    return {row["function"] for row in rows}


def test_where_perf_is_refused_ptrace_is_chosen(tmp_path):
    """How often it may stop a thread depends on the machine: until there is enough to see."""
    path = tmp_path / "x.pb.gz"
    burns = {"burn_a", "burn_b", "burn_c"}
    with Sample("cpu_split", "--seconds", 600) as target:
        under = [SUPPORT / "refuse_perf"]
        with Recorder("-o", path, "-p", target.pid, under=under) as recorder:
            wait_sampling(recorder, path)
            wait_until("all functions", lambda: burns <= functions_in(path), timeout=300)
            recorder.interrupt()
            done = recorder.finish()
        doctor = cprof_under((), "doctor", "-p", target.pid)
    assert "seccomp filter" in done.stderr and "--engine=ptrace" in done.stderr
    report = recording(path)
    assert report["engine"] == "ptrace"
    assert report["max_overhead_ppm"] == 10000 and report["max_pause_ns"] == 200000
    assert burns <= functions_in(path)
    assert doctor.returncode == 0
    assert "yes, by ptrace" in doctor.stdout


def test_where_both_are_refused_it_says_why(tmp_path):
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split") as target:
        done = cprof_under(("--ptrace",), "record", "-o", path, "-p", target.pid, "-d", 2)
        doctor = cprof_under(("--ptrace",), "doctor", "-p", target.pid)
    assert done.returncode == 1
    assert "perf_event_open is refused" in done.stderr and "ptrace() is refused" in done.stderr
    assert "--cap-add SYS_PTRACE" in done.stderr
    assert not path.exists()
    assert doctor.returncode == 1
    assert "does not work here" in doctor.stdout


def test_the_contract_is_kept(tmp_path):
    """1 % of the CPUs, whatever was asked for; it says what was achieved. On average: as long as
    the target needs to have run for some seconds."""
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split", "--seconds", 600) as target:
        options = ("--engine=ptrace", "-F", 20000)
        done = harness.record_for(path, target.pid, 30 if FULL else 5, *options)
    assert done.returncode == 0, done.stderr
    report = recording(path)
    cpus_ns = report["duration_ns"] * report["cpus"]
    assert report["recorder_cpu_ns"] < 0.013 * cpus_ns
    ran_ns = report["target_user_ns"] + report["target_system_ns"]
    assert report["pause_total_ns"] < 0.02 * ran_ns
    assert 0 < report["rate_achieved_hz"] < 20000
    assert report["pause_p50_ns"] <= report["pause_p99_ns"] <= report["pause_longest_ns"]
    assert "threads were stopped" in done.stderr and "20,000 asked for" in done.stderr


TRACER = """
import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
assert libc.ptrace(0x4206, int(sys.argv[1]), 0, 0) == 0  # PTRACE_SEIZE
print("traced", flush=True)
time.sleep(600)
"""


def test_says_who_traces_the_target_already(tmp_path):
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split") as target:
        with subprocess.Popen(
            [sys.executable, "-c", TRACER, str(target.pid)], stdout=subprocess.PIPE, text=True
        ) as tracer:
            assert tracer.stdout.readline() == "traced\n"
            done = cprof("record", "-o", path, "-p", target.pid, *PTRACE, status=1)
            doctor = cprof("doctor", "-p", target.pid)
            tracer.kill()
        assert f"traced already, by {tracer.pid} (python" in done.stderr
        assert f"traced already, by {tracer.pid} (python" in doctor.stdout
        assert not path.exists()


def test_what_has_no_threads_to_stop(tmp_path):
    path = tmp_path / "x.pb.gz"
    done = cprof("record", "-o", path, "-a", "--engine=ptrace", status=1)
    assert "takes perf" in done.stderr
    zombie = os.fork()
    if zombie == 0:
        os._exit(0)
    wait_until("its end", lambda: status_of(zombie)["State"].startswith("Z"))
    done = cprof("record", "-o", path, "-p", zombie, *PTRACE, status=1)
    os.waitpid(zombie, 0)
    assert "has ended" in done.stderr
    for wrong in ("0", "0%", "1%%", "101%"):
        cprof("record", "-o", path, "-p", "1", "--max-overhead", wrong, status=2)
    for wrong in ("soon", "0us"):
        cprof("record", "-o", path, "-p", "1", "--max-pause", wrong, status=2)


def test_json_has_what_it_cost(tmp_path):
    """As the schema in output/README.md has it; null where nothing is stopped."""
    keys = ["pauses", "pause_total_ns", "rate_achieved_hz", "eintr_rewound", "stops_late"]
    path = tmp_path / "x.pb.gz"
    limits = ("--engine=ptrace", "--max-overhead", "99.5%", "--max-pause", "150us")
    cprof("record", "-q", "-o", path, *limits, "--", SAMPLES / "cpu_split", "--seconds", 1)
    text = cprof("report", path, "--format", "json").stdout
    assert json.loads(text)["recording"]["max_overhead_ppm"] == 995000
    assert json.loads(text)["recording"]["max_pause_ns"] == 150000
    assert all(isinstance(json.loads(text)["recording"][key], int) for key in keys)
    cprof("record", "-q", "-o", path, "--", SAMPLES / "cpu_split", "--seconds", 1)
    text = cprof("report", path, "--format", "json").stdout
    assert all(json.loads(text)["recording"][key] is None for key in keys)
