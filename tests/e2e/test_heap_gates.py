"""Gates: 3 with the lines in charge, 4 when it cannot be told, 0 otherwise. A gate that passes has
looked at something."""

import json
import os
import subprocess
from pathlib import Path

import harness
import heap
import pytest
from harness import Sample

NOT_FREED, UNKNOWN = 3, 4


def run_gate(tmp_path, *command, status, options=(), **more):
    return harness.cprof(
        "heap",
        "run",
        "--fail-on-unfreed",
        "-o",
        tmp_path / "gate.%p.cprof-heap",
        *options,
        "--",
        *command,
        status=status,
        cwd=tmp_path,
        **more,
    )


def program(name, *args):
    return heap.program_command(name, *args)


def test_what_is_not_freed_fails_with_its_lines(tmp_path):
    done = run_gate(tmp_path, *program("heap_basic", "plain"), status=NOT_FREED)
    truth = heap.Truth(done.stdout)
    for line in truth.live():
        assert f"{line.file}:{line.line}" in done.stderr, line
        assert line.function in done.stderr
    assert "realloc" not in done.stderr


def test_all_freed_passes(tmp_path):
    run_gate(tmp_path, *program("heap_basic", "nothing"), status=0)


def test_the_standard_librarys_pool_does_not_count(tmp_path):
    """libstdc++ keeps 72,704 bytes for exceptions: nobody's leak."""
    done = run_gate(tmp_path, *program("heap_cxx", "constructors"), status=NOT_FREED)
    assert heap.Truth(done.stdout).total().bytes == 810
    assert "FAILED: 810 B against 0 B" in done.stderr


@pytest.mark.parametrize(
    "limit,status", [(7603, NOT_FREED), (7604, 0), ("8K", 0), ("7K", NOT_FREED)]
)
def test_limit_in_bytes(tmp_path, limit, status):
    """heap_basic plain leaves 7,604 bytes."""
    harness.cprof(
        "heap",
        "run",
        f"--fail-on-unfreed={limit}",
        "-o",
        tmp_path / "x.cprof-heap",
        "--",
        *program("heap_basic", "plain"),
        status=status,
    )


def test_min_age_leaves_out_what_is_young(tmp_path):
    run_gate(tmp_path, *program("heap_basic", "plain"), status=0, options=("--min-age", "60s"))


def test_suppressions(tmp_path):
    rules = tmp_path / "rules"
    rules.write_text("# of the team\nleak:plain_many\nleak:plain_h*f\nleak:^plain_one$\n")
    run_gate(
        tmp_path,
        *program("heap_basic", "plain"),
        status=NOT_FREED,
        options=("--suppressions", rules),
    )
    with rules.open("a") as file:
        file.write("leak:heap_basic.c\n")
    run_gate(
        tmp_path, *program("heap_basic", "plain"), status=0, options=("--suppressions", rules)
    )


@pytest.mark.parametrize("name", ["heap_basic_static", "heap_basic_asan"])
def test_what_cannot_be_recorded_does_not_pass(tmp_path, name):
    """It runs all the same, does what it does, and cprof says why nothing is known."""
    # not through harness.cprof(), which would take the word "sanitizer" for a finding
    done = subprocess.run(
        [harness.CPROF, "heap", "run", "--fail-on-unfreed", "--", *program(name, "nothing")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == UNKNOWN, done.stderr
    assert heap.Truth(done.stdout).ends == 1
    assert ("statically" if "static" in name else "sanitizer") in done.stderr


def test_setuid_program_does_not_pass(tmp_path, nobody):
    copy = nobody.add(heap.PROGRAMS / "heap_processes")
    copy.chmod(0o4755)
    nobody.add(heap.SHIM)
    done = nobody.run("heap", "run", "--fail-on-unfreed", "--", copy, "setuid")
    assert done.returncode == UNKNOWN, done.stderr
    assert heap.Truth(done.stdout).ends == 1


def test_a_failed_command_passes_its_status_on(tmp_path):
    done = run_gate(tmp_path, "/bin/sh", "-c", "exit 7", status=7)
    assert done.returncode == 7


def test_a_file_with_nothing_in_it_does_not_pass(tmp_path):
    """No allocation at all: the gate cannot tell that the shim works there."""
    source = tmp_path / "none.c"
    source.write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-o", tmp_path / "none", source], check=True)
    run_gate(tmp_path, tmp_path / "none", status=UNKNOWN)


@pytest.mark.parametrize(
    "option,status",
    [
        (("--suppressions", "nowhere/rules"), 1),
        (("--suppressions", "wrong"), 2),
        (("-o", "nowhere/x.cprof-heap"), 1),
        (("-o", "."), 1),
        (("-o", ""), 2),
    ],
)
def test_what_cannot_work_is_told_before_the_command_is_run(tmp_path, option, status):
    """2: it was written wrongly; 1: as it is written it cannot be done here."""
    (tmp_path / "wrong").write_text("no rule\n")
    command = ("heap", "run", "--fail-on-unfreed", *option, "--", "touch", "was-run")
    harness.cprof(*command, status=status, cwd=tmp_path)
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("gate", [(), ("--fail-on-unfreed",)])
def test_wrong_rules_of_a_report_are_no_verdict_of_its_gate(tmp_path, gate):
    run = heap.run_program(tmp_path, "heap_basic", "nothing")
    wrong = tmp_path / "wrong"
    wrong.write_text("no rule\n")
    for rules, status in ((tmp_path / "nowhere", 1), (wrong, 2)):
        options = (*gate, "--suppressions", rules)
        done = harness.cprof("heap", "report", run.path, *options, status=status)
        assert str(rules) in done.stderr and done.stdout == ""


def test_a_process_without_the_library_is_told_what_to_do():
    with Sample("cpu_split") as target:
        for options, status in (((), 1), (("--fail-on-unfreed",), UNKNOWN)):
            done = harness.cprof("heap", "report", "-p", target.pid, *options, status=status)
            assert f"process {target.pid} is not recorded: libcprof_heap.so is not" in done.stderr
            assert "cprof heap run -- CMD" in done.stderr


def test_a_short_run_says_that_it_was_too_short_to_see_growth(tmp_path):
    run = heap.run_program(tmp_path, "heap_basic", "plain")
    told = heap.report(run.path)
    assert told["target"]["duration_ns"] < 2e9
    assert "what grows can be told from 2 s on" in told["verdict"]["text"]
    assert told["verdict"]["judged_bytes_per_hour"] is None


def test_growth_between_two_snapshots(tmp_path):
    """A copy of the file is a snapshot: what was added since, step by step, is growth."""
    path, before = tmp_path / "live.cprof-heap", tmp_path / "before"
    env = heap.shim_environment(path) | {"CPROF_HEAP_FOLLOW": "all"}
    with subprocess.Popen(
        program("heap_time", "live"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    ) as process:
        try:

            def step():
                while process.stdout.readline() != b"end\n":
                    pass

            step()
            subprocess.run(["cp", "--sparse=always", path, before], check=True)

            def go_on():
                process.stdin.write(b"x")
                process.stdin.flush()
                step()

            for _ in range(20):
                go_on()
            told = heap.report(path, "--since", before)
            rows = [row for row in told["sites"] if row["blocks"]]
            assert [(heap.own_line(row).function, row["blocks"]) for row in rows] == [
                ("live_leak", 200)
            ]
            assert told["before"]["blocks"] == 11

            def gate(rate):
                args = ("--since", before, "--fail-on-growth", rate)
                done = harness.cprof("heap", "report", path, *args, status=None)
                return done.returncode

            assert gate("1KB/h") == UNKNOWN, "a trend within a moment"

            def fails():
                go_on()
                return gate("1KB/h") == NOT_FREED

            harness.wait_until("a steady growth to be told", fails)
            assert gate("1GB/h") == 0
        finally:
            process.kill()


VECTOR = """
#include <stdio.h>
#include <stdlib.h>
static char *block;
__attribute__((noinline)) static void grow(size_t size)
{
	block = realloc(block, size);
	puts("end");
	fflush(stdout);
}
int main(void)
{
	for (size_t size = 1000; size <= 1000000; size *= 10) {
		grow(size);
		getchar();
	}
	return 0;
}
"""


def test_a_block_that_becomes_larger_is_told_by_two_copies(tmp_path):
    """One moment shows one young block, as memory in use would be: that must not pass."""
    (tmp_path / "vector.c").write_text(VECTOR)
    subprocess.run(["gcc", "-g", "-O1", "-o", "vector", "vector.c"], cwd=tmp_path, check=True)
    path, before, after = (tmp_path / name for name in ("live.cprof-heap", "t0", "t1"))
    env = heap.shim_environment(path) | {"CPROF_HEAP_FOLLOW": "all"}
    with subprocess.Popen(
        [tmp_path / "vector"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    ) as process:
        try:

            def gate(*args):
                args = (path, "--fail-on-growth", "100KB/h", *args)
                done = harness.cprof("heap", "report", *args, status=None)
                return done.returncode, done.stdout

            assert process.stdout.readline() == b"end\n"
            subprocess.run(["cp", "--sparse=always", path, before], check=True)
            harness.wait_until("growth to be judged", lambda: gate("--since", before)[0] == 0)
            process.stdin.write(b"x")
            process.stdin.flush()
            assert process.stdout.readline() == b"end\n"
            assert gate()[0] == UNKNOWN
            status, text = gate("--since", before)
            assert status == NOT_FREED, text
            assert "more than in the earlier copy" in text
            assert "grow  " in text and "vector.c:7" in text
            subprocess.run(["cp", "--sparse=always", path, after], check=True)
            done = harness.cprof("heap", "report", before, "--since", after, status=2)
            assert "is later than" in done.stderr
        finally:
            process.kill()


def test_moved_file_is_as_long_as_it_is_big(tmp_path):
    """The live one is gigabytes long; what stays holds the same, and no empty space."""
    out = tmp_path / "x.cprof-heap"
    done = harness.cprof("heap", "run", "-o", out, "--", *program("heap_basic", "plain"))
    assert out.stat().st_size < 100_000
    assert out.stat().st_size <= out.stat().st_blocks * 512 + 4096
    truth = heap.Truth(done.stdout)
    sums, _, _ = heap.sums_by_check(out)
    assert {line: sums[line] for line in truth.sites} == truth.sites


def test_what_is_left_in_memory_is_told(tmp_path):
    """/dev/shm is memory: files of processes that have ended are listed with what they take."""
    run = heap.run_program(tmp_path, "heap_basic", "plain")
    left = Path("/dev/shm") / f"left-{os.getpid()}.cprof-heap"
    try:
        subprocess.run(["cp", "--sparse=always", run.path, left], check=True)
        done = harness.cprof("heap", "report", cwd=tmp_path)
        assert left.name in done.stdout
        assert "in /dev/shm, take" in done.stderr and "'rm' the rest" in done.stderr
    finally:
        left.unlink()


def test_json_is_bounded(tmp_path):
    """Of many stacks the first thousand, and what the others have live together."""
    run = heap.run_program(tmp_path, "heap_stacks", "many", 3000)
    told = json.loads(harness.cprof("heap", "report", "--format", "json", run.path).stdout)
    assert len(told["sites"]) == 1000 and len(told["verdict"]["places"]) <= 1000
    assert told["n_rows"] > 1000
    for key in ("blocks", "bytes"):
        shown = sum(site[key] for site in told["sites"])
        assert shown + told["not_shown"][key] == told["verdict"][key]


def test_an_option_of_the_sister_command_is_named(tmp_path):
    done = harness.cprof("heap", "run", "--fail-on-growth", "1MB/h", "--", "true", status=2)
    assert "--fail-on-growth is one of 'cprof heap report'" in done.stderr


def test_a_setting_that_cannot_be_used_is_told_before_the_run(tmp_path):
    env = harness.cprof_environment(CPROF_HEAP_MAX_SITES="7")
    done = harness.cprof("heap", "run", "--", "touch", "was-run", status=2, cwd=tmp_path, env=env)
    assert "CPROF_HEAP_MAX_SITES=7" in done.stderr
    assert not (tmp_path / "was-run").exists()


def test_gate_of_a_file(tmp_path):
    run = heap.run_program(tmp_path, "heap_basic", "plain")
    told = heap.report(run.path, "--fail-on-unfreed", status=NOT_FREED)
    assert [(g["gate"], g["option"], g["result"]) for g in told["gates"]] == [
        ("unfreed", "--fail-on-unfreed", "fail")
    ]
    assert told["gates"][0]["value"] == run.truth.total().bytes
    told = heap.report(run.path, "--fail-on-unfreed=1M")
    assert told["gates"][0]["result"] == "pass"


def test_gate_of_a_table_that_was_full(tmp_path):
    """Less than everything is known: more than the limit fails, less cannot be told."""
    run = heap.run_program(tmp_path, "heap_stacks", "many", 20000, CPROF_HEAP_MAX_BLOCKS=4096)
    harness.cprof("heap", "report", run.path, "--fail-on-unfreed=1G", status=UNKNOWN)
    harness.cprof("heap", "report", run.path, "--fail-on-unfreed", status=NOT_FREED)
