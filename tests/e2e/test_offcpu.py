"""Time off the CPU: durations and locks against what samples/waits has measured itself."""

import os
import re

import formats
import harness
import pytest
from harness import cprof, row_where

KINDS = ("lock", "read", "sleep")
STATES = {"lock": "lock", "read": "io", "sleep": "sleep"}
# Of these seven ways to wait for ever, two of each depth.
STILL = 14
# Two clocks, and what lies between their readings and the switches: of times of seconds.
ERROR = 0.005
# Of CPU time, what the thread's clock leaves out: interrupts, and what the hypervisor takes.
TAKEN = 0.03


def offcpu(recordings, *args, options=()):
    return recordings("waits", *args, options=("--mode", "offcpu", *options))


@pytest.fixture(scope="session")
def waits(recordings):
    return offcpu(recordings, "--seconds", 3, "--waits", 30)


@pytest.fixture(scope="session")
def busy(recordings):
    """More threads than CPUs, and some that never run."""
    return offcpu(
        recordings, "--seconds", 2, "--burners", 2 * os.cpu_count(), "--still", STILL
    )


def time_in(profile, function):
    """ns and waits below a function."""
    totals = profile.report("--focus", f"^{function}$")["totals"]
    return totals["selected_samples"], totals["selected_count"]


def thread_time(profile, tid):
    return sum(r["self_samples"] for r in profile.hotspots("--by", "thread") if r["tid"] == tid)


def of_thread(truth, name):
    return row_where(truth["threads"], name=name)


def assert_close(measured, truth, tolerance, what):
    assert abs(measured - truth) <= tolerance * truth, f"{what}: {measured} for {truth}"


def assert_between(measured, least, most, what):
    """Within what the clocks differ by."""
    assert least * (1 - ERROR) <= measured <= most * (1 + ERROR), (
        f"{what}: {measured} measured, {least} to {most} true"
    )


def assert_life(profile, name, error=0):
    """A thread's time off the CPU is its life without its CPU time, whatever its stacks were."""
    truth = profile.truth
    thread = of_thread(truth, name)
    measured = thread_time(profile, thread["tid"])
    least, most = (truth[f"{name}_{key}_ns"] - thread["cpu_ns"] for key in ("least", "most"))
    assert_between(measured, least - TAKEN * thread["cpu_ns"] - error, most + error, name)


def estimated(profile, function=None):
    """ns that are shown with the stack of another wait, below a function or in all."""
    return sum(
        count
        for frames, count in profile.folded()
        if "[estimated]" in frames and (function is None or function in frames)
    )


def blocked_ns(truth, kind):
    """
    The least and the most that a kind of waits has taken, from the switch away to the switch back:
    without its CPU time, and without time in the run queue, as far as that was for a CPU that was
    taken away. The latter is known only together with what followed the wake-up.
    """
    most = truth[f"{kind}_ns"] - truth[f"{kind}_cpu_ns"]
    return most - truth[f"{kind}_preempted_ns"], most


def mixed_waits(profile):
    """
    ns that the thread has waited for something, as Go reads the profile: {function: ns} of the
    waits that have a stack of their own, and all of the others.
    """
    tid = str(of_thread(profile.truth, "mixed")["tid"])
    seen, others = dict.fromkeys([*KINDS, "for_holder"], 0), 0
    for sample in formats.pprof_samples(profile.path):
        labels, ns = sample["labels"], sample["values"]["off_cpu/nanoseconds"]
        if labels["tid"] != tid or labels["state"] == "runnable":
            continue
        found = [kind for kind in seen if f"wait_{kind}" in sample["stack"]]
        if found and labels.get("inferred") != "wait":
            seen[found[0]] += ns
        else:
            others += ns
    return seen, others


def check_durations(profile):
    """
    All waits together are as long as the program has measured, however few were looked at: those
    that were not are exact in sum. Each kind lacks no more than those.
    """
    seen, others = mixed_waits(profile)
    seen["holder"] = seen.pop("for_holder")
    assert others < 0.5 * (sum(seen.values()) + others), (seen, others)
    truth = {kind: blocked_ns(profile.truth, kind) for kind in seen}
    least, most = (sum(bounds) for bounds in zip(*truth.values()))
    assert_between(sum(seen.values()) + others, least, most, "all waits")
    for kind in KINDS:
        assert_between(seen[kind], truth[kind][0] - others, truth[kind][1], kind)
        count = time_in(profile, f"wait_{kind}")[1]
        assert count >= 10, f"{kind}: {count} of {profile.truth[f'{kind}_waits']}"


def row_of_lock(profile):
    address = hex(profile.truth["lock_address"])
    row = row_where(profile.hotspots("--by", "lock"), lock=address)
    assert row["pid"] == profile.truth["pid"]
    assert row["comm"] == "waits"
    mine = [stack for stack in row["stacks"] if "wait_lock" in stack["frames"]]
    assert sum(stack["samples"] for stack in mine) >= 0.99 * row["self_samples"]
    return row


def test_durations_are_those_that_the_program_has_measured(waits):
    check_durations(waits)


def test_a_threads_time_is_its_life_without_its_cpu_time(waits):
    """Nothing of it is missing, and nothing counts twice."""
    assert_life(waits, "mixed")


def test_states_are_those_of_the_waits(waits):
    for kind in KINDS:
        report = waits.report("--focus", f"^wait_{kind}$", "--by", "state")
        selected = report["totals"]["selected_samples"]
        states = {row["state"]: row["self_samples"] for row in report["hotspots"]}
        assert states.get(STATES[kind], 0) >= 0.99 * selected, (kind, states)
    states = waits.hotspots("--by", "state")
    assert sum(row["self_samples"] for row in states) == waits.samples


def test_the_lock_is_the_programs(waits):
    row = row_of_lock(waits)
    seen = row["self_samples"] - estimated(waits, "wait_lock")
    assert seen <= (1 + ERROR) * blocked_ns(waits.truth, "lock")[1]
    text = cprof("report", waits.path, "--by", "lock").stdout
    assert re.search(rf"{hex(waits.truth['lock_address'])} +waits \(pid \d+\), 1 thread", text)
    callers = r"^ +[0-9.]+ s +.* < wait_lock < measure < one_wait < run_mixed"
    assert re.search(callers, text, re.M), text


def test_the_report_says_that_durations_are_exact(waits):
    recording = waits.report()["recording"]
    assert recording["mode"] == "offcpu"
    assert recording["engine"] == "perf"
    assert recording["off_cpu_durations"] == "exact"
    assert recording["off_cpu_broken"] == 0
    assert recording["off_cpu_refused"] == 0
    assert recording["off_cpu_wait_ns"] + recording["off_cpu_run_queue_ns"] == waits.samples
    text = cprof("report", waits.path).stdout
    assert "context-switches (exact durations)" in text
    assert "s off-CPU time on 3 threads of 1 process" in text
    assert "durations are exact, from the kernel's records of switches; " in text
    # most of these waits are longer than the distance of two looks
    assert recording["off_cpu_seen_ns"] > 0.5 * recording["off_cpu_wait_ns"]


def test_what_is_estimated_is_marked(waits):
    recording = waits.report()["recording"]
    quality = waits.report()["quality"]
    assert quality["inferred"]["wait"] == recording["off_cpu_estimated_ns"]
    marked = sum(count for frames, count in waits.folded() if "[estimated]" in frames)
    assert marked == recording["off_cpu_estimated_ns"]


def test_every_format_has_the_same_time(waits, tmp_path):
    total = waits.samples
    assert waits.report()["value"] == {"type": "off_cpu", "unit": "nanoseconds"}
    assert sum(row["self_samples"] for row in waits.hotspots()) == total
    assert sum(count for _, count in waits.folded()) == total
    raw = formats.pprof_raw(waits.path)
    assert raw["off_cpu/nanoseconds"] == total
    assert raw["samples/count"] == waits.report()["totals"]["count"]
    top = formats.go_pprof(waits.path, "-top").stdout
    assert "Type: off_cpu\n" in top
    assert re.search(r"s +[0-9.]+% .* wait_lock\n", top)
    labels = formats.go_pprof(waits.path, "-raw").stdout
    assert f"waits_for:[{hex(waits.truth['lock_address'])}]" in labels
    assert "state:[lock]" in labels
    svg = tmp_path / "x.svg"
    cprof("flamegraph", waits.path, "-o", svg)
    assert int(formats.svg_root(svg).attrib["data-total-samples"]) == total
    text = svg.read_text()
    assert " s off-CPU time \u00b7 " in text
    assert re.search(r"<title>wait_lock \([0-9.]+ m?s, [0-9.]+ %\)</title>", text)


def test_threads_that_find_no_cpu_wait_for_one(busy):
    waited = 0
    for name in (thread["name"] for thread in busy.truth["threads"]):
        assert_life(busy, name)
        if name.startswith("burner"):
            waited += thread_time(busy, of_thread(busy.truth, name)["tid"])
    runnable = row_where(busy.hotspots("--by", "state"), state="runnable")
    assert runnable["self_samples"] >= 0.99 * waited


def test_threads_that_never_run_have_their_stacks_too(busy):
    """No record tells of them; looks do. They are born while it records."""
    life = busy.report()["recording"]["duration_ns"]
    rows = [row for row in busy.hotspots("--by", "thread") if row["thread"] == "still"]
    assert len(rows) == STILL
    for row in rows:
        least = 0.98 * busy.truth["still_least_ns"]
        assert_between(row["self_samples"], least, life, row["tid"])
    measured, count = time_in(busy, "wait_forever")
    assert count >= STILL
    least = 0.98 * busy.truth["still_waited_ns"]
    assert_between(measured, least, STILL * life, "all of them")
    address = hex(busy.truth["still_lock_address"])
    lock = row_where(busy.hotspots("--by", "lock"), lock=address)
    assert lock["threads"] == STILL / 7
    for stack in lock["stacks"]:
        assert stack["frames"][-2:] == ["start_thread", "__clone3"], stack
        assert "run_still" in stack["frames"]


def test_threads_that_waited_before_it_attached_are_all_there(tmp_path):
    """Also those whose stacks there was no time for."""
    path = tmp_path / "x.pb.gz"
    with harness.Sample("waits", "--still", 50, "--seconds", 60) as target:
        cprof("record", "--mode", "offcpu", "-p", target.pid, "-d", 1, "-o", path)
    profile = harness.Profile(path)
    life = profile.report()["recording"]["duration_ns"]
    still = [row for row in profile.hotspots("--by", "thread") if row["thread"] == "still"]
    assert len(still) == 50
    for row in still:
        assert_close(row["self_samples"], life, 0.01, row["tid"])


def test_it_takes_no_privileges(nobody):
    sample = nobody.add(harness.SAMPLES / "waits")
    path = nobody.directory / "x.pb.gz"
    done = nobody.run("record", "--mode", "offcpu", "-o", path, "--", sample, "--seconds", 2)
    assert done.returncode == 0, done.stderr
    profile = harness.Profile(path, harness.find_truth(done.stdout), done)
    check_durations(profile)
    row_of_lock(profile)
    assert_life(profile, "mixed")
    assert profile.report()["recording"]["off_cpu_durations"] == "exact"


def test_without_perf_durations_are_sampled_and_the_report_says_so(recordings):
    """By as many looks as there can be: what they cost is another test's."""
    options = ("--engine", "ptrace", "--max-overhead", 20)
    profile = offcpu(recordings, "--seconds", 3, "--waits", 60, options=options)
    recording = profile.report()["recording"]
    assert recording["engine"] == "ptrace"
    assert recording["off_cpu_durations"] == "sampled"
    assert profile.report()["value"]["type"] == "off_cpu"
    truth = profile.truth
    everywhere = {r["state"] for r in profile.hotspots("--by", "state")}
    assert "running" not in everywhere
    for kind in KINDS:
        states = profile.hotspots("--focus", f"^wait_{kind}$", "--by", "state")
        row = row_where(states, state=STATES[kind])
        # in a state of its own: what the thread waited for a CPU
        true = truth[f"{kind}_ns"] - truth[f"{kind}_cpu_ns"] - truth[f"{kind}_queue_ns"]
        # each wait is met once or not at all: 4 standard deviations of their number
        met = min(row["self_count"], truth[f"{kind}_waits"])
        assert met >= 30, f"{kind}: {row} of {truth[f'{kind}_waits']} waits, {recording}"
        assert_close(row["self_samples"], true, 0.05 + 4 / met**0.5, kind)
    row_of_lock(profile)
    # threads are met within a tenth of a second
    assert_life(profile, "mixed", 0.2e9)
    assert "durations are sampled" in cprof("report", profile.path).stdout


def test_the_whole_machine_is_refused(tmp_path):
    done = cprof("record", "--mode", "offcpu", "-a", "-d", 1, cwd=tmp_path, status=1)
    assert "of chosen processes, not of the whole machine" in done.stderr


def test_a_cpu_profile_has_no_locks(cpu_split):
    done = cprof("report", cpu_split.path, "--by", "lock", status=4)
    assert "record with --mode wall or --mode offcpu" in done.stderr
