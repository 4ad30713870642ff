"""Stacks that are deeper than what is copied with a sample: the largest copy has 64 KB. What is
missing is taken from memory or from an earlier stack, where that is certain enough."""

import re

import formats
import harness
from tolerance import assert_share

DEPTH = 1500  # 144 KB
SHALLOW = 600  # 58 KB: fits
LEAF_SIDE = ROOT_SIDE = 1024
ROOT_CHAIN = ["_start", "__libc_start_main_impl", "__libc_start_call_main", "main"]


def user(frames):
    return [frame for frame in frames if not frame.endswith("_[k]")]


def markers(frames):
    return [frame for frame in frames[1:3] if frame in ("[joined]", "[truncated]", "[depth]")]


def with_leaf(profile):
    """Samples in the works themselves: [(markers, user frames, root, leaf, count)]."""
    found = []
    for frames, count in profile.folded():
        leaf = [frame for frame in frames if frame in ("leaf_a", "leaf_b")]
        root = [frame for frame in frames if frame in ("root_a", "root_b")]
        if leaf:
            frames = user(frames)
            found.append((markers(frames), frames, root[0] if root else None, leaf[0], count))
    return found


def wrong_roots(profile):
    """Samples of one leaf below the other's root, and of all those with a root."""
    rooted = [row for row in with_leaf(profile) if row[2]]
    wrong = sum(c for _, _, root, leaf, c in rooted if root[-1] != leaf[-1])
    return wrong, sum(row[-1] for row in rooted)


def assert_leaf_shares(profile):
    """Among each other: beside them there are the calls of the clock and the recursion."""
    user = profile.user_self()
    n = user.get("leaf_a", 0) + user.get("leaf_b", 0)
    assert profile.samples >= 5000, profile.report()["quality"]
    for work in profile.truth["functions"]:
        assert_share(work["name"], user.get(work["name"], 0) / n, work["share"], n)


def test_every_joined_stack_is_the_right_one(recordings):
    profile = recordings("deep_recursion", "--cpu-seconds", 5.4)
    joined = [(user(f), c) for f, c in profile.folded() if "[joined]" in f and "burn_leaf" in f]
    assert sum(c for _, c in joined) > 0.5 * profile.samples
    for frames, _ in joined:
        assert markers(frames) == ["[joined]"]
        assert frames[2:6] == ROOT_CHAIN, frames[:8]
        assert frames.count("descend") == 2000
        assert frames[6:2006] == ["descend"] * 2000
    quality = profile.report()["quality"]
    assert sum(quality["joined"].values()) >= sum(c for _, c in joined)
    assert quality["complete_pct"] > quality["complete_unjoined_pct"]
    assert quality["complete_samples"] == quality["complete_unjoined_samples"] + sum(
        quality["joined"].values()
    )
    assert "of stacks joined" in harness.cprof("report", profile.path).stdout


def test_very_deep_stacks_keep_both_sides(recordings):
    args = ("--depth", 3500, "--a-pct", 100, "--cpu-seconds", 5.4)
    profile = recordings("deep_roots", *args)
    assert profile.samples >= 5000
    deep = [row for row in with_leaf(profile) if "[depth]" in row[0]]
    n_deep = sum(row[-1] for row in deep)
    assert n_deep > 0.5 * profile.samples
    for marks, frames, root, _, _ in deep:
        assert marks == ["[joined]", "[depth]"]
        assert root == "root_a"
        assert frames.count("[frames omitted]") == 1
        gap = frames.index("[frames omitted]")
        outer = frames[3:gap]
        # functions that are inlined are frames too
        assert len([f for f in outer if not f.endswith("_[i]")]) == ROOT_SIDE
        assert outer[:4] == ROOT_CHAIN
        measured = [f for f in frames[gap + 1 :] if not f.endswith("_[i]")]
        assert len(measured) == LEAF_SIDE
        assert set(outer[6:]) == {"descend"}
    report = profile.report()
    assert report["quality"]["stops"]["depth"] >= n_deep
    assert report["recording"]["omitted_frames"] >= n_deep * (3500 - LEAF_SIDE - ROOT_SIDE)


def test_what_changes_is_not_joined(recordings):
    """Phases of 2 ms below one root or the other, and no byte between that tells which."""
    profile = recordings("deep_roots", "--depth", DEPTH, "--cpu-seconds", 5.4)
    assert_leaf_shares(profile)
    wrong, rooted = wrong_roots(profile)
    assert wrong <= 0.005 * profile.samples, f"{wrong} of {rooted} are below the wrong root"
    quality = profile.report()["quality"]
    assert quality["stops"]["truncated"] > 0.9 * profile.samples
    recording = profile.report()["recording"]
    assert recording["join_failed_unsettled"] > 0.5 * profile.samples
    # Every cut stack is accounted for; of one in a thousand the copy ended by itself.
    failed = sum(v for k, v in recording.items() if k.startswith("join_failed_"))
    assert 0.999 * quality["stops"]["truncated"] <= failed <= quality["stops"]["truncated"]
    assert "outer frames change" in harness.cprof("report", profile.path).stdout
    assert quality["ended_in"][0]["stop"] == "truncated"
    assert quality["ended_in"][0]["path"].endswith("/deep_roots")


def test_what_changes_slowly_is_joined_rightly(recordings):
    args = ("--depth", DEPTH, "--phase-us", 1500000, "--cpu-seconds", 8)
    profile = recordings("deep_roots", *args)
    assert_leaf_shares(profile)
    wrong, rooted = wrong_roots(profile)
    assert rooted > 0.4 * profile.samples
    assert wrong <= 0.005 * rooted, f"{wrong} of {rooted} are below the wrong root"


def test_deep_and_less_deep_ones_in_turn(recordings):
    """Every 2 ms: memory is often another when it is read, then an earlier stack is taken."""
    args = ("--depth", DEPTH, "--shallow", SHALLOW, "--a-pct", 100, "--cpu-seconds", 5.4)
    profile = recordings("deep_roots", *args)
    assert profile.samples >= 5000
    rows = with_leaf(profile)
    joined = [row for row in rows if "[joined]" in row[0]]
    assert sum(row[-1] for row in joined) > 0.2 * profile.samples
    for _, frames, root, _, _ in joined:
        assert root == "root_a" and frames[2:6] == ROOT_CHAIN
    # a copy of less than 58 KB cuts the others too
    wrong = sum(r[-1] for r in joined if r[1].count("descend") not in (DEPTH, SHALLOW))
    assert wrong <= 0.005 * profile.samples
    quality = profile.report()["quality"]
    assert quality["joined"]["memory"] > 0
    assert quality["joined"]["callchain"] > 0


def test_joined_samples_can_be_left_out(recordings):
    profile = recordings("deep_recursion", "--cpu-seconds", 5.4)
    joined = profile.report()["quality"]["joined"]
    raw = formats.go_pprof(profile.path, "-tags", "-sample_index=samples").stdout
    found = dict(re.findall(r"(\d+)\.0 \([ \d.]+%\): (memory|callchain)\n", raw))
    assert {int(n): kind for n, kind in found.items()} == {n: k for k, n in joined.items() if n}
    folded = [(f, c) for f, c in profile.folded() if "[joined]" in f]
    assert sum(c for _, c in folded) == sum(joined.values())


def callers_of_spin(profile):
    """Samples in the work, by (its root, its leaf, whether joined): counts."""
    found = {}
    for frames, count in profile.folded():
        leaf = [frame for frame in frames if frame in ("spin_a", "spin_b")]
        if leaf:
            root = [f for f in user(frames) if f in ("cmd_a", "cmd_b", "cmd_b_same")]
            key = (root[0] if root else None, leaf[0], "[joined]" in frames)
            found[key] = found.get(key, 0) + count
    return found


def below_the_wrong_command(found):
    return sum(n for (root, leaf, _), n in found.items() if root and root[4] != leaf[5])


def test_a_buffer_touched_in_part_costs_no_caller(recordings):
    """The copy ends at its first page that is not in memory."""
    profile = recordings("stack_hole", "--cpu-seconds", 8)
    found = callers_of_spin(profile)
    n = sum(count for (_, _, joined), count in found.items() if joined)
    # what is missing is the first second's, until enough looks have agreed
    assert n > 0.9 * (sum(found.values()) - profile.samples / 8)
    # a turn of the other is seen late by some samples, which may be believed wrongly
    assert below_the_wrong_command(found) <= 0.005 * n, found
    for work in profile.truth["functions"]:
        leaf = sum(c for (_, leaf, _), c in found.items() if leaf[5] == work["name"][4])
        assert_share(work["name"], leaf / sum(found.values()), work["share"], sum(found.values()))
    for frames, _ in profile.folded():
        frames = user(frames)
        if "[joined]" in frames and frames[-1] in ("spin_a", "spin_b"):
            assert frames[2:6] == ROOT_CHAIN
            assert frames[-3:-1] == ["read_file", "parse"]
    recording = profile.report()["recording"]
    assert recording["join_failed_too_deep"] == 0


def test_callers_that_look_alike_are_not_guessed(recordings):
    """Their frames are of one size: only memory tells which, and it changes every few ms."""
    profile = recordings("stack_hole", "--cpu-seconds", 5.4, "--same", 1, "--phase-ms", 5)
    found = callers_of_spin(profile)
    joined = sum(n for (_, _, is_joined), n in found.items() if is_joined)
    assert joined <= 0.01 * profile.samples
    assert below_the_wrong_command(found) <= 0.005 * profile.samples
    recording = profile.report()["recording"]
    assert recording["join_failed_unsettled"] + recording["join_failed_changed"] > 0.9 * (
        profile.report()["quality"]["stops"]["truncated"]
    )


def test_a_runaway_recursion_is_left_alone(recordings):
    profile = recordings("deep_recursion", "--depth", 20000, "--cpu-seconds", 5.4)
    report = profile.report()
    truncated = report["quality"]["stops"]["truncated"]
    assert truncated > 0.5 * profile.samples
    failed = {k: v for k, v in report["recording"].items() if k.startswith("join_failed_")}
    # memory is read late on a busy machine, and has changed then: nothing else stands in the way
    assert failed["join_failed_too_deep"] + failed["join_failed_changed"] > 0.95 * truncated
    assert failed["join_failed_too_deep"] > 0.4 * truncated
    assert report["quality"]["lost"] <= 0.001 * profile.samples
    assert "deeper than cprof follows (1 MB)" in harness.cprof("report", profile.path).stdout
    assert report["recording"]["recorder_cpu_ns"] < 0.08e6 * profile.samples


def test_what_costs_too_much_is_left_and_said(recordings):
    """20,000 looks a second at 1 MB each: a hundred times what they may take of a CPU."""
    args = ("--depth", 8000, "--cpu-seconds", 3)
    profile = recordings("deep_roots", *args, options=("-F", 20000))
    report = profile.report()
    assert report["recording"]["join_failed_too_costly"] > 0.2 * profile.samples
    # stacks are what is given up, not samples
    assert report["quality"]["lost"] <= 0.01 * profile.samples
    assert "more than 4% of a CPU" in harness.cprof("report", profile.path).stdout
