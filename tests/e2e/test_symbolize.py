"""`cprof symbolize`: its own options, and what it says about wrong ones."""

import shutil
import subprocess

import harness
import pytest

SOURCES = str(harness.REPOSITORY / "samples")


def start_of(program, name):
    text = subprocess.run(
        ["nm", harness.SAMPLES / program], capture_output=True, text=True, check=True
    ).stdout
    found = [line.split()[0] for line in text.splitlines() if line.split()[-1] == name]
    assert len(found) == 1, f"{name} in {program}: {found}"
    return found[0]


def test_source_prefix_of_an_address():
    address = start_of("cpu_split", "burn_a")
    args = ("symbolize", "-e", harness.SAMPLES / "cpu_split", address)
    assert f" at {SOURCES}/cpu_split.c:" in harness.cprof(*args).stdout
    moved = harness.cprof(*args, "--source-prefix", f"{SOURCES}=/elsewhere/src").stdout
    assert " at /elsewhere/src/cpu_split.c:" in moved
    # a part of a name is no directory
    kept = harness.cprof(*args, "--source-prefix", f"{SOURCES[:-1]}=/elsewhere").stdout
    assert f" at {SOURCES}/cpu_split.c:" in kept


def test_source_prefix_of_a_profile(recordings, tmp_path):
    """A profile that has its names is given other paths; all that reads it sees them."""
    path = tmp_path / "moved.pb.gz"
    shutil.copy2(recordings("cpu_split").path, path)
    for old, new in (
        (f"{SOURCES}/heap/..", "/typo/src"),
        (SOURCES, "/elsewhere/src"),
        (SOURCES, "/elsewhere/src"),
    ):
        done = harness.cprof("symbolize", path, "--source-prefix", f"{old}={new}")
        assert "--source-prefix" not in done.stderr
    done = harness.cprof("symbolize", path, "--source-prefix", "/nowhere=/elsewhere")
    assert "--source-prefix /nowhere=/elsewhere: no function has a source file there" in done.stderr
    profile = harness.Profile(path)
    moved, original = (
        harness.row_where(each.hotspots(), function="burn_a")
        for each in (profile, recordings("cpu_split"))
    )
    assert moved["file"] == "/elsewhere/src/cpu_split.c"
    assert moved["self_samples"] == original["self_samples"]
    assert "(/elsewhere/src/cpu_split.c:" in harness.cprof(
        "export", path, "--format", "folded", "--lines"
    ).stdout


def test_source_prefix_while_recording(tmp_path):
    path = tmp_path / "recorded.pb.gz"
    harness.cprof(
        "record", "-q", "-o", path, "--source-prefix", f"{SOURCES}=/elsewhere", "--",
        harness.SAMPLES / "cpu_split", "--cpu-seconds", 0.5,
    )
    rows = {row["function"]: row for row in harness.Profile(path).hotspots()}
    assert "burn_a" in rows and rows["burn_a"]["file"] == "/elsewhere/cpu_split.c"


def test_no_parameters(recordings, tmp_path):
    path = tmp_path / "bare.pb.gz"
    original = recordings("cpp_templates")
    shutil.copy2(original.path, path)
    harness.cprof("symbolize", path, "--no-parameters")
    with_parameters = {row["function"] for row in original.hotspots() if "(" in row["function"]}
    names = {row["function"] for row in harness.Profile(path).hotspots()}
    truth = [function["name"] for function in original.truth["functions"]]
    parameters = [name for name in truth if name.endswith(")") and name in with_parameters]
    assert parameters, truth
    for name in parameters:
        assert name not in names
        assert any(name.startswith(bare + "(") for bare in names), (name, names)
    assert sum(row["self_samples"] for row in harness.Profile(path).hotspots()) == sum(
        row["self_samples"] for row in original.hotspots()
    )


def test_wrong_questions_are_refused():
    program = harness.SAMPLES / "cpu_split"
    done = harness.cprof("symbolize", "-e", program, "main", status=2)
    assert "main is no address" in done.stderr
    done = harness.cprof("symbolize", "-e", "/nonexistent/program", "0x10", status=1)
    assert "/nonexistent/program: No such file or directory" in done.stderr
    done = harness.cprof("symbolize", "-e", harness.REPOSITORY / "README.md", "0x10", status=1)
    assert "not an ELF program or library" in done.stderr
    done = harness.cprof("symbolize", "-f", "profile.pb.gz", status=2)
    assert "go with -e FILE" in done.stderr
    done = harness.cprof("symbolize", "-e", program, "--source-prefix", "/no-equals", status=2)
    assert "OLD=NEW" in done.stderr


@pytest.mark.parametrize(
    "option,value,status",
    [
        ("--debug-dir", "/nonexistent", 1),
        ("--debug-dir", "/etc/passwd", 1),
        ("--debuginfod-limit", "soon", 2),
        ("--symbol-budget", "soon", 2),
        ("--source-prefix", "/no-equals", 2),
    ],
)
def test_both_commands_refuse_the_same_values_in_the_same_words(option, value, status):
    recorded = harness.cprof("record", option, value, "--", "true", status=status).stderr
    symbolized = harness.cprof("symbolize", option, value, "x.pb.gz", status=status).stderr
    assert f"{option} {value}: " in recorded
    assert recorded.replace("record", "symbolize") == symbolized


def test_lines_that_are_no_addresses_are_answered_and_told(tmp_path):
    """Questions and answers stay in step, as addr2line keeps them."""
    questions = tmp_path / "questions"
    address = start_of("cpu_split", "burn_a")
    questions.write_text(f"{address}\nnonsense\n0x{address}\n\n")
    with open(questions) as stdin:
        done = harness.cprof(
            "symbolize", "-fa", "-s", "-e", harness.SAMPLES / "cpu_split", stdin=stdin
        )
    lines = done.stdout.splitlines()
    assert [lines[i] for i in (0, 3, 6, 9)] == [
        f"0x{address}", "0x0000000000000000", f"0x{address}", "0x0000000000000000"
    ]
    assert lines[1] == lines[7] == "burn_a"
    assert lines[4:6] == ["??", "??:0"]
    assert "no addresses: 2" in done.stderr


def test_it_ends_when_nobody_reads_its_answers():
    """Standard input may go on for ever."""
    address = start_of("cpu_split", "burn_a")
    with subprocess.Popen(["yes", address], stdout=subprocess.PIPE) as questions:
        with subprocess.Popen(
            [harness.CPROF, "symbolize", "-e", harness.SAMPLES / "cpu_split"],
            stdin=questions.stdout, stdout=subprocess.PIPE,
        ) as answers:
            assert b"burn_a" in answers.stdout.readline()
            answers.stdout.close()
            assert answers.wait(timeout=60) == 0
        questions.kill()


@pytest.mark.parametrize("n", [1, 50_000])
def test_answers_that_cannot_be_written_are_an_error(n, tmp_path):
    """A few wait in a buffer, many are written at once."""
    asked = tmp_path / "addresses"
    asked.write_text("1139\n" * n)
    with open(asked) as questions, open("/dev/full", "w") as full:
        done = subprocess.run(
            [harness.CPROF, "symbolize", "-e", harness.SAMPLES / "cpu_split"],
            stdin=questions, stdout=full, stderr=subprocess.PIPE, text=True,
            env=harness.cprof_environment())
    assert done.returncode == 1
    assert "standard output: No space left on device" in done.stderr


def test_a_split_file_of_another_build_is_told(tmp_path):
    """Only a look-up opens it, so the word comes after the answers."""
    build = ["gcc", "-g", "-gdwarf-5", "-gsplit-dwarf", "-O1"]
    for name, text in (("a", "int main(void) { return 0; }"), ("b", "int b(void) { return 1; }")):
        (tmp_path / f"{name}.c").write_text(text)
        subprocess.run([*build, "-c", f"{name}.c"], cwd=tmp_path, check=True)
    subprocess.run(["gcc", "a.o", "-o", "a"], cwd=tmp_path, check=True)
    address = start_of(tmp_path / "a", "main")
    assert harness.cprof("symbolize", "-e", tmp_path / "a", address).stderr == ""
    shutil.move(tmp_path / "b.dwo", tmp_path / "a.dwo")
    done = harness.cprof("symbolize", "--no-cache", "-e", tmp_path / "a", address)
    assert "main at" in done.stdout
    assert "missing or of another build" in done.stderr and "a.dwo" in done.stderr
