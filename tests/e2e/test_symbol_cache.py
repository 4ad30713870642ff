"""Names and lines that are kept from one run to the next, and looked up within a time."""

import json
import os
import shutil
import subprocess

import pytest

import harness


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A recording without names."""
    directory = tmp_path_factory.mktemp("bare")
    path = directory / "bare.pb.gz"
    harness.cprof(
        "record", "-q", "--no-symbols", "-o", path,
        "--", harness.SAMPLES / "cpu_split", "--cpu-seconds", "0.3",
    )
    return path


def symbolized(bare, path, cache, *options):
    """A copy of the recording with names, by a cprof with this cache."""
    shutil.copy(bare, path)
    env = harness.cprof_environment(XDG_CACHE_HOME=str(cache))
    done = harness.cprof("symbolize", path, *options, env=env)
    return done


def rows(path):
    report = json.loads(harness.cprof("report", "--format", "json", path).stdout)
    return report["hotspots"], report["quality"]["symbolized_pct"]


def entries(cache):
    return sorted((cache / "cprof").glob("*.sym"))


def test_reports_are_the_same_with_and_without_the_cache(bare, tmp_path):
    cache = tmp_path / "cache"
    symbolized(bare, tmp_path / "without.pb.gz", cache, "--no-cache")
    assert not cache.exists()
    symbolized(bare, tmp_path / "first.pb.gz", cache)
    assert entries(cache)
    symbolized(bare, tmp_path / "second.pb.gz", cache)
    expected = rows(tmp_path / "without.pb.gz")
    assert expected[1] > 95
    assert rows(tmp_path / "first.pb.gz") == expected
    assert rows(tmp_path / "second.pb.gz") == expected


def test_damaged_entries_are_made_anew(bare, tmp_path):
    cache = tmp_path / "cache"
    symbolized(bare, tmp_path / "first.pb.gz", cache)
    sound = [entry.read_bytes() for entry in entries(cache)]
    expected = rows(tmp_path / "first.pb.gz")
    for at in (0, 8, 12, 16, 30, 60, 120, -1):
        for entry, content in zip(entries(cache), sound):
            damaged = bytearray(content)
            damaged[at] ^= 0x41
            entry.write_bytes(damaged)
        symbolized(bare, tmp_path / "again.pb.gz", cache)
        assert rows(tmp_path / "again.pb.gz") == expected, f"byte {at}"
        assert [entry.read_bytes() for entry in entries(cache)] == sound, f"byte {at}"


def test_processes_at_once_share_a_cache(bare, tmp_path):
    cache = tmp_path / "cache"
    env = harness.cprof_environment(XDG_CACHE_HOME=str(cache))
    running = []
    for i in range(6):
        shutil.copy(bare, tmp_path / f"{i}.pb.gz")
        running.append(subprocess.Popen(
            [str(harness.CPROF), "symbolize", str(tmp_path / f"{i}.pb.gz")],
            env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
    for process in running:
        errors = process.communicate(timeout=60)[1].decode()
        assert process.returncode == 0, errors
        harness.assert_sound(errors, "symbolize")
    expected = rows(tmp_path / "0.pb.gz")
    assert all(rows(tmp_path / f"{i}.pb.gz") == expected for i in range(1, 6))
    assert not list((cache / "cprof").glob(".new-*"))


def test_a_cache_that_cannot_be_written_is_no_failure(bare, tmp_path):
    cache = tmp_path / "cache"
    cache.write_text("a file where a directory should be")
    symbolized(bare, tmp_path / "named.pb.gz", cache)
    assert rows(tmp_path / "named.pb.gz")[1] > 95


def test_addresses_come_from_the_cache_too(tmp_path):
    program = str(harness.SAMPLES / "cpu_split")
    listing = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    asked = [line.split()[0] for line in listing.splitlines() if line.split()[1] in "tT"]
    env = harness.cprof_environment(XDG_CACHE_HOME=str(tmp_path))
    without = harness.cprof("symbolize", "--no-cache", "-e", program, *asked, env=env).stdout
    assert not entries(tmp_path)
    for _ in range(2):
        assert harness.cprof("symbolize", "-e", program, *asked, env=env).stdout == without
    assert len(entries(tmp_path)) == 1
    # and no more once the program is another file
    moved = tmp_path / "program"
    shutil.copy(program, moved)
    harness.cprof("symbolize", "-e", moved, *asked, env=env)
    os.replace(shutil.copy(harness.SAMPLES / "inlined", tmp_path / "other"), moved)
    expected = harness.cprof("symbolize", "--no-cache", "-e", moved, *asked, env=env).stdout
    assert harness.cprof("symbolize", "-e", moved, *asked, env=env).stdout == expected


def test_budget_leaves_the_rest_for_later(bare, tmp_path):
    path = tmp_path / "named.pb.gz"
    done = symbolized(bare, path, tmp_path / "cache", "--no-cache", "--symbol-budget", "1ns")
    assert "--symbol-budget: the time was over before" in done.stderr
    assert rows(path)[1] < 5
    report = harness.cprof("report", path).stdout
    assert "the time for symbols was over before" in report
    harness.cprof("symbolize", "--no-cache", path)
    assert rows(path)[1] > 95
    assert "the time for symbols" not in harness.cprof("report", path).stdout
    shutil.copy(bare, path)
    done = symbolized(bare, path, tmp_path / "cache", "--no-cache", "--symbol-budget", "5m")
    assert "symbol-budget" not in done.stderr
    assert rows(path)[1] > 95


def test_budget_must_be_a_time(bare):
    done = harness.cprof("symbolize", bare, "--symbol-budget", "soon", status=2)
    assert "--symbol-budget soon: give a time" in done.stderr
