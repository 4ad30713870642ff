"""
What is at an address: cprof with addr2line, eu-addr2line and llvm-symbolizer, over whole programs.

What two of the three say counts as the truth; at least 99.9 % of the answers are that, and each that
is not is of a class with a name (symbolizer/COMPARISON.md has the table).
"""

import collections
import glob
import re
import subprocess
import time
from pathlib import Path

import formats
import harness
import other_symbolizers
import pytest

# The specification's count; the default tier asks about fewer.
COUNT = 100_000 if harness.FULL else 1_000
FIXTURES = harness.REPOSITORY / "tests" / "unit" / "symbolizer_fixtures"
KINDS = harness.REPOSITORY / "tests" / "support" / "kinds"

BUILT = {
    "cxx_gcc": ("g++", "-std=c++17", "-O2", "-g", FIXTURES / "sweep.cpp"),
    "cxx_clang": ("clang++", "-std=c++17", "-O2", "-g", "-gdwarf-4", FIXTURES / "sweep.cpp"),
    "rust": ("rustc", "-O", "-g", KINDS / "kind.rs"),
    "rust_v0": ("rustc", "-O", "-g", "-C", "symbol-mangling-version=v0", KINDS / "kind.rs"),
}
INSTALLED = {
    "libc": "/lib/x86_64-linux-gnu/libc.so.6",
    "python": "/usr/bin/python3.11",
    "libstdcxx": "/usr/lib/x86_64-linux-gnu/debug/libstdc++.so.6",
}
# Debian's linux-image-*-dbg is large: it is compared where it has been installed.
INSTALLED.update({Path(path).name: path for path in glob.glob("/usr/lib/debug/boot/vmlinux-*")})
PROGRAMS = (*BUILT, *INSTALLED) if harness.FULL else ("cxx_gcc", "rust", "libc")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    made = {}

    def get(name):
        if name in INSTALLED:
            return INSTALLED[name]
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name) / name
            subprocess.run([*BUILT[name], "-o", made[name]], check=True, capture_output=True)
        return made[name]

    return get


def assert_agrees(comparison):
    for what in ("functions", "places"):
        agreed, differing, undecided = comparison.count(what)
        undecided = [a for a in undecided if comparison.in_function(a)]
        classes = collections.Counter(comparison.classify(what, a) for a in differing)
        # two of them go on with the line before in what fills the space between functions
        decided = agreed + len(differing) - classes["padding"]
        print(
            f"{comparison.path.name}: {what}: {agreed} of {decided} as the majority "
            f"({100 * agreed / decided:.3f} %), {dict(classes)}, {len(undecided)} without one"
        )
        unnamed = [
            (hex(a), comparison.ours[a], [other.get(a) for other in comparison.others.values()])
            for a in differing
            if comparison.classify(what, a) is None
        ]
        assert not unnamed, unnamed[:5]
        assert agreed >= 0.999 * decided, (what, classes)
        # where the three all say something else there is no truth
        assert len(undecided) < 0.01 * len(comparison.addresses), what


@pytest.mark.parametrize("name", PROGRAMS)
def test_random_addresses(program, name):
    path = program(name)
    addresses = other_symbolizers.random_addresses(path, COUNT, seed=7)
    assert_agrees(other_symbolizers.Comparison(path, addresses))


def recorded_addresses(profile_path, module):
    """All addresses of a module that are in a profile, by Go's reading of it."""
    raw = formats.go_pprof(profile_path, "-raw").stdout
    mappings = {
        found[1]
        for found in re.finditer(r"^(\d+): \S+ (\S+)", raw.split("Mappings")[1], re.M)
        if found[2].endswith(module)
    }
    assert mappings, module
    return sorted(
        {
            int(found[1], 16)
            for found in re.finditer(r"^ +\d+: (0x[0-9a-f]+) M=(\d+) ", raw, re.M)
            if found[2] in mappings
        }
    )


def test_addresses_that_were_hit(tmp_path):
    """Not the file's but the program's choice: what runs, and where it calls from."""
    path = tmp_path / "hit.pb.gz"
    seconds = 20 if harness.FULL else 4
    work = (
        "import json, re, time\n"
        f"end = time.process_time() + {seconds}\n"
        "data = [{'k%d' % i: [i, str(i), {'x': i * 0.5}] for i in range(50)}]\n"
        "while time.process_time() < end:\n"
        "    text = json.dumps(json.loads(json.dumps(data)), indent=1)\n"
        "    sorted(re.findall(r'[a-z]+[0-9]', text))\n"
    )
    harness.cprof("record", "-q", "-o", path, "--", "/usr/bin/python3.11", "-c", work)
    ranges = other_symbolizers.code_ranges("/usr/bin/python3.11")
    addresses = [
        address
        for address in recorded_addresses(path, "/python3.11")
        if any(start <= address < end for start, end in ranges)
    ]
    assert len(addresses) > 500
    assert_agrees(other_symbolizers.Comparison("/usr/bin/python3.11", addresses))


def test_one_question_at_a_time():
    """As a child behind a pair of pipes: each answer comes before the next question is asked."""
    command = [str(harness.CPROF), "symbolize", "-fia", "-e", str(harness.SAMPLES / "inlined")]
    addresses = other_symbolizers.random_addresses(harness.SAMPLES / "inlined", 20, seed=3)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        env=harness.cprof_environment(),
    ) as process:
        start = time.monotonic()
        for address in addresses:
            process.stdin.write(f"{address:x}\n")
            process.stdin.flush()
            assert int(process.stdout.readline(), 16) == address
            # where a chain ends only the next answer tells: ask what has none
            process.stdin.write(",\n")
            process.stdin.flush()
            while not process.stdout.readline().startswith("0x0000000000000000"):
                pass
            assert process.stdout.readline() == "??\n"
            assert process.stdout.readline() == "??:0\n"
        assert time.monotonic() - start < 20
        process.stdin.close()
        assert process.wait() == 0


def by_address(command, addresses):
    """{address: lines of the answer} from a tool that shows each address first."""
    if command[0] == "cprof":
        text = harness.cprof(*command[1:], *addresses).stdout
    else:
        text = subprocess.run(
            [*command, *addresses], capture_output=True, text=True, check=True).stdout
    answers = {}
    for line in re.sub(r" \(discriminator \d+\)", "", text).splitlines():
        if re.fullmatch("0x[0-9a-f]+", line):
            answer = answers.setdefault(int(line, 16), [])
        elif line:
            answer.append(line)
    return answers


OBJECT_SOURCE = """
static inline __attribute__((always_inline)) int twice(int x) { return x * 2 + (x >> 3); }
int one(int x)
{
    return twice(x) + 1;
}
__attribute__((noinline)) int two(int x)
{
    return one(x) - twice(x + 3);
}
static __attribute__((noinline)) int local(int x) { return two(x) * one(x); }
int (*table[])(int) = { one, two, local };
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("options", [["-gdwarf-4"], ["-gdwarf-5"], ["-gz"], ["-O0"], []])
def test_object_files(compiler, options, tmp_path):
    """Not linked: places are relocations until then. The same answers as from addr2line."""
    (tmp_path / "object.c").write_text(OBJECT_SOURCE)
    path = tmp_path / "object.o"
    debug = ["-g"] if options else []  # without any: names of symbols
    subprocess.run(
        [compiler, "-O2", *debug, *options, "-c", "object.c", "-o", path], cwd=tmp_path, check=True)
    listing = subprocess.run(
        ["nm", "-S", "--defined-only", path], capture_output=True, text=True, check=True
    ).stdout
    functions = [line.split() for line in listing.splitlines() if line.split()[-2] in "tT"]
    assert sorted(words[3] for words in functions) == ["local", "one", "two"]
    addresses = [
        hex(int(words[0], 16) + i) for words in functions for i in range(int(words[1], 16))]
    ours = by_address(["cprof", "symbolize", "--no-cache", "-fia", "-e", path], addresses)
    assert len(ours) == len(addresses) > 20
    theirs = by_address(["addr2line", "-fia", "-e", path], addresses)
    # addr2line leaves out a call where clang's line and its entry disagree
    others = by_address(
        ["llvm-symbolizer", "-fia", "--output-style=GNU", f"--obj={path}"], addresses)
    for address, answer in ours.items():
        if options:
            assert answer in (theirs[address], others[address]), hex(address)
        else:  # addr2line takes the file from the symbol table then
            assert answer[::2] == theirs[address][::2], hex(address)


def test_object_file_whose_relocations_are_of_an_unknown_kind(tmp_path):
    """No places then, rather than wrong ones."""
    (tmp_path / "object.c").write_text(OBJECT_SOURCE)
    path = tmp_path / "object.o"
    subprocess.run(["gcc", "-O2", "-g", "-c", "object.c", "-o", path], cwd=tmp_path, check=True)
    listing = subprocess.run(
        ["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    table = re.search(r"\.rela\.debug_info +RELA +\w+ (\w+) (\w+)", listing)
    start, size = (int(number, 16) for number in table.groups())
    content = bytearray(path.read_bytes())
    for at in range(start, start + size, 24):
        content[at + 8] = 0xee  # the type
    path.write_bytes(content)
    done = harness.cprof("symbolize", "--no-cache", "-fi", "-e", path, "0")
    assert done.stdout == "one\n??:?\n"
    assert "not linked, and the relocations of its debug information are damaged" in done.stderr


def test_many_questions_at_a_time():
    """Whoever asks thousands at once, then waits for all the answers, gets them."""
    n = 5000
    command = [str(harness.CPROF), "symbolize", "-a", "-e", str(harness.SAMPLES / "inlined")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=harness.cprof_environment(),
    ) as process:
        for start in (0x1000, 0x900000, 0x2000):
            asked = range(start, start + 16 * n, 16)
            # less than a pipe holds: nobody has to read meanwhile
            process.stdin.write("".join(f"{address:x}\n" for address in asked))
            process.stdin.flush()
            answered = [process.stdout.readline() for _ in range(2 * n)]
            assert [int(line, 16) for line in answered[::2]] == list(asked)
        process.stdin.close()
        assert process.wait() == 0


@pytest.mark.parametrize("options", ["-fiap", "-fi", "-f", "-i", "-a", "-p", "-fp", "-Cfiap", "-fips"])
def test_the_same_lines_as_addr2line(options):
    """The format itself, on a program where both say the same."""
    path = harness.SAMPLES / "inlined"
    functions = other_symbolizers.sized_functions(path)
    addresses = [
        hex(address)
        for name, ranges in functions.items()
        if name == "main" or name.startswith(("caller_", "truth_"))
        for start, end in ranges
        for address in range(start, end, 7)
    ]
    assert len(addresses) > 100
    theirs = subprocess.run(
        ["addr2line", options, "-e", path, *addresses], capture_output=True, text=True, check=True
    ).stdout
    ours = harness.cprof("symbolize", options, "-e", path, *addresses).stdout
    theirs = re.sub(r" \(discriminator \d+\)", "", theirs)
    differing = [
        pair for pair in zip(ours.splitlines(), theirs.splitlines(), strict=True)
        if pair[0] != pair[1]
    ]
    assert not differing, differing[:5]
