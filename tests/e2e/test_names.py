"""What frames are called: inline chains, C++ names, and what is left without debug information."""

import re
import subprocess

import harness
from tolerance import assert_share


def test_inline_chains(recordings):
    profile = recordings("inlined")
    n = profile.samples
    chain = ["mix_outer_[i]", "mix_inner_[i]"]
    stacks = profile.user_folded()
    shares = {f["name"]: f["share"] for f in profile.truth["functions"]}
    for caller in ("caller_left", "caller_right"):
        hits = sum(c for frames, c in stacks if frames[-3:] == [caller, *chain])
        # The loop belongs to mix_outer: a few samples end there.
        outer = sum(c for frames, c in stacks if frames[-2:] == [caller, chain[0]])
        assert outer / n < 0.1 * shares[caller] + 0.005
        assert_share(f"{caller} with its inline chain", (hits + outer) / n, shares[caller], n)


def test_inlined_functions_have_rows_of_their_own(recordings):
    profile = recordings("inlined")
    rows = {row["function"]: row for row in profile.hotspots()}
    assert rows["mix_inner"]["inlined"] is True
    assert rows["mix_outer"]["inlined"] is True
    assert rows["caller_left"]["inlined"] is False
    user = profile.user_self()
    assert user["mix_inner"] / profile.samples > 0.85
    assert rows["mix_inner"]["self_samples"] == profile.leaf_counts()["mix_inner"]
    assert rows["mix_inner"]["file"].endswith("/inlined.c")
    assert rows["mix_inner"]["line"] == harness.marked_lines("inlined.c")["mix_inner"][0]
    # Code of the callers themselves: next to nothing.
    assert user.get("caller_left", 0) / profile.samples < 0.02
    total = rows["caller_left"]["total_samples"] + rows["caller_right"]["total_samples"]
    # The rest is the sample's clock, where a busy machine takes the CPU more often than elsewhere.
    assert 0.985 <= total / profile.samples <= 1, rows


def symbols(program):
    """Demangled names as binutils has them."""
    text = subprocess.run(
        ["nm", "-C", harness.SAMPLES / program], check=True, capture_output=True, text=True
    ).stdout
    return {line.split(" ", 2)[2] for line in text.splitlines() if line[17:18] in "tTwW"}


def plain(name):
    """nm says what a template returns, and which clone of a function it is; DWARF says neither."""
    return re.sub(r" \[clone .*\]$", "", re.sub(r"^(?!operator)(?:\w|::)+ (?=\w)", "", name))


def test_cpp_names(recordings):
    profile = recordings("cpp_templates")
    n = profile.samples
    rows = {}
    for row in profile.hotspots():
        rows.setdefault(plain(row["function"]), row)
    known = {plain(name) for name in symbols("cpp_templates")}
    for function in profile.truth["functions"]:
        name = function["name"]
        assert name in known, f"{name} is not what nm calls it"
        assert name in rows, f"{name} is not among {sorted(rows)}"
        assert_share(name, rows[name]["total_samples"] / n, function["share"], n)


def test_cpp_inlined_comparator_is_credited_to_its_line(recordings):
    profile = recordings("cpp_templates")
    source = (harness.REPOSITORY / "samples" / "cpp_templates.cpp").read_text().splitlines()
    lines = [i for i, text in enumerate(source, 1) if "return a.price < b.price" in text]
    assert len(lines) == 1, lines
    hits = [
        row
        for row in profile.hotspots("--by", "line")
        if row["line"] == lines[0] and (row["file"] or "").endswith("/cpp_templates.cpp")
    ]
    assert sum(row["self_samples"] for row in hits) > 0.005 * profile.samples
    assert any("lambda" in row["function"] and row["inlined"] for row in hits)


def test_no_names_are_mangled(recordings):
    for row in recordings("cpp_templates").hotspots():
        assert not row["function"].startswith("_Z"), row["function"]


def test_without_debug_information_there_are_names_but_no_lines(recordings):
    rows = [row for row in recordings("no_debug").hotspots() if row["function"] == "burn_a"]
    assert len(rows) == 1
    assert rows[0]["file"] is None and rows[0]["line"] is None
    assert rows[0]["module"].endswith("/no_debug")


def test_stripped_program_has_the_names_it_exports(recordings):
    profile = recordings("stripped")
    n = profile.samples
    shares = {f["name"]: f["share"] for f in profile.truth["functions"]}
    rows = {row["function"]: row for row in profile.hotspots()}
    user = profile.user_self()
    for name in ("burn_a", "burn_b"):
        assert_share(name, user.get(name, 0) / n, shares[name], n)
    # Local functions have no name left: theirs is the program's.
    assert "burn_c" not in rows
    assert_share("[stripped]", user.get("[stripped]", 0) / n, shares["burn_c"], n)
    assert "[stripped]" in rows, sorted(rows)
    assert profile.leaf_share(r"\[stripped\]") == rows["[stripped]"]["self_samples"] / n


def test_stripped_program_is_named_in_the_quality_line(recordings):
    profile = recordings("stripped")
    modules = profile.report()["quality"]["modules_without_debug_info"]
    assert any(module["path"].endswith("/stripped") for module in modules)
    assert "stripped" in harness.cprof("report", profile.path).stdout.splitlines()[-1] or any(
        "stripped" in line for line in harness.cprof("report", profile.path).stdout.splitlines()
    )


def test_debug_information_in_a_file_of_its_own(recordings):
    rows = {row["function"]: row for row in recordings("debuglink").hotspots()}
    assert rows["burn_a"]["file"].endswith("/cpu_split.c")
    assert rows["burn_a"]["line"] == harness.marked_lines("cpu_split.c")["burn_a"][0]


def test_lines_in_folded_stacks(cpu_split):
    line = harness.marked_lines("cpu_split.c")["burn_a"][0]
    leaf = re.compile(rf"burn_a \(.*cpu_split\.c:{line}\)")
    hits = sum(c for frames, c in cpu_split.user_folded("--lines") if leaf.fullmatch(frames[-1]))
    assert hits / cpu_split.samples > 0.5
