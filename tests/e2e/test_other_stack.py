"""Stacks that go on on another one. Handlers of signals (sigaltstack): what they have interrupted is
read from memory while they still run, and believed where it does not change. Go's runtime: nothing
that is left on a thread's own stack is taken for the caller of what runs there."""

import subprocess
import sys
import time

import harness
import pytest

sys.path.insert(0, str(harness.REPOSITORY / "tests" / "support" / "unwind_oracle"))

import programs  # noqa: E402

SOURCE = harness.REPOSITORY / "tests" / "support" / "kinds" / "alternate.c"
OUTER = ["_start", "__libc_start_main_impl", "__libc_start_call_main", "main"]
INNER = ["traps", "__restore_rt", "handler"]
CPU_MS = 20_000 if harness.FULL else 3000


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("alternate") / "alternate"
    subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", SOURCE, "-o", path], check=True)
    return path


def record(program, how, spins):
    """Samples in the handler's leaf: [(marker or None, function that was told, frames, count)]."""
    path = program.parent / f"{how}-{spins}.pb.gz"
    with harness.Recorder("-o", path, "--", program, "alt", CPU_MS, how, spins) as recorder:
        done = recorder.finish(timeout=300, status=None)
    assert done.returncode == 0, done.stderr
    profile = harness.Profile(path)
    found = []
    for frames, count in profile.folded():
        frames = [frame for frame in frames[1:] if not frame.endswith("_[k]")]
        marker = frames.pop(0) if frames and frames[0].startswith("[") else None
        if frames and frames[-1] in ("leaf_even", "leaf_odd"):
            found.append((marker, frames[-1].removeprefix("leaf_"), frames, count))
    n = sum(count for *_, count in found)
    assert n > 0.7 * profile.samples > 0.5 * CPU_MS / 10
    return profile, found, n


def assert_true_frames(found):
    """Joined stacks are whole and right, others have the inner frames and nothing else."""
    for marker, function, frames, _ in found:
        assert marker in ("[joined]", "[truncated]"), frames
        outer = OUTER + [function] if marker == "[joined]" else []
        assert frames == outer + INNER + [f"leaf_{function}"], marker


# Where a thread of Go's begins, or a goroutine, and what has changed stacks: none has a caller.
GO_ROOTS = {"runtime.goexit", "runtime.clone", "runtime.mstart", "runtime.rt0_go"}
GO_SWITCHES = {
    "runtime.systemstack": "[truncated]",
    "runtime.mcall": None,
    "runtime.morestack": "[truncated]",
}


def test_what_go_left_on_the_threads_stack_is_no_caller(tmp_path):
    path = tmp_path / "go.pb.gz"
    with programs.running("go", tmp_path) as process:
        with harness.Recorder("-o", path, "-p", process.pid) as recorder:
            recorder.wait_attached()
            begin = programs.cpu_ticks(process.pid)
            while programs.cpu_ticks(process.pid) < begin + CPU_MS // 10:
                time.sleep(0.05)
            recorder.interrupt()
            done = recorder.finish(timeout=60, status=None)
    assert done.returncode == 0, done.stderr
    switched, n = dict.fromkeys(GO_SWITCHES, 0), 0
    profile = harness.Profile(path)
    for frames, count in profile.folded():
        frames = [f.removesuffix(".abi0") for f in frames[1:] if not f.endswith("_[k]")]
        marker = frames.pop(0) if frames and frames[0].startswith("[") else None
        n += count
        # as the leaf, one of them may not have left its caller's stack yet, or be back on it
        for frame in GO_SWITCHES.keys() & set(frames[:-1]):
            if frames[-2:] == ["runtime.systemstack", "gosave_systemstack_switch"]:
                continue  # called right before the switch: systemstack's caller is still there
            assert frames[0] == frame and marker == GO_SWITCHES[frame], frames
            switched[frame] += count
        if frames and marker is None and len(frames) > 1:
            assert frames[0] in GO_ROOTS | GO_SWITCHES.keys(), frames
    assert n > 0.5 * CPU_MS / 10
    assert switched["runtime.systemstack"] > 0.02 * n, switched
    assert switched["runtime.mcall"] > 0, switched
    # said as what it is: a larger copy would not have helped
    report = profile.report()
    elsewhere = switched["runtime.systemstack"] + switched["runtime.morestack"]
    left_copy = report["recording"]["left_copy"]
    assert elsewhere <= left_copy <= report["quality"]["stops"]["truncated"], switched
    assert "on another stack, which was not copied" in harness.cprof("report", path).stdout


def test_what_a_long_handler_has_interrupted_is_there(program):
    profile, found, n = record(program, "even", 8000)  # 0.8 s
    assert_true_frames(found)
    joined = sum(count for marker, *_, count in found if marker == "[joined]")
    assert joined > 0.3 * n, profile.report()["recording"]
    assert profile.report()["quality"]["joined"]["memory"] >= joined


@pytest.mark.parametrize("spins", [1, 300])
def test_what_changes_below_a_handler_is_not_joined(program, spins):
    profile, found, n = record(program, "random", spins)
    assert_true_frames(found)
    told = {function: 0 for function in ("even", "odd")}
    for _, function, _, count in found:
        told[function] += count
    assert min(told.values()) > 0.2 * n, told
    recording = profile.report()["recording"]
    failed = sum(v for k, v in recording.items() if k.startswith("join_failed_"))
    joined = sum(count for marker, *_, count in found if marker == "[joined]")
    assert failed >= n - joined, recording
