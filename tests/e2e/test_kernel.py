"""Time in the kernel: shown, or credited to the code that entered it, never dropped silently."""

import harness
from tolerance import assert_share


def kernel_share(profile):
    hits = sum(c for frames, c in profile.folded() if any(f.endswith("_[k]") for f in frames))
    return hits / profile.samples


def system_share(truth):
    return truth["system_ns"] / (truth["system_ns"] + truth["user_ns"])


def assert_totals(profile):
    rows = {}
    for row in profile.hotspots():
        rows[row["function"]] = rows.get(row["function"], 0) + row["total_samples"]
    for function in profile.truth["functions"]:
        measured = rows.get(function["name"], 0) / profile.samples
        assert_share(function["name"], measured, function["share"], profile.samples)


def test_kernel_frames_stand_on_the_user_stack(recordings):
    profile = recordings("syscall_heavy")
    assert profile.report()["recording"]["kernel"] == "visible"
    assert_totals(profile)
    # getrusage has its own idea of where a system call begins: a wide margin.
    assert abs(kernel_share(profile) - system_share(profile.truth)) < 0.1
    under = [f for f, _ in profile.folded() if any(x.endswith("_[k]") for x in f)]
    below_read = [f for f in under if "read_zeros" in f]
    assert below_read
    for frames in below_read:
        kernel = [frame.endswith("_[k]") for frame in frames]
        assert kernel == sorted(kernel), f"kernel frames are the leaf side: {frames}"


def test_no_kernel_credits_the_time_to_the_user_stack(recordings):
    profile = recordings("syscall_heavy", "--cpu-seconds", 5.4, options=("--no-kernel",))
    assert profile.report()["recording"]["kernel"] == "credited"
    assert kernel_share(profile) == 0
    assert_totals(profile)
    # Nothing is missing: as many samples as CPU time.
    expected = 999 * profile.truth["cpu_ns"] / 1e9
    assert abs(profile.samples - expected) < 0.02 * expected


def test_hidden_kernel_time_is_said(nobody):
    """As nobody, with perf_event_paranoid 2: the kernel drops the samples taken in it."""
    program = nobody.add(harness.SAMPLES / "syscall_heavy")
    path = nobody.directory / "hidden.pb.gz"
    done = nobody.run("record", "-o", path, "--", program, "--cpu-seconds", 2)
    assert done.returncode == 0, done.stderr
    profile = harness.Profile(path, harness.find_truth(done.stdout), done)
    report = profile.report()
    assert report["recording"]["kernel"] == "hidden"
    assert kernel_share(profile) == 0
    invisible = report["quality"]["invisible_cpu_ns"]
    assert abs(invisible - profile.truth["system_ns"]) < 0.25 * profile.truth["cpu_ns"]
    assert "kernel" in harness.cprof("report", path).stdout
