"""The rows that stacks are walked by say what `readelf` says, for every binary there is."""

import bisect
import collections
import multiprocessing
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cfi_oracle import compiled_rows, differences, expected_rows, identity, read_entries
from harness import FULL, SAMPLES, SUPPORT

ROWS_DUMP = SUPPORT / "rows_dump"
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
FOLDERS = ["/usr", "/opt", "/lib", "/lib64", "/bin", "/sbin"]

# Of the default tier. Together more than half a million rows.
NAMED = [
    LIBRARIES / "libc.so.6",
    LIBRARIES / "ld-linux-x86-64.so.2",
    LIBRARIES / "libstdc++.so.6",
    LIBRARIES / "libcrypto.so.3",
    LIBRARIES / "libm.so.6",
    LIBRARIES / "libgcc_s.so.1",
]
PROGRAMS = ["python3", "node", "perf", "bash", "gcc", "clang", "gdb"]

# (name of the binary, rule of readelf, rule of cprof, why they differ)
EXPLAINED = [
    (
        r"(libnvvm|libnvJitLink|libnvrtc(\.alt)?)\.so\.\d+|cicc",
        "rsp+8 c-16 c-8",
        "rsp+8 u c-8",
        "one function of 10 bytes without a symbol, whose CIE saves rbp and then says "
        "DW_CFA_restore, which a CIE cannot: readelf takes no notice, libgcc and cprof forget "
        "the slot, which is right for a function that never touches rbp",
    ),
]


def is_explained(path, theirs, ours):
    return any(
        re.fullmatch(name, path.name) and (theirs, ours) == (readelf, cprof)
        for name, readelf, cprof, _ in EXPLAINED
    )


def compare(path):
    """(path, rows compared, how many of each kind, differences as text)"""
    expected, compiled = expected_rows(path), compiled_rows(ROWS_DUMP, path)
    found, compared = differences(expected, compiled)
    kinds = collections.Counter(re.split(r"[-+: ]", rule)[0] for _, rule in compiled)
    lines = [
        f"{path} {svma:#x}..{end:#x}: readelf: {theirs}, cprof: {ours}"
        for svma, end, theirs, ours in found
        if not is_explained(path, theirs, ours)
    ]
    return path, compared, kinds, lines


def find_binaries(folders):
    """Each program and library once, by build-id; debug files have no code."""
    found = {}
    for folder in folders:
        for directory, names, files in os.walk(folder):
            names[:] = [name for name in names if Path(directory, name) != Path("/usr/lib/debug")]
            for name in files:
                path = Path(directory, name)
                if path.is_symlink() or not path.is_file():
                    continue
                try:
                    key = identity(path)
                except OSError:
                    continue
                if key:
                    found.setdefault(key, path)
    return sorted(found.values())


def compare_all(paths):
    """Compare, two at a time. Asserts that nothing differs; returns the sums."""
    with multiprocessing.Pool(2) as pool:
        results = list(pool.imap_unordered(compare, paths))
    wrong = [line for _, _, _, lines in results for line in lines]
    assert not wrong, f"{len(wrong)} ranges differ\n" + "\n".join(wrong[:40])
    kinds = sum((counts for _, _, counts, _ in results), collections.Counter())
    rows = sum(compared for _, compared, _, _ in results)
    print(f"{len(results)} binaries, {rows} ranges, {dict(kinds)}")
    return rows, kinds


def test_rows_say_what_readelf_says():
    programs = [Path(shutil.which(name, path="/usr/bin")).resolve() for name in PROGRAMS]
    samples = find_binaries([SAMPLES])
    assert len(samples) >= 10
    rows, kinds = compare_all([path.resolve() for path in NAMED] + programs + samples)
    assert rows > 500_000
    for kind in ("rsp", "rbp", "plt", "deref", "end", "signal", "unsupported", "none"):
        assert kinds[kind] > 0, kind


PROGRAM = """
#include <stdio.h>
__attribute__((noinline)) int leaf(int n) { return n * 3; }
__attribute__((noinline)) int frame(int n)
{
    volatile int kept[200];
    kept[n] = leaf(n);
    return kept[n] + 1;
}
int main(int argc, char **argv) { return printf("%d", frame(argc)) + leaf(argv[0][0]); }
"""
NO_TABLES = ["-g", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]


@pytest.mark.parametrize(
    ("section", "flags"),
    [
        (".eh_frame", ["-static"]),  # and no .eh_frame_hdr: glibc's static programs
        (".eh_frame", ["-static-pie"]),
        (".debug_frame", NO_TABLES),
        (".debug_frame", [*NO_TABLES, "-gz=zlib"]),
        (".debug_frame", [*NO_TABLES, "-static"]),
    ],
)
def test_rows_come_from_wherever_the_information_is(tmp_path, section, flags):
    source, program = tmp_path / "program.c", tmp_path / "program"
    source.write_text(PROGRAM)
    subprocess.run(["gcc", "-O1", *flags, "-o", program, source], check=True)
    entries = [e for e in read_entries(program) if e.section == section and e.cie >= 0]
    # the program's own three functions among them
    assert len(entries) >= 3
    rows, kinds = compare_all([program])
    assert rows > 10 and kinds["rsp"] > 3
    compiled = compiled_rows(ROWS_DUMP, program)
    assert all(rule_at(compiled, e.start) != "none" for e in entries if e.start < e.end)


def rule_at(rows, svma):
    return rows[bisect.bisect_right(rows, svma, key=lambda row: row[0]) - 1][1]


@pytest.mark.full
def test_rows_say_what_readelf_says_of_every_binary_on_the_machine():
    assert FULL
    binaries = find_binaries(FOLDERS)
    assert len(binaries) > 500
    compare_all(binaries)


def test_the_comparison_sees_a_wrong_row():
    path = (LIBRARIES / "libc.so.6").resolve()
    expected, compiled = expected_rows(path), compiled_rows(ROWS_DUMP, path)
    assert not differences(expected, compiled)[0]
    half = len(compiled) // 2
    found = [i for i, (_, rule) in enumerate(compiled[half:], half) if "rsp+" in rule]
    assert found, f"no row of {len(compiled)} has rsp+"
    middle = found[0]
    svma, rule = compiled[middle]
    for wrong in (
        [(svma, "none")],  # another rule
        [(svma + 1, rule)],  # a byte later
        [],  # missing
    ):
        damaged = compiled[:middle] + wrong + compiled[middle + 1 :]
        found, _ = differences(expected, damaged)
        assert [difference[0] for difference in found] == [svma], wrong
