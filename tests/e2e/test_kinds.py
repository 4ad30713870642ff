"""Every kind of binary: frames from the root to the leaf, and how many stacks are whole.

Many kinds share one recording: each is a process with a name of its own. See kinds.py.
"""

import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import kinds
from harness import FULL, Profile, Recorder, REPOSITORY

SOURCE = REPOSITORY / "tests" / "support" / "kinds"
MS = 1000 if FULL else 300
MARKER = re.compile(r"\[(truncated|no_map|no_cfi|unsupported|sp_backwards|bad_ra|depth|no_user)\]")
# Stacks without a user part are whole: the kernel's work before and behind the program.
WHOLE = (None, "no_user")


def sh(command, cwd=None):
    done = subprocess.run(command, shell=True, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


class Workshop:
    """Builds programs, each once, and writes the script that runs a kind."""

    def __init__(self, directory):
        self.directory = Path(directory)
        (self.directory / "run").mkdir()
        self.library = self.directory / "libkinds.so"
        sh(f"gcc -O2 -shared -fPIC {SOURCE}/library.c -o {self.library}")
        for name in ("a", "b"):
            sh(
                f"gcc -O2 -shared -fPIC -DNAME=library_{name} {SOURCE}/library.c"
                f" -o {self.directory}/{name}.so"
            )
        self.words = {"source": SOURCE, "directory": self.directory, "library": self.library}

    def build(self, kind):
        program = self.directory / kind.name
        compiler, source, *flags = kind.program
        flags = " ".join(shlex.quote(flag.format(**self.words)) for flag in flags)
        commands = {
            "rustc": f"rustc {flags} {SOURCE / source} -o {program}",
            "go": f"GOFLAGS= CGO_ENABLED=0 go build {flags} -o {program} {SOURCE / source}",
            "node": f"ln -s $(readlink -f $(command -v node)) {program}",
        }
        flags = re.sub(r"\b(bare\.S)", f"{SOURCE}/\\1", flags)
        sh(commands.get(compiler, f"{compiler} -D_GNU_SOURCE {SOURCE / source} {flags} -o {program}"))
        for command in kind.after:
            sh(command.format(program=program, **self.words))
        return program

    def write_script(self, kind, program):
        words = dict(
            self.words,
            program=program,
            name=kind.name,
            ms=MS,
        )
        words["arguments"] = " ".join(a.format(**words) for a in kind.arguments)
        script = self.directory / "run" / kind.name
        script.write_text(f"set -e\ncd {self.directory}\n{kind.run.format(**words)}\n")


def stack_of(frames):
    """(why it ended or None, user frames) of a line of folded output without the process."""
    stop = None
    marker = MARKER.fullmatch(frames[0]) if frames else None
    if marker:
        stop, frames = marker[1], frames[1:]
    elif frames and frames[0] == "[joined]":
        frames = frames[1:]  # its outer part was read from the process
    return stop, [frame for frame in frames if not frame.endswith("_[k]")]


def matches(frames, patterns):
    if patterns[0] == "...":
        patterns = patterns[1:]
        frames = frames[-len(patterns) :]
    return len(frames) == len(patterns) and all(map(re.fullmatch, patterns, frames))


class Result:
    """What the recording says of one kind."""

    def __init__(self, kind, stacks):
        self.kind = kind
        self.stacks = [(*stack_of(frames[1:]), n) for frames, n in stacks if frames[0] == kind.name]
        self.n = sum(n for *_, n in self.stacks)
        self.stops = {}
        for stop, _, n in self.stacks:
            self.stops[stop] = self.stops.get(stop, 0) + n
        self.whole = sum(self.stops.get(stop, 0) for stop in WHOLE)

    def line(self):
        rest = {k: v for k, v in self.stops.items() if k not in WHOLE}
        return f"{self.kind.name:16} {self.n:6} {100 * self.whole / max(self.n, 1):6.2f} % {rest}"

    def check(self):
        kind = self.kind
        assert self.n > MS // 4, "not sampled"
        assert self.whole >= int(kind.end * self.n), f"{self.line()}\n{self.show(False)}"
        unexpected = set(self.stops) - set(WHOLE) - set(kind.stops)
        n_unexpected = sum(self.stops[stop] for stop in unexpected)
        assert n_unexpected <= 0.005 * self.n + 1, f"{self.line()}\n{self.show(False)}"
        self.check_chain()

    def check_chain(self):
        """Whole stacks have exactly these frames, others the inner ones of them."""
        kind = self.kind
        leaf = kind.leaf or kind.chain[-1]
        is_named = kinds.NO_NAMES[0] not in kind.chain
        n_leaf = n_wrong = 0
        for stop, frames, n in self.stacks:
            if not frames or not re.fullmatch(leaf, frames[-1]):
                continue
            wanted = kind.chain if stop is None else kind.chain[-len(frames) :]
            right = matches(frames, wanted)
            # a name that is missing does not tell the leaf from others
            n_wrong += n * (not right and is_named and kind.leaf_share > 0)
            assert n_wrong <= kind.wrong * self.n, f"{stop} {frames}\n{wanted}"
            n_leaf += n * right
        assert n_leaf >= kind.leaf_share * self.n, f"{n_leaf} of {self.n}\n{self.show(True)}"
        for leaf in kind.each:
            n_each = sum(n for _, frames, n in self.stacks if frames and frames[-1] == leaf)
            assert n_each >= 0.2 * self.n, f"{leaf}: {n_each} of {self.n}"

    def show(self, whole):
        lines = [
            f"{n} {stop} {' '.join(frames)}"
            for stop, frames, n in sorted(self.stacks, key=lambda s: -s[2])
            if (stop in WHOLE) == whole
        ]
        return "\n".join(lines[:10])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kinds")
    workshop = Workshop(directory)
    table = kinds.FULL if FULL else kinds.DEFAULT

    def prepare(kind):
        workshop.write_script(kind, workshop.build(kind))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(prepare, table))
    path = directory / "kinds.pb.gz"
    run = f"ls {directory}/run/* | xargs -P {os.cpu_count()} -n 1 sh"
    for _ in range(2):  # once more where the machine kept the recorder waiting: it copied less then
        with Recorder("-o", path, "--", "sh", "-c", run) as recorder:
            done = recorder.first_in_line().finish(timeout=2400, status=None)
        assert done.returncode == 0, done.stderr
        if not Profile(path).report()["recording"]["dump_pressed"]:
            break
    for pid in directory.glob("*.pid"):  # what a JIT has left behind
        Path(f"/tmp/perf-{pid.read_text().strip()}.map").unlink()
    stacks = Profile(path).folded()
    found = {kind.name: Result(kind, stacks) for kind in table}
    if os.environ.get("CPROF_TEST_TABLE"):
        Path(os.environ["CPROF_TEST_TABLE"]).write_text(
            "".join(result.line() + "\n" for result in found.values())
        )
    return found


@pytest.mark.parametrize("kind", kinds.FULL if FULL else kinds.DEFAULT, ids=lambda kind: kind.name)
def test_a_kind_has_its_frames(results, kind):
    results[kind.name].check()
