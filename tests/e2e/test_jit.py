"""Names and lines of code that is made while it runs: perf maps and jitdumps, while they grow."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import harness
from tolerance import assert_share

SOURCE = "/srv/generated.src"


def record(directory, *command, cwd=None):
    path = directory / "jit.pb.gz"
    with harness.Recorder("-o", path, "--", *command, cwd=cwd) as recorder:
        done = recorder.first_in_line().finish(timeout=300)
    return done, harness.Profile(path, done=done)


def rows_by_function(profile, *args):
    return {row["function"]: row for row in profile.hotspots(*args)}


def assert_functions(profile, truth):
    user = profile.user_self()
    for function in truth["functions"]:
        name = function["name"]
        assert harness.row_where(profile.hotspots(), function=name)["jit"] is True
        share = user.get(name, 0) / profile.samples
        assert_share(name, share, function["share"], profile.samples)


def test_a_jitdump_gives_names_and_lines(tmp_path):
    """
    What is said of jit_second comes when its code has run for a while; then jit_third and
    jit_fourth take the places of jit_first and jit_second.
    """
    done, profile = record(
        tmp_path, harness.SAMPLES / "jit_code", "--reuse", 12,
        "--cpu-seconds", harness.CPU_SECONDS_999, cwd=tmp_path,
    )
    truth = harness.find_truth(done.stdout)
    assert (tmp_path / f"jit-{truth['pid']}.dump").exists()
    assert len(truth["functions"]) == 4
    assert_functions(profile, truth)
    shares = {function["name"]: function["share"] for function in truth["functions"]}
    user = profile.user_self("--lines")
    lines = {line: count for (file, line), count in user.items() if file == SOURCE}
    assert set(lines) == {12, 22, 24, 32, 42, 44}
    n = profile.samples
    for line, function in ((12, "jit_first"), (32, "jit_third")):
        assert_share(f"line {line}", lines[line] / n, shares[function], n)
    # two loops of equal steps; what the processor makes of them is not the sample's to know
    halves = {22: "jit_second", 24: "jit_second", 42: "jit_fourth", 44: "jit_fourth"}
    for line, function in halves.items():
        share = lines[line] / n / shares[function]
        assert 0.4 < share < 0.6, (line, share)
    # names that were told apart stay so when what is wanting is looked up again
    harness.cprof("symbolize", profile.path)
    assert_functions(harness.Profile(profile.path), truth)


def test_where_times_are_missing_it_is_told_that_addresses_were_shared(tmp_path):
    for options, arguments, why in (
        (["--no-timeline"], [], "it was recorded with --no-timeline"),
        ([], ["--map", 1], "a perf map has no times (a jitdump has)"),
    ):
        path = tmp_path / "shared.pb.gz"
        done = harness.cprof(
            "record", "-q", "-o", path, *options, "--", harness.SAMPLES / "jit_code", *arguments,
            "--reuse", 1, "--cpu-seconds", 0.5, cwd=tmp_path,
        )
        truth = harness.find_truth(done.stdout)
        rows = rows_by_function(harness.Profile(path))
        names = {name for name in rows if name.startswith("jit_")}
        assert names == {"jit_third", "jit_fourth"}
        text = harness.cprof("report", path).stdout
        (told,) = re.findall(rf"incomplete symbols: \[jit:{truth['pid']}\].*", text)
        assert "of its addresses held several functions one after another" in told
        assert why in told
        Path(f"/tmp/perf-{truth['pid']}.map").unlink(missing_ok=True)


def test_a_perf_map_of_a_namespace_that_is_gone(tmp_path):
    """
    The process has another pid in its namespace and a /tmp of its own, which both end with it: before
    names are looked up.
    """
    inside = tmp_path / "jit_code"
    shutil.copy2(harness.SAMPLES / "jit_code", inside)
    script = (
        "mount -t tmpfs none /mnt && cp jit_code /mnt && mount -t tmpfs none /tmp && "
        f"exec /mnt/jit_code --map 1 --cpu-seconds {harness.CPU_SECONDS_999}"
    )
    before = set(os.listdir("/tmp"))
    done, profile = record(
        tmp_path, "unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", script,
        cwd=tmp_path,
    )
    truth = harness.find_truth(done.stdout)
    assert truth["pid"] < 10, "its own number in its namespace"
    assert not {name for name in set(os.listdir("/tmp")) - before if name.startswith("perf-")}
    assert_functions(profile, truth)


def test_without_names_the_reason_is_told(tmp_path):
    script = "mount -t tmpfs none /tmp && exec ./jit_code --map 1 --cpu-seconds 0.3"
    shutil.copy2(harness.SAMPLES / "jit_code", tmp_path / "jit_code")
    path = tmp_path / "bare.pb.gz"
    # the file is gone with the process, and --no-symbols does not hold it
    harness.cprof(
        "record", "-q", "--no-symbols", "-o", path, "--", "unshare", "--mount", "sh", "-c", script,
        cwd=tmp_path,
    )
    harness.cprof("symbolize", path)
    profile = harness.Profile(path)
    assert "jit_first" not in rows_by_function(profile)
    quality = profile.report()["quality"]
    assert "perf-" in str(quality), quality


def test_a_map_of_anybody_is_not_believed_when_its_process_is_gone(tmp_path):
    path = tmp_path / "bare.pb.gz"
    done = harness.cprof(
        "record", "-q", "--no-symbols", "-o", path, "--", harness.SAMPLES / "jit_code",
        "--map", 1, "--cpu-seconds", 0.3,
    )
    perf_map = Path(f"/tmp/perf-{harness.find_truth(done.stdout)['pid']}.map")
    try:
        os.chown(perf_map, 12345, 12345)
        harness.cprof("symbolize", path)
        profile = harness.Profile(path)
        assert "jit_first" not in rows_by_function(profile)
        said = str(profile.report()["quality"])
        assert f"{perf_map} is neither root's nor known to be of its user: not used" in said
        assert "run cprof symbolize as the user that owns it" in said
        os.chown(perf_map, 0, 0)
        harness.cprof("symbolize", path)
        assert "jit_first" in rows_by_function(harness.Profile(path))
        # names that were found stay: by now it may be the map of another process of that number
        perf_map.write_text(perf_map.read_text().replace("jit_", "other_"))
        harness.cprof("symbolize", path)
        names = set(rows_by_function(harness.Profile(path)))
        assert "jit_first" in names and not any(name.startswith("other_") for name in names)
    finally:
        perf_map.unlink()


def test_node_with_lines(tmp_path):
    """node 20 writes the paths of scripts from memory it has released: they are mended."""
    script = tmp_path / "busy.js"
    lines = [
        "function hot(n) {",
        "  let sum = 0;",
        "  for (let i = 0; i < n; i++) {",
        "    sum = (sum * 31 + i) % 1000003;",
        "  }",
        "  return sum;",
        "}",
        "let total = 0;",
        "const end = process.cpuUsage().user + 2e6;",
        "while (process.cpuUsage().user < end) total += hot(1000000);",
        "console.log(total);",
    ]
    script.write_text("\n".join(lines) + "\n")
    _, profile = record(tmp_path, "node", "--perf-prof", script, cwd=tmp_path)
    assert list(tmp_path.glob("jit-*.dump")), subprocess.run(["ls", "-l", tmp_path], check=False)
    hits = [row for row in profile.hotspots("--by", "line") if row["file"] == str(script)]
    user = profile.user_self("--lines")
    loop = sum(user.get((str(script), line), 0) for line in (3, 4))
    assert loop / profile.samples > 0.6, hits
    assert all("hot" in row["function"] for row in hits if row["line"] in (3, 4))
