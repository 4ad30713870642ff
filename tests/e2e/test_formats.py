"""The same numbers in every format, by the formats' own readers."""

import json
import re

import formats
import harness
from harness import cprof
from tolerance import assert_share


def test_totals_are_equal_everywhere(cpu_split, tmp_path):
    n = cpu_split.samples
    assert sum(row["self_samples"] for row in cpu_split.hotspots()) == n
    for by in ("line", "file", "module", "thread"):
        assert sum(row["self_samples"] for row in cpu_split.hotspots("--by", by)) == n, by
    assert sum(count for _, count in cpu_split.folded()) == n
    assert sum(count for _, count in cpu_split.folded("--lines")) == n
    assert formats.pprof_raw(cpu_split.path)["samples/count"] == n
    assert formats.pprof_top(cpu_split.path)[1] == n
    svg = tmp_path / "x.svg"
    cprof("flamegraph", cpu_split.path, "-o", svg)
    assert int(formats.svg_root(svg).attrib["data-total-samples"]) == n


def test_cpu_time_is_equal_too(cpu_split):
    raw = formats.pprof_raw(cpu_split.path)
    assert sum(row["self_cpu_ns"] for row in cpu_split.hotspots()) == raw["cpu/nanoseconds"]
    # Samples are taken each 1/999 s of CPU time.
    assert abs(raw["cpu/nanoseconds"] / cpu_split.samples - 1e9 / 999) < 1e4


def test_go_and_cprof_agree_on_each_function(cpu_split):
    rows, _ = formats.pprof_top(cpu_split.path)
    go = {}
    for flat, cum, name in rows:
        name = name.removesuffix(" (inline)")
        go[name] = (flat, cum)
    for row in cpu_split.hotspots():
        if row["self_pct"] > 1:
            assert go.get(row["function"]) == (row["self_samples"], row["total_samples"]), row


def test_go_shows_lines_and_peeks(cpu_split):
    line = harness.marked_lines("cpu_split.c")["burn_a"][0]
    top = formats.go_pprof(cpu_split.path, "-top", "-lines").stdout
    assert re.search(rf"burn_a .*cpu_split\.c:{line}\b", top)
    peek = formats.go_pprof(cpu_split.path, "-peek", "^burn_a$").stdout
    assert "group_ab" in peek


def test_go_shows_inlined_frames(recordings):
    profile = recordings("inlined")
    rows, total = formats.pprof_top(profile.path)
    flat = {name: f for f, _, name in rows}
    inner = flat.get("mix_inner (inline)", flat.get("mix_inner", 0))
    assert inner / total > 0.85


def test_exported_pprof_is_the_same_profile(cpu_split, tmp_path):
    path = tmp_path / "exported.pb.gz"
    cprof("export", cpu_split.path, "--format", "pprof", "-o", path)
    assert formats.pprof_raw(path) == formats.pprof_raw(cpu_split.path)
    assert harness.Profile(path).folded() == cpu_split.folded()


def test_a_finished_profile_is_one_gzip_member(cpu_split):
    """speedscope's inflater returns the first member only, silently."""
    data = cpu_split.path.read_bytes()
    assert formats.gzip_members(data) == [len(data)]


def test_export_to_standard_output_and_from_standard_input(cpu_split):
    with open(cpu_split.path, "rb") as file:
        done = cprof("export", "-", "--format", "folded", stdin=file)
    lines = [harness.parse_folded(line) for line in done.stdout.splitlines()]
    assert lines == cpu_split.folded()


def test_folded_lines_are_sorted_and_distinct(cpu_split):
    lines = cprof("export", cpu_split.path, "--format", "folded").stdout.splitlines()
    stacks = [line.rpartition(" ")[0] for line in lines]
    assert len(set(stacks)) == len(stacks)
    encoded = [line.encode() for line in lines]
    assert encoded == sorted(encoded)
    assert all(stack.split(";")[0] == "cpu_split" for stack in stacks)


def test_focus_and_ignore(cpu_split):
    n = cpu_split.samples
    shares = {f["name"]: f["share"] for f in cpu_split.truth["functions"]}
    focused = cpu_split.hotspots("--focus", "^group_ab$")
    assert not any(row["function"] == "burn_c" for row in focused)
    total = sum(row["self_samples"] for row in focused)
    assert_share("focus", total / n, shares["burn_a"] + shares["burn_b"], n)
    ignored = cpu_split.hotspots("--ignore", "^group_ab$")
    assert not any(row["function"] == "burn_a" for row in ignored)
    assert sum(row["self_samples"] for row in ignored) == n - total


def test_focus_and_ignore_that_leave_nothing_say_so_apart_from_the_report(cpu_split):
    def said(*args):
        done = cprof("report", "--format", "json", *args, cpu_split.path)
        assert json.loads(done.stdout)["hotspots"] == []
        return done.stderr

    focus = said("--focus", "no_such")
    assert "--focus 'no_such': no sample has a function whose name matches" in focus
    assert "--ignore '.': every sample has a function whose name matches" in said("--ignore", ".")
    both = said("--focus", "burn_a", "--ignore", "burn_a")
    assert "--focus 'burn_a' and --ignore 'burn_a' leave no sample" in both
    assert "burn_" in cprof("report", "--focus", "burn_a", cpu_split.path).stdout
    assert cprof("report", "--focus", "burn_a", cpu_split.path).stderr == ""


def test_sort_and_limit(cpu_split):
    by_total = cpu_split.hotspots("--sort", "total")
    totals = [row["total_samples"] for row in by_total]
    assert totals == sorted(totals, reverse=True)
    done = cprof("report", cpu_split.path, "--format", "json", "--limit", 2)
    rows = json.loads(done.stdout)["hotspots"]
    assert [row["function"] for row in rows] == ["burn_a", "burn_b"]


def test_text_report_has_the_numbers_of_the_json(cpu_split):
    text = cprof("report", cpu_split.path).stdout
    for row in cpu_split.hotspots()[:3]:
        lines = [line for line in text.splitlines() if row["function"] in line]
        assert lines, f"{row['function']} is not in:\n{text}"
        assert f"{row['self_pct']:.1f}" in lines[0], lines
        assert f"{row['total_pct']:.1f}" in lines[0], lines


def test_flame_graphs_are_valid_deterministic_and_small(cpu_split, recordings, tmp_path):
    for profile in (cpu_split, recordings("cpp_templates")):
        for options in ((), ("--icicle",)):
            one, two = tmp_path / "1.svg", tmp_path / "2.svg"
            cprof("flamegraph", profile.path, "-o", one, *options)
            cprof("flamegraph", profile.path, "-o", two, *options)
            assert one.read_bytes() == two.read_bytes()
            assert formats.svg_root(one).tag == "{http://www.w3.org/2000/svg}svg"
            assert one.stat().st_size < 1_000_000


def test_json_is_versioned(cpu_split):
    report = cpu_split.report()
    assert (report["schema"], report["version"]) == ("cprof.report", 1)
    for key in ("engine", "event", "rate_hz", "duration_ns", "command"):
        assert key in report["recording"], key
    row = report["hotspots"][0]
    for key in (
        "function file line module self_samples total_samples self_pct total_pct self_cpu_ns inlined"
    ).split():
        assert key in row, key


def test_speedscope_imports_the_whole_profile(cpu_split, speedscope):
    read = speedscope(cpu_split.path)
    raw = formats.pprof_raw(cpu_split.path)
    # It shows the last sample type.
    assert [p["total"] for p in read["profiles"]] == [raw["cpu/nanoseconds"]]
    for function in cpu_split.truth["functions"]:
        row = harness.row_where(cpu_split.hotspots(), function=function["name"])
        assert read["self"].get(function["name"]) == row["self_cpu_ns"], read["self"]
