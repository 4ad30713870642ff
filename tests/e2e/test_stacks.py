"""How far stacks reach, and what is said of those that do not."""

from harness import row_where
from tolerance import assert_share, tolerance


def stacks_of(profile, function):
    """Of the work itself: before it, the sample finds out how fast the machine is."""
    return [
        (frames, count)
        for frames, count in profile.folded()
        if function in frames and "truth_calibrate" not in frames
    ]


def test_a_deep_stack_keeps_its_leaf_side_and_is_counted(recordings):
    profile = recordings("deep_recursion", "--cpu-seconds", 5.4)
    n = profile.samples
    shares = {f["name"]: f["share"] for f in profile.truth["functions"]}
    user = profile.user_self()
    for name, share in shares.items():
        assert_share(name, user.get(name, 0) / n, share, n)
    for frames, _ in stacks_of(profile, "burn_leaf"):
        user = [frame for frame in frames if not frame.endswith("_[k]")]
        assert "truth_block" in user and "run_phase" in user, user[-5:]
        outer = user[: user.index("truth_block")]
        # Of a cut stack, what fits: 2,000 frames never do, truth_block's own may fill a small copy.
        assert set(outer[2:]) <= {"descend"} or "[joined]" in frames
        if "[joined]" in frames:
            assert outer.count("descend") == 2000
    quality = profile.report()["quality"]
    deep = quality["stops"]["truncated"] + sum(quality["joined"].values())
    assert deep / n >= shares["burn_leaf"] - tolerance(shares["burn_leaf"], n)
    assert deep + quality["complete_unjoined_samples"] == n


def test_a_stack_that_was_cut_says_so_in_folded_output(recordings):
    profile = recordings("deep_recursion", "--cpu-seconds", 5.4)
    deep = stacks_of(profile, "burn_leaf")
    assert {frames[1] for frames, _ in deep} == {"[truncated]", "[joined]"}
    for frames, _ in deep:
        assert ("main" in frames) == (frames[1] == "[joined]")


def test_a_stack_that_fits_is_complete(recordings):
    # 20 frames are less than 4 KB: half of what is copied to begin with, so that they also fit
    # when a recorder that a busy machine keeps waiting has halved it, to lose no sample.
    profile = recordings("deep_recursion", "--depth", 20, "--cpu-seconds", 5.4)
    n = profile.samples
    assert profile.report()["recording"]["dump_bytes_min"] >= 4096
    assert profile.report()["quality"]["complete_pct"] > 99.5
    deep = stacks_of(profile, "burn_leaf")
    assert sum(c for _, c in deep) / n > 0.7
    for frames, _ in deep:
        assert frames.count("descend") == 20
        assert "main" in frames
    # A recursive function counts once in its total.
    shares = {f["name"]: f["share"] for f in profile.truth["functions"]}
    descend = row_where(profile.hotspots(), function="descend")
    assert_share("descend", descend["total_samples"] / n, shares["burn_leaf"], n)


def test_stacks_are_complete_without_frame_pointers(recordings):
    for sample in ("no_fp", "no_debug", "stripped"):
        assert recordings(sample).report()["quality"]["complete_pct"] > 99.5, sample


def test_nothing_is_lost_at_the_default_rate(cpu_split):
    quality = cpu_split.report()["quality"]
    assert quality["lost"] == 0
    assert quality["untracked"] == 0
    # 999 samples for each second of CPU time.
    expected = 999 * cpu_split.truth["cpu_ns"] / 1e9
    assert abs(cpu_split.samples - expected) < 0.02 * expected
