"""
Real programs at work while they are attached to, by stops and while they wait: what they do is
done as without, the report names what they do, and the cost is inside the contract and printed.
"""

from pathlib import Path

import pytest
import real_targets as targets
from harness import FULL, Profile, cprof, tracers, wait_until

SECONDS = 20 if FULL else 1.5
# The beginning: binaries are read, all threads met for the first time.
BEGIN_NS = 500_000_000
# Stops that find no CPU to end on, on a busy machine; test_ptrace.py is strict.
BUSY_NS = 1_000_000_000
WAYS = {
    "ptrace": ("--engine=ptrace",),
    "wall": ("--mode=wall",),
    "wall by ptrace": ("--mode=wall", "--engine=ptrace"),
    "offcpu": ("--mode=offcpu",),
    "offcpu by ptrace": ("--mode=offcpu", "--engine=ptrace"),
}


def states(pid):
    """Of its threads."""
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        yield path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]


def assert_left_alone(pid):
    assert not tracers(pid)
    assert not {"t", "T"} & set(states(pid))


def assert_inside_the_contract(profile):
    recording = profile.report()["recording"]
    text = cprof("report", profile.path).stdout
    cpus_ns = recording["duration_ns"] * recording["cpus"]
    by_ptrace = recording["engine"] == "ptrace"
    # where perf takes the samples of what runs, they come on top of the looks at what waits
    share = 0.013 if by_ptrace else 0.025
    assert recording["recorder_cpu_ns"] < share * cpus_ns + BEGIN_NS, recording
    assert "recording used " in text, text
    if not by_ptrace:
        return
    ran_ns = recording["target_user_ns"] + recording["target_system_ns"]
    assert recording["pause_total_ns"] < 0.02 * ran_ns + BUSY_NS, recording
    assert "threads were stopped" in text and "cprof used " in text, text
    assert recording["rate_achieved_hz"] < 2 * recording["rate_hz"], recording
    # what runs is in no sample of these, so there is no rate to tell
    is_off_cpu = recording["mode"] == "offcpu"
    assert ("samples a second of CPU time" in text) != is_off_cpu, text


def record(target, path, way):
    """As a user does it, with the limits that are the default."""
    pids = ",".join(map(str, target.pids))
    cprof("record", *WAYS[way], "-o", path, "-d", SECONDS, "-p", pids)
    for pid in target.pids:
        assert_left_alone(pid)
    profile = Profile(path)
    assert_inside_the_contract(profile)
    assert profile.report()["recording"]["engine"] == ("ptrace" if "ptrace" in way else "perf")
    return profile


def record_all(target, directory, ways=WAYS):
    """{way: profile}; the target is at work all the while, and unharmed in the end."""
    profiles = {}
    for way in ways:
        profiles[way] = record(target, directory / f"{way.replace(' ', '-')}.pb.gz", way)
    target.stop()
    return profiles


def functions(profile):
    return {row["function"] for row in profile.hotspots() if row["total_samples"] > 0}


def states_of(profile):
    return {row["state"] for row in profile.hotspots("--by", "state")}


def test_redis_under_load(tmp_path):
    with targets.Redis(tmp_path) as redis:
        profiles = record_all(redis, tmp_path)
    for way, profile in profiles.items():
        assert {"main", "aeMain"} <= functions(profile), way
        if "offcpu" in way:
            assert "poll" in states_of(profile), way
        elif way == "wall":
            assert {"readQueryFromClient", "processCommand"} <= functions(profile), way
        if "wall" in way:
            assert {"poll", "running"} <= states_of(profile), way


def test_threads_that_fork_and_execute(tmp_path):
    ways = WAYS if FULL else ["ptrace", "wall by ptrace", "offcpu"]
    with targets.Forks(tmp_path) as forks:
        profiles = record_all(forks, tmp_path, ways)
    for way, profile in profiles.items():
        assert {"run", "fork_one"} <= functions(profile), way
        if "offcpu" not in way:
            assert "burn_parent" in functions(profile), way


@pytest.mark.full
def test_nginx_under_load(tmp_path):
    with targets.Nginx(tmp_path) as nginx:
        profiles = record_all(nginx, tmp_path)
    for way, profile in profiles.items():
        assert {"ngx_process_events_and_timers"} <= functions(profile), way


@pytest.mark.full
def test_node_with_workers_and_a_server(tmp_path):
    with targets.node(tmp_path) as node:
        profiles = record_all(node, tmp_path)
    for way, profile in profiles.items():
        assert any("uv_run" in name or "uv__io_poll" in name for name in functions(profile)), way


@pytest.mark.full
def test_python_with_200_threads(tmp_path):
    with targets.python(tmp_path) as python:
        profiles = record_all(python, tmp_path)
    for way, profile in profiles.items():
        assert profile.samples > 0, way
        if "ptrace" != way:
            assert len(profile.hotspots("--by", "thread")) >= 200, way


@pytest.mark.full
def test_a_thousand_threads(tmp_path):
    with targets.thousand(tmp_path) as thousand:
        wait_until("its threads", lambda: len(list(states(thousand.pid))) > 1000)
        profiles = record_all(thousand, tmp_path)
    for way, profile in profiles.items():
        if way == "ptrace":
            # two of a thousand run, and who does is found by looking at some in each round
            assert profile.samples > 0
            continue
        assert "wait_forever" in functions(profile), way
        assert len(profile.hotspots("--by", "thread")) >= 1000, way
