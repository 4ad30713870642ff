"""Gates: 3 with the lines in charge, 4 when it cannot be told, 0 otherwise. A gate that passes has
looked at something."""

import subprocess

import harness
import heap
import pytest

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
    "option", [("--suppressions", "nowhere/rules"), ("-o", "nowhere/x.cprof-heap"), ("-o", ".")]
)
def test_what_cannot_work_is_told_before_the_command_is_run(tmp_path, option):
    command = ("heap", "run", *option, "--", "touch", "was-run")
    harness.cprof(*command, status=2, cwd=tmp_path)
    assert not (tmp_path / "was-run").exists()


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


def test_gate_of_a_file(tmp_path):
    run = heap.run_program(tmp_path, "heap_basic", "plain")
    told = heap.report(run.path, "--fail-on-unfreed", status=NOT_FREED)
    assert [(g["gate"], g["result"]) for g in told["gates"]] == [("unfreed", "fail")]
    assert told["gates"][0]["value"] == run.truth.total().bytes
    told = heap.report(run.path, "--fail-on-unfreed=1M")
    assert told["gates"][0]["result"] == "pass"


def test_gate_of_a_table_that_was_full(tmp_path):
    """Less than everything is known: more than the limit fails, less cannot be told."""
    run = heap.run_program(tmp_path, "heap_stacks", "many", 20000, CPROF_HEAP_MAX_BLOCKS=4096)
    harness.cprof("heap", "report", run.path, "--fail-on-unfreed=1G", status=UNKNOWN)
    harness.cprof("heap", "report", run.path, "--fail-on-unfreed", status=NOT_FREED)
