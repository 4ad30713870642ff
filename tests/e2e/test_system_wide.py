"""The whole machine: every process by name, with its stacks, however short it lives."""

import collections
import math
import os
import re
import signal
import subprocess
import time

import harness
import pytest
from harness import CPROF, Profile, Recorder, Sample, cprof, wait_until
from tolerance import MIN_SAMPLES, SIGMAS, assert_share, tolerance_of_two

# 9 ms of work a round: 5,000 samples and a reserve.
ROUNDS = 2500 if harness.FULL else 650
WORK = ("cell_work", "forked_work")
STOPS = ("truncated", "no_map", "no_cfi", "unsupported", "sp_backwards", "bad_ra", "depth")


class Perf:
    """`perf record -a` beside, with the same timers."""

    def __init__(self, path):
        self.path = path
        command = ["perf", "record", "-q", "-a", "-e", "cpu-clock", "-F", "999", "-o", path]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until("perf", lambda: harness.perf_event_fds(self.process.pid))

    def finish(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)

    def names(self):
        """{comm: samples}"""
        text = subprocess.run(
            ["perf", "script", "-i", self.path, "-F", "comm"],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=300,
        ).stdout
        return collections.Counter(line.strip() for line in text.splitlines())


def record_swarm(directory, *options, perf=False):
    path = directory / "swarm.pb.gz"
    beside = Perf(directory / "perf.data") if perf else None
    command = [harness.SAMPLES / "swarm", "--rounds", ROUNDS, "--seconds", 600, *options]
    with Recorder("-a", "-o", path, "--", *command) as recorder:
        done = recorder.first_in_line().finish(timeout=600)
    if beside:
        beside.finish()
    profile = Profile(path, harness.find_truth(done.stdout), done)
    return profile, beside.names() if beside else None


@pytest.fixture(scope="module")
def swarm(tmp_path_factory):
    """
    A recording of the machine while thousands of programs come and go, and what perf saw. Made once
    more where the machine kept the recorder waiting: then it copies less of the stacks.
    """
    for _ in range(2):
        profile, names = record_swarm(tmp_path_factory.mktemp("swarm"), perf=True)
        if not profile.report()["recording"]["dump_pressed"]:
            break
    return profile, names


def samples_by_name(profile, frames=None):
    """{comm: samples}, of those that have one of @frames."""
    counts = collections.Counter()
    for stack, count in profile.folded():
        if frames is None or any(frame in frames for frame in stack):
            counts[stack[0]] += count
    return counts


def assert_swarm(profile):
    counts = samples_by_name(profile, WORK)
    total = sum(counts.values())
    for process in profile.truth["processes"]:
        name = process["name"]
        assert_share(name, counts[name] / total, process["share"], total)
    # Not only in proportion: as much as their own clocks say.
    expected = 999 * sum(p["cpu_ns"] for p in profile.truth["processes"]) / 1e9
    assert abs(total - expected) <= SIGMAS * math.sqrt(expected) + 0.02 * expected, (
        f"{total} samples of the work, {expected:.0f} expected"
    )
    # Nobody else does this work.
    assert set(counts) == {p["name"] for p in profile.truth["processes"]}


def test_processes_of_milliseconds_have_their_share(swarm):
    profile, _ = swarm
    assert profile.truth["cells"] == 4 * ROUNDS
    assert_swarm(profile)


def test_processes_of_milliseconds_are_told_apart_by_number(swarm):
    profile, _ = swarm
    rows = {row["comm"]: row for row in profile.hotspots("--by", "process")}
    for name in ("swarm_a", "swarm_b", "swarm_c"):
        # nearly each of them has a sample: they live for more than a period
        assert 0.9 * ROUNDS <= rows[name]["processes"] <= ROUNDS, rows[name]
    threads = [r for r in profile.hotspots("--by", "thread") if r["comm"] == "swarm_b"]
    assert len({row["pid"] for row in threads}) == rows["swarm_b"]["processes"]
    assert sum(r["self_samples"] for r in threads) == rows["swarm_b"]["self_samples"]


def test_one_process_id_for_all_of_them(tmp_path):
    """An id that is used again at once is another process, with nothing of the one before."""
    profile, _ = record_swarm(tmp_path, "--same-pid", 1)
    threads = profile.hotspots("--by", "thread")
    ids = collections.Counter()
    for row in threads:
        if row["comm"] in ("swarm_a", "swarm_b", "swarm_c"):
            ids[row["pid"]] += row["self_samples"]
    # Each lives for three samples. Somebody else on the machine may have taken the id in between,
    # and keep it: then the next one is for all of them. Where few share one, nothing is shown.
    used_again = sum(samples for samples in ids.values() if samples >= 30)
    assert used_again > 0.5 * sum(ids.values()), ids
    assert_swarm(profile)


def test_perf_counts_as_many_by_name(swarm):
    profile, theirs = swarm
    ours = samples_by_name(profile)
    names = [name for name in ours if name.startswith("swarm")]
    assert {name for name in theirs if name.startswith("swarm")} == set(names)
    n_ours = sum(ours[name] for name in names)
    n_theirs = sum(theirs[name] for name in names)
    assert min(n_ours, n_theirs) >= MIN_SAMPLES
    for name in names:
        a, b = ours[name] / n_ours, theirs[name] / n_theirs
        limit = tolerance_of_two((a + b) / 2, n_ours, n_theirs)
        assert abs(a - b) <= limit, f"{name}: cprof {a:.4f}, perf {b:.4f}, tolerance {limit:.4f}"


def test_stacks_of_processes_of_milliseconds_are_complete(swarm):
    profile, _ = swarm
    total, cut = 0, collections.Counter()
    for frames, count in profile.folded():
        if frames[0].startswith("swarm"):
            total += count
            if len(frames) > 1 and frames[1].strip("[]") in STOPS:
                cut[frames[1]] += count
    assert total >= MIN_SAMPLES
    if profile.report()["recording"]["dump_pressed"]:
        # a machine that is too busy: what the smaller copies cut off is said, and nothing else
        assert cut.pop("[truncated]", 0) <= 0.1 * total
    assert cut.total() <= 0.005 * total, f"of {total} stacks do not reach their root: {cut}"
    # work is found below main, and from there to the program's entry
    for frames, count in profile.folded():
        if "cell_work" in frames:
            below = frames[1 : frames.index("cell_work")]
            assert "main" in below or frames[1].strip("[]") in STOPS, (frames, count)


def kernel_threads():
    """{pid: name}"""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                name, _, fields = file.read().partition("(")[2].rpartition(")")
        except (OSError, NotADirectoryError):
            continue
        if int(fields.split()[6]) & 0x00200000:  # PF_KTHREAD
            found[int(entry)] = name
    return found


def test_kernel_threads_have_names_and_no_user_part(swarm):
    profile, _ = swarm
    kernel = kernel_threads()
    rows = [r for r in profile.hotspots("--by", "thread") if r["pid"] in kernel]
    assert rows, "thousands of births and deaths, and no kernel thread ran?"
    # kworkers take a new name with each piece of work
    fixed = [r for r in rows if not r["comm"].startswith("kworker")]
    assert fixed
    for row in fixed:
        assert row["comm"] == kernel[row["pid"]][:15], row
    names = {row["comm"].replace(" ", "_") for row in fixed}
    for frames, _ in profile.folded():
        if frames[0] in names:
            assert all(frame.endswith("_[k]") for frame in frames[1:]), frames


def test_idle_time_is_not_recorded(swarm):
    profile, _ = swarm
    assert not [name for name in samples_by_name(profile) if name.startswith("swapper")]
    quality = profile.report()["quality"]
    sampled = quality["sampled_cpu_ns"] + quality["lost"] * 1e9 / 999
    used = quality["target_cpu_ns"]
    # /proc/stat counts ticks and, on idle CPUs, interrupts
    assert abs(sampled - used) <= 0.03 * used + 0.1e9, (sampled, used)
    cpus = os.sysconf("SC_NPROCESSORS_ONLN")
    assert used <= cpus * profile.report()["recording"]["duration_ns"] * 1.02


def test_report_says_that_it_was_the_machine(swarm):
    profile, _ = swarm
    recording = profile.report()["recording"]
    assert recording["system_wide"] is True
    assert recording["event"] == "cpu-clock"
    text = cprof("report", profile.path, "--by", "process").stdout
    cpus = os.sysconf("SC_NPROCESSORS_ONLN")
    assert re.match(rf"cprof: whole machine, {cpus} CPUs, during \S*swarm --rounds", text)
    assert re.search(r"PROCESS +ID\n", text)
    assert re.search(r"swarm_b +\d[\d,]* processes\n", text)
    assert "used on the machine" in text
    markdown = cprof("report", profile.path, "--by", "process", "--format", "markdown").stdout
    assert "| Process | processes |" in markdown


def test_recorder_is_part_of_the_machine(swarm):
    profile, _ = swarm
    assert samples_by_name(profile)["cprof"] > 0


def test_running_process_is_there_from_its_first_sample(tmp_path):
    """It was born before, its mappings are read when it is first seen."""
    path = tmp_path / "a.pb.gz"
    with Sample("cpu_split", "--seconds", 600) as target:
        cprof("record", "-q", "-a", "-d", "1", "-o", path)
        assert target.process.poll() is None
    profile = Profile(path)
    stacks = [(f, n) for f, n in profile.folded() if f[0] == "cpu_split"]
    total = sum(n for _, n in stacks)
    assert total > 100
    assert not [f for f, _ in stacks if f[1] == "[no_map]"]
    assert sum(n for f, n in stacks if "truth_block" in f) >= 0.95 * total


def test_ctrl_c_ends_it_normally(tmp_path):
    path = tmp_path / "a.pb.gz"
    with Recorder("-a", "-o", path) as recorder:
        recorder.wait_attached()
        wait_until("samples", lambda: path.exists() and path.stat().st_size > 0)
        recorder.interrupt()
        done = recorder.finish()
    assert "next:    cprof report" in done.stderr
    report = Profile(path).report()
    assert report["recording"]["state"] == "complete"
    assert report["recording"]["pids"] in (None, [])
    assert report["recording"]["command"] is None


def test_status_of_the_command_is_passed_on(tmp_path):
    path = tmp_path / "a.pb.gz"
    cprof("record", "-q", "-a", "-o", path, "--", "sh", "-c", "exit 7", status=7)
    done = cprof("record", "-q", "-a", "-o", path, "--", "./nonexistent", status=1)
    assert "no such command: ./nonexistent" in done.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["-a", "-p", "1"], "either -a or -p, not both"),
        (["-a", "--no-inherit"], "--no-inherit has no meaning with -a"),
        ([], "or -a for the whole machine"),
    ],
)
def test_wrong_usage(arguments, message):
    done = cprof("record", *arguments, status=2)
    assert message in done.stderr


def test_refusal_says_what_would_allow_it(nobody):
    done = nobody.run("record", "-a", "-d", "1", "-o", nobody.directory / "a.pb.gz")
    assert done.returncode == 1
    assert "the whole machine may not be recorded: kernel.perf_event_paranoid is 2" in done.stderr
    assert "sysctl kernel.perf_event_paranoid=0" in done.stderr
    assert not (nobody.directory / "a.pb.gz").exists()
    found = nobody.run("doctor").stdout
    assert re.search(r"the whole machine \(-a\) +no, because kernel.perf_event_paranoid", found)


def test_doctor_says_that_it_works():
    assert re.search(r"the whole machine \(-a\) +yes\n", cprof("doctor").stdout)


def test_tasks_of_other_pid_namespaces_are_kept(tmp_path):
    """In a PID namespace of its own, as in a container, cprof sees what has no number there."""
    path = tmp_path / "a.pb.gz"
    with Sample("cpu_split", "--seconds", 600):
        subprocess.run(
            ["unshare", "--pid", "--fork", "--mount-proc", CPROF, "record", "-q", "-a"]
            + ["-d", "1", "-o", path],
            check=True,
            timeout=60,
            env=harness.cprof_environment(),
        )
    profile = Profile(path)
    assert samples_by_name(profile)["[outside]"] > 100
    assert profile.report()["quality"]["untracked"] == 0
    assert all(row["pid"] == 0 for row in profile.hotspots("--by", "thread")
               if row["comm"] == "[outside]")


def test_many_idle_processes_cost_little(tmp_path):
    """500 of them: names are read at the start, mappings are not."""
    path = tmp_path / "a.pb.gz"
    sleepers = [
        subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL) for _ in range(500)
    ]
    try:
        begin = time.monotonic()
        cprof("record", "-q", "--no-symbols", "-a", "-d", "500ms", "-o", path)
        elapsed = time.monotonic() - begin
    finally:
        for sleeper in sleepers:
            sleeper.kill()
        for sleeper in sleepers:
            sleeper.wait()
    cost_s = Profile(path).report()["recording"]["recorder_cpu_ns"] / 1e9
    print(f"500 idle processes: {cost_s:.3f} s of CPU for half a second, {elapsed:.2f} s in all")
    assert cost_s < 0.25


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read()).group(1))


@pytest.mark.full
def test_memory_stays_while_processes_come_and_go(tmp_path):
    """20,000 of them. What the recorder holds follows what runs, not what has run."""
    path = tmp_path / "a.pb.gz"
    command = [harness.SAMPLES / "swarm", "--rounds", 5000, "--seconds", 900]
    sizes = []
    with Recorder("-q", "--no-symbols", "-a", "-o", path, "--", *command) as recorder:
        recorder.wait_attached()
        while recorder.process.poll() is None and harness.perf_event_fds(recorder.process.pid):
            sizes.append(resident_kib(recorder.process.pid))
            time.sleep(0.5)
        done = recorder.finish(timeout=900)
    truth = harness.find_truth(done.stdout)
    quarters = [max(part) for part in zip(*[iter(sizes)] * (len(sizes) // 4))]
    # of the binaries that run meanwhile, whoever runs them; they have a bound of their own
    tables = Profile(path).report()["recording"]["unwind_tables_bytes"] // 1024
    print(f"{truth['cells']} processes, most KiB held in each part of the time: {quarters}")
    print(f"of which unwind tables at the end: {tables}")
    assert truth["cells"] == 20000
    # 2 KiB for each would be 40 MiB
    assert quarters[-1] - tables <= 32 * 1024, (quarters, tables)
