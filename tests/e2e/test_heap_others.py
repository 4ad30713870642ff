"""cprof's heap files beside valgrind, LeakSanitizer and heaptrack, on the same programs.

Where they differ, the difference is named here, with its reason.
"""

import re
import subprocess
import xml.etree.ElementTree
from pathlib import Path

import harness
import heap
import pytest

FEW = [
    ("heap_basic", "plain"),
    ("heap_basic", "realloc"),
    ("heap_basic", "strings"),
    ("heap_time", "cache"),
    ("heap_cxx", "exceptions"),
]
MORE = [
    ("heap_basic", "aligned"),
    ("heap_basic", "zeroed"),
    ("heap_basic", "mapped"),
    ("heap_basic", "usable"),
    ("heap_basic", "empty"),
    ("heap_basic", "nothing"),
    ("heap_time", "growth"),
    ("heap_time", "sawtooth"),
    ("heap_time", "peak"),
    ("heap_stacks", "inlined"),
    ("heap_stacks", "alloca"),
    ("heap_threads", "exited"),
    ("heap_threads", "tls"),
    ("heap_cxx", "containers"),
    ("heap_cxx", "forms"),
    ("heap_plugins", "free"),
]

def programs(names=None, but=()):
    """The comparison's programs, the quick ones in the default tier."""
    return [
        pytest.param(*pair, id="-".join(pair), marks=marks)
        for pairs, marks in ((FEW, ()), (MORE, pytest.mark.full))
        for pair in pairs
        if (names is None or pair[0] in names) and pair not in but
    ]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """({line: Sums of its live blocks}, the file) of a program's run, by cprof heap report."""
    made = {}
    directory = tmp_path_factory.mktemp("others")

    def get(program, mode):
        if (program, mode) not in made:
            run = heap.run_program(directory, program, mode)
            sums, _, told = heap.sums_by_report(run.path)
            live = {line: (s.blocks, s.bytes) for line, s in sums.items() if s.blocks}
            made[program, mode] = live, told
        return made[program, mode]

    return get


def run_under(command, program, mode, env=None):
    done = subprocess.run(
        [*map(str, command), *heap.program_command(program, mode)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def add(sums, line, blocks, size):
    known = sums.get(line, (0, 0))
    sums[line] = (known[0] + blocks, known[1] + size)


# --- valgrind ---

# It ends a program that calls pvalloc().
VALGRIND_PROGRAMS = programs(but=[("heap_basic", "aligned")])


def valgrind_line(error):
    for frame in error.find("stack").iter("frame"):
        file = frame.findtext("file")
        if heap.is_own(file):
            name = heap.plain_name(frame.findtext("fn"))
            return heap.Line(name, file, int(frame.findtext("line")))
    return None


def valgrind_leaks(path):
    """A record's own bytes: those of the blocks it points at have records of their own."""
    sums = {}
    for error in xml.etree.ElementTree.parse(path).getroot().iter("error"):
        what = error.find("xwhat")
        line = valgrind_line(error)
        if what is None or not error.findtext("kind").startswith("Leak_") or not line:
            continue
        direct = re.search(r"\(([\d,]+) direct", what.findtext("text"))
        size = direct.group(1).replace(",", "") if direct else what.findtext("leakedbytes")
        add(sums, line, int(what.findtext("leakedblocks")), int(size))
    return sums


@pytest.mark.parametrize("program,mode", VALGRIND_PROGRAMS)
def test_valgrind_finds_the_same(recorded, tmp_path, program, mode):
    live, told = recorded(program, mode)
    found = tmp_path / "found.xml"
    run_under(
        [
            "valgrind",
            "--leak-check=full",
            "--show-leak-kinds=all",
            "--keep-debuginfo=yes",
            "--num-callers=60",
            "--xml=yes",
            f"--xml-file={found}",
        ],
        program,
        mode,
    )
    theirs = valgrind_leaks(found)
    if program == "heap_plugins":
        # each loading of a library is another one's debug information to valgrind, too
        live = {k: v for k, v in live.items() if k.file == "heap_plugin.c"}
        theirs = {k: v for k, v in theirs.items() if k.file == "heap_plugin.c"}
    assert theirs == live
    assert told["losses"]["missed_free"] == 0


# Each is another run of seconds: by default the two that have something to count.
COUNTED = (("heap_basic", "realloc"), ("heap_cxx", "exceptions"))
VALGRIND_COUNTS = VALGRIND_PROGRAMS if harness.FULL else [pytest.param(*pair) for pair in COUNTED]


@pytest.mark.parametrize("program,mode", VALGRIND_COUNTS)
def test_valgrind_counts_as_many_allocations(recorded, program, mode):
    _, told = recorded(program, mode)
    done = run_under(["valgrind", "--leak-check=no", "--run-libc-freeres=no"], program, mode)
    usage = re.search(
        r"total heap usage: ([\d,]+) allocs, ([\d,]+) frees, ([\d,]+) bytes", done.stderr
    )
    calls, _, size = (int(text.replace(",", "")) for text in usage.groups())
    totals = told["totals"]
    if (program, mode) == ("heap_basic", "realloc"):
        # valgrind counts one that fails
        calls -= 1
        size = totals["alloc_bytes"]
    if (program, mode) in (("heap_threads", "exited"), ("heap_threads", "tls")):
        # one library more that has thread-local data is one slot more in each thread's vector
        size += 6 * 16
    assert (calls, size) == (totals["alloc_calls"], totals["alloc_bytes"])


# --- LeakSanitizer ---

# Nothing is a root: what is live is reported, reachable or not. Its fast walk is by frame pointers.
LSAN = (
    "use_stacks=0:use_registers=0:use_globals=0:use_tls=0:fast_unwind_on_malloc=0"
    ":exitcode=0:allocator_may_return_null=1"
)
# It reports in exit handlers, which the modes of heap_cxx that end by _exit() do not run.
LSAN_PROGRAMS = programs(names=("heap_basic", "heap_time"))


def lsan_leaks(text):
    sums = {}
    for leak in re.split(r"\n(?=(?:Direct|Indirect) leak of)", text)[1:]:
        size, blocks = map(int, re.match(r"\w+ leak of (\d+) byte\(s\) in (\d+)", leak).groups())
        for function, path, line in re.findall(r" in (.+) (/\S+):(\d+)(?::\d+)?\n", leak):
            if heap.is_own(path):
                own = heap.Line(heap.plain_name(function), Path(path).name, int(line))
                add(sums, own, blocks, size)
                break
    return sums


@pytest.mark.parametrize("program,mode", LSAN_PROGRAMS)
def test_leaksanitizer_finds_the_same(recorded, program, mode):
    live, _ = recorded(program, mode)
    env = harness.cprof_environment(LSAN_OPTIONS=LSAN)
    theirs = lsan_leaks(run_under([], f"{program}_lsan", mode, env=env).stderr)
    if mode == "aligned":
        # its pvalloc() counts the whole page
        page = [line for line in live if live[line] == (1, 301)]
        assert theirs.pop(page[0]) == (1, 4096) and live.pop(page[0])
    if mode == "empty":
        # it makes blocks of no bytes one byte long
        theirs = {line: (blocks, size - blocks) for line, (blocks, size) in theirs.items()}
    assert theirs == live


# --- heaptrack ---

# It writes through a buffer, the end of which is lost when a program ends by _exit(); and it knows
# no inlined functions.
HEAPTRACK_PROGRAMS = programs(
    but=[
        ("heap_cxx", "containers"),
        ("heap_cxx", "exceptions"),
        ("heap_cxx", "forms"),
        ("heap_stacks", "inlined"),
    ]
)


# Where libc allocates for itself.
LIBRARIES = ("run_threads", "run_plugin", "open_line")


def heaptrack_costs(data, directory, cost, functions):
    """{function: cost}, of the innermost of @functions"""
    folded = Path(directory) / f"{cost}.folded"
    subprocess.run(
        ["heaptrack_print", "-f", data, "-F", folded, "--flamegraph-cost-type", cost],
        stdout=subprocess.DEVNULL,
        timeout=120,
        check=True,
    )
    costs = dict.fromkeys((*functions, *LIBRARIES), 0)
    for line in folded.read_text().splitlines():
        stack, _, value = line.rpartition(" ")
        names = (heap.plain_name(frame.strip()) for frame in reversed(stack.split(";")))
        own = next((name.strip() for name in names if name.strip() in costs), None)
        if own:
            costs[own] += int(value)
    return costs


def by_function(told):
    """{function: (live bytes, allocations)}"""
    sums = {}
    for row in told["sites"]:
        line = heap.own_line(row)
        if line and line.function not in LIBRARIES:
            add(sums, line.function, row["bytes"], row["alloc_calls"])
    return sums


@pytest.mark.parametrize("program,mode", HEAPTRACK_PROGRAMS)
def test_heaptrack_finds_the_same(recorded, tmp_path, program, mode):
    _, told = recorded(program, mode)
    ours = by_function(told)
    run_under(["heaptrack", "-o", tmp_path / "data"], program, mode)
    files = list(tmp_path.glob("data*"))
    assert len(files) == 1, files
    data = files[0]
    leaked = heaptrack_costs(data, tmp_path, "leaked", ours)
    calls = heaptrack_costs(data, tmp_path, "allocations", ours)
    if mode == "realloc":
        # realloc(p, 0) frees p, which heaptrack takes for live
        assert leaked["realloc_frees"] == 77
        leaked["realloc_frees"] -= 77
    if mode == "aligned":
        # it has no hooks for memalign() and pvalloc()
        leaked["aligned_family"] += 100 + 301
        calls["aligned_family"] += 2 + 13
    if program == "heap_plugins":
        # the second library at an address is the first one to it
        sums = [ours.pop(f"plugin_{x}_make") for x in "ab"]
        ours["plugin_a_make"] = tuple(map(sum, zip(*sums)))
        del leaked["plugin_b_make"], calls["plugin_b_make"]
    assert {name: (leaked[name], calls[name]) for name in ours} == ours
