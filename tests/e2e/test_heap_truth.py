"""Exact mode: what the programs of samples/heap say of their heap is what the file holds."""

from collections import namedtuple

import harness
import heap
import pytest

# 100,000 stacks are a matter of room and of time, not of another behaviour
MANY = () if harness.FULL else (10000,)

Case = namedtuple("Case", "program mode options")


def case(program, mode, **options):
    """status: how it ends; peak: whether the largest sum of live bytes is exact, as with a single
    thread; skip: its functions that allocate for others; libraries: its functions in which libc
    allocates for itself."""
    return pytest.param(Case(program, mode, options), id=f"{program}-{mode}")


CASES = [
    case("heap_basic", "plain"),
    case("heap_basic", "realloc"),
    case("heap_basic", "aligned"),
    case("heap_basic", "zeroed"),
    case("heap_basic", "strings", peak=False, libraries=("open_line",)),
    case("heap_basic", "mapped"),
    case("heap_basic", "usable"),
    case("heap_basic", "wrappers", skip=("xmalloc", "xzalloc")),
    case("heap_basic", "empty"),
    case("heap_basic", "nothing"),
    case("heap_time", "growth"),
    case("heap_time", "cache"),
    case("heap_time", "sawtooth"),
    case("heap_time", "peak"),
    case("heap_time", "temporaries"),
    case("heap_time", "mixture"),
    case("heap_time", "live"),
    case("heap_stacks", "deep"),
    case("heap_stacks", "many", args=(1000,)),
    case("heap_stacks", "alloca"),
    case("heap_stacks", "inlined"),
    case("heap_stacks", "coroutine"),
    case("heap_stacks", "handler"),
    case("heap_threads", "exited", peak=False, libraries=("run_threads",)),
    case("heap_threads", "tls", peak=False, libraries=("run_threads",)),
    case("heap_threads", "other", peak=False, libraries=("run_threads",)),
    case("heap_threads", "many", peak=False, libraries=("run_threads",)),
    case("heap_cxx", "containers", peak=False),
    case("heap_cxx", "exceptions", peak=False),
    case("heap_cxx", "forms"),
    case("heap_cxx", "constructors"),
    case("heap_processes", "fork"),
    case("heap_processes", "vfork"),
    case("heap_processes", "segv", status=-11),
    case("heap_processes", "abort", status=-6),
    case("heap_processes", "kill", status=-9),
    case("heap_processes", "daemon"),
    case("heap_plugins", "stay", libraries=("run_plugin",)),
    case("heap_plugins", "free", libraries=("run_plugin",)),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A program's run, made once for all tests of it."""
    made = {}
    directory = tmp_path_factory.mktemp("heap")

    def get(wanted):
        key = (wanted.program, wanted.mode, wanted.options.get("args"))
        if key not in made:
            made[key] = heap.run_program(
                directory,
                wanted.program,
                wanted.mode,
                *wanted.options.get("args", ()),
                status=wanted.options.get("status", 0),
            )
            assert made[key].truth.ends >= 1, made[key].output
        return made[key]

    return get


def assert_truth(run, wanted, sums_of):
    sums, peaks, told = sums_of(run.path, wanted.options.get("skip", ()))
    libraries = wanted.options.get("libraries", ())
    own = {line: s for line, s in sums.items() if s.calls and line.function not in libraries}
    assert own == run.truth.sites
    if wanted.options.get("peak", True):
        live_at_peak = sum(peaks[line] for line in own)
        assert live_at_peak == run.truth.peak
    return told


@pytest.mark.parametrize("wanted", [*CASES, case("heap_stacks", "many", args=MANY)])
def test_file_holds_the_truth(run, wanted):
    checked = assert_truth(run(wanted), wanted, heap.sums_by_check)
    assert not checked.losses
    assert checked["site_peak_bytes"] == checked["peak_bytes"] or not wanted.options.get(
        "peak", True
    )


@pytest.mark.parametrize("wanted", CASES)
def test_report_tells_the_truth(run, wanted):
    told = assert_truth(run(wanted), wanted, heap.sums_by_report)
    checked = heap.Checked(run(wanted).path)
    totals = told["totals"]
    assert (totals["blocks"], totals["bytes"]) == (checked["live_blocks"], checked["live_bytes"])
    assert (totals["alloc_calls"], totals["alloc_bytes"]) == (
        checked["allocs"],
        checked["alloc_bytes"],
    )
    assert totals["peak_bytes"] == checked["peak_bytes"]
    rows = heap.add_up(
        heap.Sums(r["blocks"], r["bytes"], r["alloc_calls"], r["alloc_bytes"])
        for r in told["sites"]
    )
    gone = told["suppressed"]
    assert rows.blocks + gone["blocks"] == totals["blocks"]
    assert rows.bytes + gone["bytes"] == totals["bytes"]
    if not gone["blocks"]:
        assert rows[2:] == (totals["alloc_calls"], totals["alloc_bytes"])
    # the frame in charge is the one that the truth names, also behind wrappers
    for row in told["sites"]:
        line = heap.own_line(row, wanted.options.get("skip", ()))
        if line in run(wanted).truth.sites:
            charge = row["in_charge"]
            assert heap.plain_name(charge["function"]) == line.function
            assert charge["line"] == line.line


def test_report_names_what_was_live_at_the_peak(run):
    wanted = Case("heap_time", "peak", {})
    truth = run(wanted).truth
    _, peaks, _ = heap.sums_by_report(run(wanted).path)
    at_peak = {line.function: size for line, size in peaks.items()}
    assert at_peak["peak_small"] == truth.facts["peak_small"]
    assert at_peak["peak_large"] == truth.facts["peak_large"]


def test_report_counts_temporary_blocks(run):
    wanted = Case("heap_time", "temporaries", {})
    told = heap.report(run(wanted).path)
    assert told["totals"]["temporary"] == run(wanted).truth.facts["temporary"]


def test_report_says_how_the_process_ended(run):
    for mode, status, state in (("segv", -11, "killed"), ("kill", -9, "killed")):
        wanted = Case("heap_processes", mode, {"status": status})
        assert heap.report(run(wanted).path)["target"]["state"] == state
    assert heap.report(run(Case("heap_basic", "plain", {})).path)["target"]["state"] == "exited"


def test_stacks_are_told_apart(run):
    """Many stacks give as many rows, each of one block."""
    wanted = Case("heap_stacks", "many", {"args": MANY})
    told = heap.report(run(wanted).path, "--limit", 1000)
    assert told["n_rows"] == run(wanted).truth.facts["stacks"]
    assert {row["blocks"] for row in told["sites"]} == {1}
    by_function = {
        row["name"]: row["blocks"]
        for row in heap.report(run(wanted).path, "--by", "function")["rows"]
    }
    assert by_function == {
        line.function: sums.blocks for line, sums in run(wanted).truth.sites.items()
    }
