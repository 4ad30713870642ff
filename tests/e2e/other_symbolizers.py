"""The same addresses asked of cprof and of three others, and what their answers have in common.

An answer is a chain of (function, file, line), the innermost inlined call first. addr2line,
eu-addr2line and llvm-symbolizer each err in their own places, so what two of the three say counts
as the truth, for functions and for lines apart; where no two agree there is none.
"""

import bisect
import collections
import itertools
import os
import random
import re
import subprocess
from pathlib import Path

import harness

# What compilers append to the parts and copies of one function. Some tools show it, some do not.
CLONE = re.compile(r"(\.(cold|part|isra|constprop|lto_priv|llvm|localalias)(\.\d+)*)+$")
ADDRESS = re.compile(r"0x[0-9a-fA-F]+$")
# eu-addr2line takes some milliseconds for each.
EU_LIMIT = 10_000

Answer = collections.namedtuple("Answer", "functions places")


def ask(command, addresses):
    """Answers by address of a tool that prints an address, then two lines a frame."""
    text = "".join(f"{address:#x}\n" for address in addresses)
    # eu-addr2line ends with 1 when it knows one of the addresses not
    done = subprocess.run(
        command, input=text.encode(), capture_output=True, check=False, timeout=3000
    )
    assert done.returncode in (0, 1), (command, done.stderr)
    answers = {}
    block = []
    wanted = iter(addresses)
    address = None
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        if len(block) % 2 == 0 and ADDRESS.match(line):
            if address is not None:
                answers[address] = parse(block)
            address = next(wanted)
            assert int(line, 16) == address, (command, line, hex(address))
            block = []
        elif line:
            block.append(line)
    if address is not None:
        answers[address] = parse(block)
    assert len(answers) == len(addresses), (command, len(answers), len(addresses))
    return answers


def parse(block):
    functions = tuple(function_name(line) for line in block[::2])
    places = tuple(place(line) for line in block[1::2])
    return Answer(functions, places)


def function_name(line):
    # eu-addr2line: "name inlined at file:line:column in function"
    name = re.sub(r"@.*$", "", line.split(" inlined at ")[0])
    return CLONE.sub("", name)


def place(line):
    """(file, line) with the path in its shortest form; (None, 0) for nothing."""
    line = re.sub(r" \(discriminator \d+\)$", "", line)
    path, _, number = line.rpartition(":")
    if re.fullmatch(r".*:\d+", path):  # file:line:column
        path, _, number = path.rpartition(":")
    number = int(number) if number.isdigit() else 0
    # without a line and a directory it is the name of an object's source, as the symbol table has it
    if path in ("", "??") or (number == 0 and "/" not in path):
        return (None, 0)
    return (os.path.normpath(path), number)


def commands(path, debug_dir=None):
    ours = [str(harness.CPROF), "symbolize", "-afi", "-e", str(path)]
    if debug_dir:
        ours += ["--debug-dir", str(debug_dir)]
    return {
        "cprof": ours,
        "addr2line": ["addr2line", "-afi", "-e", str(path)],
        "llvm": ["llvm-symbolizer", "--output-style=GNU", "-a", "-f", "-i", "--no-demangle",
                 f"--obj={path}"],
        "eu": ["eu-addr2line", "-afi", "-e", str(path)],
    }


def code_ranges(path):
    """[start, end) of the executable sections, but for the linker's stubs."""
    text = subprocess.run(
        ["readelf", "-SW", str(path)], capture_output=True, text=True, check=True
    ).stdout
    ranges = []
    for line in text.splitlines():
        found = re.match(r"\s*\[ *\d+\] (\S+)\s+(\S+)\s+(\w+) (\w+) (\w+) \w+ +(\w*)", line)
        if found and "X" in found[6] and "A" in found[6] and not found[1].startswith(".plt"):
            ranges.append((int(found[3], 16), int(found[3], 16) + int(found[5], 16)))
    return ranges


def random_addresses(path, count, seed):
    generator = random.Random(seed)
    ranges = code_ranges(path)
    weights = [end - start for start, end in ranges]
    assert sum(weights) > 0, path
    picked = set()
    for start, end in generator.choices(ranges, weights, k=count):
        picked.add(generator.randrange(start, end))
    return sorted(picked)


def is_symbol_of(symbol, plain):
    """
    gcc states no linkage name for local functions: some tools show the plain name of the DWARF, some
    the symbol, _ZN3app4helpE and help.
    """
    name = plain.split("<")[0]
    if not re.match(r"_Z|_R", symbol) or not name or plain.startswith(("_Z", "_R")):
        return False
    return ("cl" if name == "operator()" else f"{len(name)}{name}") in symbol


def debug_file(path):
    """Where a binary's symbols are: its debug file by build-id, or itself."""
    notes = subprocess.run(
        ["readelf", "-nW", str(path)], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"Build ID: ([0-9a-f]+)", notes)
    if found:
        name = Path("/usr/lib/debug/.build-id") / found[1][:2] / f"{found[1][2:]}.debug"
        if name.exists():
            return name
    return Path(path)


def symbol_aliases(path):
    """{name: [start, ...]} of all symbols: names with a start in common are one function."""
    starts = collections.defaultdict(set)
    for file, options in ((debug_file(path), []), (path, ["-D"])):
        text = subprocess.run(
            ["nm", "--defined-only", *options, str(file)], capture_output=True, text=True,
            check=False,
        ).stdout
        for line in text.splitlines():
            fields = line.split(" ", 2)
            if len(fields) == 3:
                starts[re.sub(r"@.*$", "", fields[2])].add(fields[0])
    return starts


def sized_functions(path):
    """[(start, end)] of the functions whose size the symbol table states, and their names."""
    functions = {}
    for file, options in ((debug_file(path), []), (path, ["-D"])):
        text = subprocess.run(
            ["nm", "-S", "--defined-only", *options, str(file)], capture_output=True, text=True,
            check=False,
        ).stdout
        for line in text.splitlines():
            fields = line.split(" ", 3)
            if len(fields) == 4 and fields[2] in "tTwWiuV":
                name = function_name(fields[3])
                start = int(fields[0], 16)
                functions.setdefault(name, []).append((start, start + int(fields[1], 16)))
    return functions


class Comparison:
    """What was asked, and how the answers compare."""

    def __init__(self, path, addresses, seed=1):
        self.path = Path(path)
        self.starts = symbol_aliases(path)
        self.sized = sized_functions(path)
        spans = sorted(span for spans in self.sized.values() for span in spans)
        self.starts_sorted = [start for start, _ in spans]
        self.reach = list(itertools.accumulate((end for _, end in spans), max))
        tools = commands(path)
        self.ours = ask(tools["cprof"], addresses)
        self.others = {name: ask(tools[name], addresses) for name in ("addr2line", "llvm")}
        # the slow one says what the other two do not agree on, and a part of the rest
        first, second = self.others.values()
        agreed = {
            a
            for a in addresses
            if self.equal("functions", first[a].functions, second[a].functions)
            and first[a].places == second[a].places
        }
        doubtful = [a for a in addresses if a not in agreed]
        certain = [a for a in addresses if a in agreed]
        generator = random.Random(seed)
        generator.shuffle(doubtful)
        generator.shuffle(certain)
        asked = sorted((doubtful + certain)[:EU_LIMIT])
        self.others["eu"] = ask(tools["eu"], asked)
        self.addresses = addresses

    def same_function(self, a, b):
        """By the same name, by two symbols of one address, or by its symbol and its plain name."""
        if a == b or self.starts.get(a, set()) & self.starts.get(b, set()):
            return True
        return is_symbol_of(a, b) or is_symbol_of(b, a)

    def equal(self, what, a, b):
        if what == "places" or len(a) != len(b):
            return a == b
        return all(self.same_function(x, y) for x, y in zip(a, b))

    def truth(self, address, what):
        """What at least two of the others say, or None."""
        votes = [getattr(a[address], what) for a in self.others.values() if address in a]
        for i, vote in enumerate(votes):
            if any(self.equal(what, vote, other) for other in votes[i + 1 :]):
                return vote
        return None

    def count(self, what):
        """(agreed, differing addresses, addresses without a majority), "functions" or "places"."""
        agreed, differing, undecided = 0, [], []
        for address in self.addresses:
            truth = self.truth(address, what)
            if truth is None:
                undecided.append(address)
            elif self.equal(what, getattr(self.ours[address], what), truth):
                agreed += 1
            else:
                differing.append(address)
        return agreed, differing, undecided

    def covers(self, name, address):
        """A symbol of this name says that its function reaches over the address."""
        return any(start <= address < end for start, end in self.sized.get(name, ()))

    def in_function(self, address):
        """Any symbol says so: it is no padding between functions."""
        at = bisect.bisect_right(self.starts_sorted, address)
        return at > 0 and self.reach[at - 1] > address

    def classify(self, what, address):
        """Which of the known differences this is (symbolizer/COMPARISON.md), or None."""
        ours, truth = self.ours[address], self.truth(address, what)
        if not self.in_function(address) and (
            ours.places == ((None, 0),) or ours.functions == ("??",)
        ):
            return "padding"
        if (
            what == "functions"
            and ours.functions[:-1] == truth[:-1]
            and self.covers(ours.functions[-1], address)
            and not self.covers(truth[-1], address)
        ):
            return "label"
        return None
