"""Exact mode: what the programs of samples/heap say of their heap is what the file holds."""

from collections import namedtuple

import heap
import pytest

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
    case("heap_stacks", "many"),
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
        key = (wanted.program, wanted.mode)
        if key not in made:
            made[key] = heap.run_program(
                directory, wanted.program, wanted.mode, status=wanted.options.get("status", 0)
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


@pytest.mark.parametrize("wanted", CASES)
def test_file_holds_the_truth(run, wanted):
    checked = assert_truth(run(wanted), wanted, heap.sums_by_check)
    assert not checked.losses
    assert checked["site_peak_bytes"] == checked["peak_bytes"] or not wanted.options.get(
        "peak", True
    )
