"""Time off the CPU: durations and locks against what samples/waits has measured itself."""

import os
import re

import formats
import harness
import pytest
from harness import cprof

KINDS = ("lock", "read", "sleep")
STATES = {"lock": "lock", "read": "io", "sleep": "sleep"}
# Of these seven ways to wait for ever, two of each depth.
STILL = 14


def offcpu(recordings, *args, options=()):
    return recordings("waits", *args, options=("--mode", "offcpu", *options))


@pytest.fixture(scope="session")
def waits(recordings):
    return offcpu(recordings, "--seconds", 3)


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
    return next(t for t in truth["threads"] if t["name"] == name)


def assert_close(measured, truth, tolerance, what):
    assert abs(measured - truth) <= tolerance * truth, f"{what}: {measured} for {truth}"


def estimated(profile, function=None):
    """ns that are shown with the stack of another wait, below a function or in all."""
    return sum(
        count
        for frames, count in profile.folded()
        if "[estimated]" in frames and (function is None or function in frames)
    )


def check_durations(profile):
    """
    Within 2 % are those that were looked at. What else there is is exact in sum and estimated in
    parts, which are small where the recorder may run when it is due. What the program measures
    goes on while it finds no CPU, which is another state in the profile.
    """
    everywhere = estimated(profile)
    assert everywhere < 0.5 * profile.samples
    recording = profile.report()["recording"]
    no_cpu = recording["off_cpu_run_queue_ns"]
    elsewhere = no_cpu + recording["off_cpu_wait_ns"] - recording["off_cpu_seen_ns"]
    for kind in KINDS:
        truth = profile.truth[f"{kind}_ns"]
        measured, count = time_in(profile, f"wait_{kind}")
        here = estimated(profile, f"wait_{kind}")
        assert measured - here <= 1.02 * truth, f"{kind}: {measured} ({here}) for {truth}"
        most = measured - here + elsewhere
        assert most >= 0.98 * truth, f"{kind}: {measured} for {truth}"
        assert count >= 10, kind


def row_of_lock(profile):
    address = hex(profile.truth["lock_address"])
    rows = [row for row in profile.hotspots("--by", "lock") if row["lock"] == address]
    assert len(rows) == 1
    (row,) = rows
    assert row["pid"] == profile.truth["pid"]
    assert row["comm"] == "waits"
    mine = [stack for stack in row["stacks"] if "wait_lock" in stack["frames"]]
    assert sum(stack["samples"] for stack in mine) >= 0.99 * row["self_samples"]
    return row


def test_durations_are_those_that_the_program_has_measured(waits):
    check_durations(waits)


def test_a_threads_time_is_its_life_without_its_cpu_time(waits):
    """Whatever its stacks were, nothing of it is missing, and nothing counts twice."""
    mixed = of_thread(waits.truth, "mixed")
    measured = thread_time(waits, mixed["tid"])
    assert_close(measured, waits.truth["wall_ns"] - mixed["cpu_ns"], 0.01, "mixed")


def test_states_are_those_of_the_waits(waits):
    for kind in KINDS:
        report = waits.report("--focus", f"^wait_{kind}$", "--by", "state")
        selected = report["totals"]["selected_samples"]
        states = {row["state"]: row["self_samples"] for row in report["hotspots"]}
        assert states[STATES[kind]] >= 0.99 * selected, states
    states = waits.hotspots("--by", "state")
    assert sum(row["self_samples"] for row in states) == waits.samples


def test_the_lock_is_the_programs(waits):
    row = row_of_lock(waits)
    seen = row["self_samples"] - estimated(waits, "wait_lock")
    assert seen <= 1.02 * waits.truth["lock_ns"]
    text = cprof("report", waits.path, "--by", "lock").stdout
    assert re.search(rf"{hex(waits.truth['lock_address'])} +waits \(pid \d+\), 1 thread", text)
    assert re.search(r"^ +[0-9.]+ s +.* < wait_lock < one_wait < run_mixed", text, re.M)


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
    for thread in busy.truth["threads"]:
        if not thread["name"].startswith("burner"):
            continue
        # from before the first of them was made
        expected = busy.truth["wall_ns"] - thread["cpu_ns"]
        assert_close(thread_time(busy, thread["tid"]), expected, 0.05, thread["name"])
    runnable = next(r for r in busy.hotspots("--by", "state") if r["state"] == "runnable")
    waited = sum(
        busy.truth["wall_ns"] - thread["cpu_ns"]
        for thread in busy.truth["threads"]
        if thread["name"].startswith("burner")
    )
    assert runnable["self_samples"] >= 0.94 * waited


def test_threads_that_never_run_have_their_stacks_too(busy):
    """No record tells of them; looks do."""
    life = busy.report()["recording"]["duration_ns"]
    row = next(r for r in busy.hotspots("--by", "thread") if r["thread"] == "still")
    assert_close(row["self_samples"], life, 0.02, "one that never runs")
    measured, count = time_in(busy, "wait_forever")
    assert count >= STILL
    assert_close(measured, STILL * life, 0.02, "all of them")
    address = hex(busy.truth["still_lock_address"])
    lock = next(r for r in busy.hotspots("--by", "lock") if r["lock"] == address)
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
    mixed = of_thread(profile.truth, "mixed")
    expected = profile.truth["wall_ns"] - mixed["cpu_ns"]
    assert_close(thread_time(profile, mixed["tid"]), expected, 0.01, "mixed")
    assert profile.report()["recording"]["off_cpu_durations"] == "exact"


def test_without_perf_durations_are_sampled_and_the_report_says_so(recordings):
    profile = offcpu(recordings, "--seconds", 3, options=("--engine", "ptrace"))
    recording = profile.report()["recording"]
    assert recording["engine"] == "ptrace"
    assert recording["off_cpu_durations"] == "sampled"
    assert profile.report()["value"]["type"] == "off_cpu"
    everywhere = {r["state"]: r["self_samples"] for r in profile.hotspots("--by", "state")}
    assert "running" not in everywhere
    for kind in KINDS:
        states = profile.hotspots("--focus", f"^wait_{kind}$", "--by", "state")
        row = next(r for r in states if r["state"] == STATES[kind])
        truth = profile.truth[f"{kind}_ns"]
        # each wait is met once or not at all: 4 standard deviations of their number
        error = 0.05 + 4 / row["self_count"] ** 0.5
        assert row["self_samples"] <= (1 + error) * truth, kind
        # the program counts until it runs again; here that time is a state of its own
        most = row["self_samples"] + everywhere.get("runnable", 0)
        assert most >= (1 - error) * truth, kind
    row_of_lock(profile)
    mixed = of_thread(profile.truth, "mixed")
    expected = profile.truth["wall_ns"] - mixed["cpu_ns"]
    assert_close(thread_time(profile, mixed["tid"]), expected, 0.1, "mixed")
    assert "durations are sampled" in cprof("report", profile.path).stdout


def test_the_whole_machine_is_refused(tmp_path):
    done = cprof("record", "--mode", "offcpu", "-a", "-d", 1, cwd=tmp_path, status=1)
    assert "of chosen processes, not of the whole machine" in done.stderr


def test_a_cpu_profile_has_no_locks(cpu_split):
    done = cprof("report", cpu_split.path, "--by", "lock", status=4)
    assert "record with --mode wall or --mode offcpu" in done.stderr
