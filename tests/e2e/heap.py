"""Runs programs under libcprof_heap.so, and reads what they say and what their heap files hold."""

import json
import os
import re
import subprocess
from collections import namedtuple
from pathlib import Path

import harness

SHIM = Path(
    os.environ.get("CPROF_SHIM", harness.BUILD / "profiler" / "heap" / "shim" / "libcprof_heap.so")
)
CHECK = Path(
    os.environ.get(
        "CPROF_HEAP_CHECK", harness.BUILD / "tests" / "support" / "heap" / "heap_check"
    )
)
PROGRAMS = harness.SAMPLES / "heap"

# What a site did: live blocks and their bytes, allocations and their bytes.
Sums = namedtuple("Sums", "blocks bytes calls call_bytes")
# By file, function and line.
Line = namedtuple("Line", "function file line")

NO_SUMS = Sums(0, 0, 0, 0)


class Truth:
    """What a program of samples/heap printed about itself."""

    def __init__(self, text):
        self.sites, self.facts, self.peak, self.ends = {}, {}, None, 0
        for line in text.splitlines():
            word, *rest = line.split()
            if word == "site":
                function, file, number, *sums = rest
                self.sites[Line(function, file, int(number))] = Sums(*map(int, sums))
            elif word == "fact":
                self.facts[rest[0]] = int(rest[1])
            elif word == "peak":
                self.peak = int(rest[0])
            elif word == "end":
                self.ends += 1

    def live(self):
        return {line: sums for line, sums in self.sites.items() if sums.blocks}

    def total(self):
        return add_up(self.sites.values())


def add_up(sums):
    return Sums(*map(sum, zip(NO_SUMS, *sums)))


def shim_environment(output, **changes):
    """For a program that is started with the library preloaded, without `cprof heap run`."""
    preload = os.environ.get("LD_PRELOAD")
    return harness.cprof_environment(
        LD_PRELOAD=f"{SHIM} {preload}" if preload else str(SHIM),
        CPROF_HEAP_OUTPUT=str(output),
        CPROF_HEAP_FOLLOW="no",
        **{key: str(value) for key, value in changes.items()},
    )


class Run:
    """A program that ended, and the file it left."""

    def __init__(self, path, done):
        self.path = Path(path)
        self.done = done
        self.status = done.returncode
        self.output = done.stdout.decode("utf-8", "replace")
        self.truth = Truth(self.output)


def program_command(program, *args):
    path = Path(program)
    return [str(path if path.is_absolute() else PROGRAMS / program), *map(str, args)]


def run_program(directory, program, *args, status=0, timeout=120, **environment):
    """Run a program of samples/heap to its end, recorded."""
    path = Path(directory) / f"{Path(program).name}-{'-'.join(map(str, args))}.cprof-heap"
    path.unlink(missing_ok=True)
    # the root is told apart from the programs it starts by its number, which is not known yet:
    # a shell becomes it
    command = ["/bin/sh", "-c", 'CPROF_HEAP_ROOT_PID=$$ exec "$0" "$@"']
    env = shim_environment(path, **environment)
    preload = env.pop("LD_PRELOAD")
    command[2] = f'LD_PRELOAD="{preload}" {command[2]}'
    done = subprocess.run(
        command + program_command(program, *args),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=timeout,
        env=env,
        check=False,
    )
    assert status is None or done.returncode == status, (done.returncode, done.stderr)
    return Run(path, done)


# --- a reading that shares nothing with cprof's: heap_check and addr2line ---


class Checked:
    """A heap file as heap_check prints it."""

    def __init__(self, path):
        done = subprocess.run(
            [str(CHECK), str(path), "--blocks", "--stacks"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{path}: {done.stdout[-2000:]}{done.stderr}"
        self.values, self.sites, self.blocks = {}, {}, []
        for line in done.stdout.splitlines():
            word, *rest = line.split(" ")
            if word == "block":
                self.blocks.append(tuple(map(int, rest)))
            elif word == "site":
                self.sites[int(rest[0])] = (list(map(int, rest[1:7])), rest[7:])
            else:
                self.values[word] = " ".join(rest)

    def __getitem__(self, key):
        return int(self.values[key])

    @property
    def losses(self):
        """Those that are losses: a free of a block from before is none."""
        harmless = ("loss_unknown_free", "loss_bootstrap")
        return {
            key: int(value)
            for key, value in self.values.items()
            if key.startswith("loss_") and key not in harmless and value != "0"
        }

    def assert_consistent(self, threads=0):
        """Counters and blocks agree, but for one event of each thread that was in one."""
        assert abs(self["allocs"] - self["frees"] - self["live_blocks"]) <= threads, self.values
        if not threads:
            assert self["alloc_bytes"] - self["free_bytes"] == self["live_bytes"], self.values


def is_own(file):
    return Path(file or "").name.startswith("heap_")


def plain_name(function):
    """The last part of a C++ name, without arguments."""
    name = re.sub(r"\(anonymous namespace\)::", "", function or "")
    name = re.sub(r"<.*>", "", name.split("(")[0])
    return name.split("::")[-1]


def resolve(module, addresses):
    """addr2line: {address: [(function, file, line), ...]}, inlined frames first."""
    if not addresses:
        return {}
    done = subprocess.run(
        ["addr2line", "-a", "-f", "-i", "-C", "-e", str(module)],
        input="\n".join(addresses) + "\n",
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    frames, current, lines = {}, None, iter(done.stdout.splitlines())
    for line in lines:
        if re.fullmatch(r"0x[0-9a-f]{16}", line):
            current = frames.setdefault(int(line, 16), [])
            continue
        file, _, number = next(lines).partition(" ")[0].rpartition(":")
        current.append(Line(plain_name(line), Path(file).name, int(number.rstrip("?") or 0)))
    return frames


def split_frame(frame):
    """MODULE+0xADDRESS!FLAGS -> (module, address as text)"""
    module, _, address = frame.split("!")[0].rpartition("+")
    return module, address


def own_lines(sites, skip):
    """{site: the innermost line in the samples' own sources, but for functions in @skip}"""
    wanted = {}
    for frame in {frame for _, frames in sites.values() for frame in frames}:
        wanted.setdefault(split_frame(frame)[0], set()).add(frame)
    lines = {}
    for module, frames in wanted.items():
        if not (PROGRAMS / module).is_file():
            continue
        addresses = {frame: split_frame(frame)[1] for frame in frames}
        names = resolve(PROGRAMS / module, sorted(set(addresses.values())))
        for frame, address in addresses.items():
            for line in names.get(int(address, 16), []):
                if is_own(line.file) and line.function not in skip:
                    lines.setdefault(frame, line)
    found = {}
    for site, (_, frames) in sites.items():
        own = next((lines[frame] for frame in frames if frame in lines), None)
        if own:
            found[site] = own
    return found


def sums_by_check(path, skip=()):
    """({line: Sums}, {line: live bytes at the peak}, the file): what the file says of own lines."""
    checked = Checked(path)
    checked.assert_consistent()
    lines = own_lines(checked.sites, skip)
    blocks = {}
    for size, _, site in checked.blocks:
        n, total = blocks.get(site, (0, 0))
        blocks[site] = (n + 1, total + size)
    sums, peaks = {}, {}
    for site, line in lines.items():
        allocs, _, alloc_bytes, _, _, peak_bytes = checked.sites[site][0]
        own = Sums(*blocks.get(site, (0, 0)), allocs, alloc_bytes)
        sums[line] = add_up([sums.get(line, NO_SUMS), own])
        peaks[line] = peaks.get(line, 0) + peak_bytes
    return sums, peaks, checked


# --- cprof's ---


def report(*args, status=0, **more):
    args = ("--limit", "0", *args)
    done = harness.cprof("heap", "report", "--format", "json", *args, status=status, **more)
    return json.loads(done.stdout)


def own_line(row, skip=()):
    for frame in row["frames"]:
        name = plain_name(frame["function"])
        if is_own(frame["file"]) and name not in skip:
            return Line(name, Path(frame["file"]).name, frame["line"])
    return None


def sums_by_report(path, skip=()):
    """The same by `cprof heap report`."""
    told = report(path)
    sums, peaks = {}, {}
    for row in told["sites"]:
        line = own_line(row, skip)
        if not line:
            continue
        own = Sums(row["blocks"], row["bytes"], row["alloc_calls"], row["alloc_bytes"])
        sums[line] = add_up([sums.get(line, NO_SUMS), own])
        peaks[line] = peaks.get(line, 0) + row["peak_bytes"]
    return sums, peaks, told
