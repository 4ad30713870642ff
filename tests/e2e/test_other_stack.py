"""Stacks that go on on another one. Handlers of signals (sigaltstack): what they have interrupted is
read from memory while they still run, and believed where it does not change. Go's runtime: nothing
that is left on a thread's own stack is taken for the caller of what runs there."""

import re
import subprocess
import sys

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
        done = recorder.first_in_line().finish(timeout=300, status=None)
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
# They change stacks too, but have frames of their own.
GO_CALLS_OF_THE_VDSO = {"runtime.nanotime1", "runtime.walltime"}


def go_names(frames):
    return [f.removesuffix(".abi0") for f in frames if not f.endswith(("_[k]", "_[i]"))]


class GoCalls:
    """Who calls whom, by the program's instructions."""

    def __init__(self, program):
        text = subprocess.run(
            ["objdump", "-d", "--no-show-raw-insn", program],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        self.callees, self.by_pointer, name = {}, set(), None
        for line in text.splitlines():
            if line.endswith(">:"):
                name = line[line.index("<") + 1 : -2].removesuffix(".abi0")
            elif found := re.search(r"\t(?:call|jmp) +[0-9a-f]+ <([^>]+)>", line):
                self.callees.setdefault(name, set()).add(found[1].removesuffix(".abi0"))
            elif re.search(r"\tcall +\*", line):
                self.by_pointer.add(name)

    def can_call(self, caller, callee):
        # on the thread's stack already, systemstack() jumps to what it is to call
        called = self.callees.get(caller, ())
        return callee in called or caller in self.by_pointer or "runtime.systemstack" in called

    def has_one_between(self, caller, callee):
        """A function that the one calls and that calls the other, by its name."""
        called = self.callees.get(caller, set())
        return any(callee in self.callees.get(c, ()) for c in called) or caller in self.by_pointer


def assert_goroutine(calls, frames):
    """A stack of two: the goroutine's frames, the switch, and what it calls."""
    assert frames[0] == "runtime.goexit", frames
    # further in, systemstack() may stand once more, as the leaf: it changes nothing there
    switches = [
        i
        for i, frame in enumerate(frames)
        if frame in GO_CALLS_OF_THE_VDSO
        or (frame in GO_SWITCHES and frames[i - 1] == "[frames omitted]")
    ]
    assert switches, frames
    switch = switches[-1]
    for i in range(2, switch + 1):
        caller, callee = frames[i - 1 : i + 1]
        if callee == "[frames omitted]":
            assert calls.has_one_between(caller, frames[i + 1]), (caller, frames[i + 1])
        elif caller != "[frames omitted]":
            assert calls.can_call(caller, callee), (caller, callee)


def test_what_go_does_on_the_threads_stack_is_its_goroutines(tmp_path):
    """Nothing that is left on a thread's own stack is taken for the caller of what runs there."""
    path = tmp_path / "go.pb.gz"
    with programs.running("go", tmp_path) as process:
        calls = GoCalls(f"/proc/{process.pid}/exe")
        with harness.Recorder("-o", path, "-p", process.pid) as recorder:
            recorder.first_in_line().wait_attached()
            harness.wait_cpu(process.pid, CPU_MS / 1000)
            recorder.interrupt()
            done = recorder.finish(timeout=60, status=None)
    assert done.returncode == 0, done.stderr
    switched, n, n_joined = dict.fromkeys(GO_SWITCHES, 0), 0, 0
    profile = harness.Profile(path)
    for frames, count in profile.folded():
        frames = go_names(frames[1:])
        marker = frames.pop(0) if frames and frames[0].startswith("[") else None
        n += count
        if marker == "[joined]":
            assert_goroutine(calls, frames)
            n_joined += count
            continue
        # as the leaf, one of them may not have left its caller's stack yet, or be back on it
        for frame in GO_SWITCHES.keys() & set(frames[:-1]):
            if frames[-2:] == ["runtime.systemstack", "gosave_systemstack_switch"]:
                continue  # called right before the switch: systemstack's caller is still there
            assert frames[0] == frame and marker == GO_SWITCHES[frame], frames
            switched[frame] += count
        if frames and marker is None and len(frames) > 1:
            assert frames[0] in GO_ROOTS | GO_SWITCHES.keys(), frames
    assert n > 0.5 * CPU_MS / 10
    assert n_joined > 0.02 * n, switched
    assert switched["runtime.mcall"] > 0, switched
    quality = profile.report()["quality"]
    assert quality["joined"]["frame_pointers"] == n_joined
    # the others: the first ones, before chains are asked for, and C code that uses rbp otherwise
    elsewhere = switched["runtime.systemstack"] + switched["runtime.morestack"]
    assert elsewhere < 0.1 * n_joined, switched
    left_copy = profile.report()["recording"]["left_copy"]
    assert elsewhere <= left_copy <= quality["stops"]["truncated"], switched


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
