"""Three unwinders on the same bytes: compiled rows, libunwind, libdw.

`unwind_compare` samples a program with registers and a copy of its stack and walks each sample in
the three ways. Where the frames differ, the cause has to be one of its named predicates.
"""

import json
import subprocess
import sys

import harness
import pytest

sys.path.insert(0, str(harness.REPOSITORY / "tests" / "support" / "unwind_oracle"))

import programs  # noqa: E402

SAMPLES = 20_000 if harness.FULL else 1_500
FULL_TOTAL = 200_000
UNEXPLAINED_MAX = 0.001
COMPLETE_MIN = 0.995
# Go's runtime works on another stack of the thread, of which its caller's is no part: stacks end
# there, as truncated. Of this program they are 15 %, and all others have to be whole.
SWITCHES_STACKS = {"go"}
COMPLETE_MIN_SWITCHING = 0.8
# Of user stack; the compilers' recursion is deeper than what is usually copied.
DUMP_BYTES = {name: 65528 if name in programs.DEEP else 32768 for name in programs.NAMES}


def compare(name, directory, wanted):
    with programs.running(name, directory) as process:
        done = subprocess.run(
            [harness.BUILD / "tests" / "unwind_compare", "--samples", str(wanted)]
            + ["--dump", str(DUMP_BYTES[name]), "--show", "3", str(process.pid)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=600,
            check=False,
        )
    harness.assert_sound(done.stderr, name)
    assert done.returncode == 0, done.stderr
    print(done.stderr)
    return json.loads(done.stdout)


def add(total, counts):
    for key, value in counts.items():
        if isinstance(value, dict):
            add(total.setdefault(key, {}), value)
        else:
            total[key] = total.get(key, 0) + value


@pytest.fixture(scope="module")
def counts_of(tmp_path_factory):
    """A function: a program's counts, measured once; finite programs are started again."""
    directory = tmp_path_factory.mktemp("programs")
    measured = {}

    def get(name):
        if name not in measured:
            total = {"samples": 0}
            while total["samples"] < SAMPLES:
                add(total, compare(name, directory, SAMPLES - total["samples"]))
            measured[name] = total
        return measured[name]

    return get


@pytest.mark.parametrize("name", programs.NAMES)
def test_three_unwinders_agree_or_a_cause_is_known(counts_of, name):
    c = counts_of(name)
    n = c["samples"]
    explained = sum(c["causes"].values())
    assert n == SAMPLES == c["equal"] + explained + c["unexplained"]
    assert c["unexplained"] / n <= UNEXPLAINED_MAX, c
    assert c["rows_libunwind"] / n <= UNEXPLAINED_MAX, c
    assert c["ends"] / n <= UNEXPLAINED_MAX, c
    # more than a leaf each: nothing would be easier than to agree on that
    assert c["frames"] > 5 * n, c


@pytest.mark.parametrize("name", programs.NAMES)
def test_where_the_truth_can_be_told_rows_are_right(counts_of, name):
    c = counts_of(name)
    assert c["rows_wrong"] == 0, c


@pytest.mark.parametrize("name", [n for n in programs.NAMES if n not in programs.DEEP])
def test_stacks_reach_their_root(counts_of, name):
    c = counts_of(name)
    least = COMPLETE_MIN_SWITCHING if name in SWITCHES_STACKS else COMPLETE_MIN
    assert c["complete"] / c["samples"] >= least, c["stops"]
    if name in SWITCHES_STACKS:
        whole = c["complete"] + c["stops"]["truncated"]
        assert whole / c["samples"] >= COMPLETE_MIN, c["stops"]


@pytest.mark.parametrize("name", sorted(programs.DEEP))
def test_only_the_copy_ends_deep_stacks(counts_of, name):
    c = counts_of(name)
    assert (c["complete"] + c["stops"]["truncated"]) / c["samples"] >= COMPLETE_MIN, c["stops"]


@pytest.mark.full
def test_a_large_number_of_samples_was_compared(counts_of):
    total = {}
    for name in programs.NAMES:
        c = counts_of(name)
        add(total, c)
        causes = {cause: count for cause, count in c["causes"].items() if count}
        print(f"{name:11} {c['samples']:6} equal {c['equal']:6} complete {c['complete']:6} "
              f"rows/libunwind {c['rows_libunwind']:3} rows/libdw {c['rows_libdw']:5} "
              f"libunwind/libdw {c['libunwind_libdw']:5} unexplained {c['unexplained']:3} {causes}")
    print(json.dumps(total))
    assert total["samples"] >= FULL_TOTAL
    assert total["unexplained"] / total["samples"] <= UNEXPLAINED_MAX
