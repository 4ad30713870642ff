"""Programs whose truth nobody knows: cprof and perf record the same run and must agree."""

import os
import re
import shutil
import signal
import subprocess

import harness
import pytest
from harness import Profile, Recorder, wait_until
from real_targets import answers, free_port
from tolerance import MIN_SAMPLES, tolerance_of_two

CPU_SECONDS = 15 if harness.FULL else 6
TOP = 10


def plain_name(name):
    """What both call a function: without symbol versions and without the suffixes of clones
    that compilers add (`foo.isra.0`, `foo.cold`), which DWARF does not have."""
    name = re.sub(r"@.*$", "", name)
    return re.sub(r"(\.(isra|part|constprop|cold|lto_priv|llvm)(\.\d+)*)+$", "", name)


def perf_leaves(path, pid):
    """{function: samples} of a process by symbol, as perf sees them."""
    text = subprocess.run(
        ["perf", "script", "-i", path, "--pid", str(pid), "-F", "ip,sym"],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=300,
    ).stdout
    counts = {}
    for line in text.splitlines():
        if line.strip():
            name = plain_name(line.split(None, 1)[1])
            counts[name] = counts.get(name, 0) + 1
    return counts


def cprof_leaves(profile):
    """{function: samples} by symbol: code inlined into a function counts for the function, as
    perf's symbols have it."""
    counts = {}
    for frames, count in profile.folded():
        outer = [frame for frame in frames[1:] if not frame.endswith("_[i]")]
        name = plain_name(outer[-1].removesuffix("_[k]")) if outer else ""
        counts[name] = counts.get(name, 0) + count
    return counts


def cpu_seconds(pid):
    """User and system time, all threads."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def record_both(pid, directory):
    """cprof and perf on one process, at the same rate, for the same time.

    perf records the whole machine: one timer per CPU, as cprof has it. With a timer for each
    thread it counts twice as many samples at task switches, where such a timer starts."""
    path = directory / "real.pb.gz"
    perf_path = directory / "perf.data"
    with Recorder("-o", path, "-p", pid).first_in_line() as recorder:
        perf = subprocess.Popen(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", "999", "-o", perf_path]
            + ["-a"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            recorder.wait_attached()
            wait_until("perf", lambda: harness.perf_event_fds(perf.pid))
            end = cpu_seconds(pid) + CPU_SECONDS
            wait_until("the load", lambda: cpu_seconds(pid) >= end, timeout=300)
            perf.send_signal(signal.SIGINT)
            recorder.interrupt()
            done = recorder.finish()
            _, err = perf.communicate(timeout=60)
        finally:
            perf.kill()
            perf.wait()
    # perf ends itself with the signal that it was sent.
    assert perf.returncode in (0, -signal.SIGINT, 128 + signal.SIGINT), err
    return Profile(path, done=done), perf_leaves(perf_path, pid)


def top(counts):
    return sorted(counts, key=lambda name: (-counts[name], name))[:TOP]


def assert_agreement(profile, theirs):
    ours = cprof_leaves(profile)
    n_ours, n_theirs = sum(ours.values()), sum(theirs.values())
    assert min(n_ours, n_theirs) >= MIN_SAMPLES, (n_ours, n_theirs)
    wrong = []
    for name in sorted(set(top(ours)) | set(top(theirs))):
        a, b = ours.get(name, 0) / n_ours, theirs.get(name, 0) / n_theirs
        if abs(a - b) > tolerance_of_two((a + b) / 2, n_ours, n_theirs):
            wrong.append(f"{name}: cprof {a:.4f}, perf {b:.4f}")
        # More than one in a hundred: the name has to be known to both.
        elif min(a, b) == 0 and max(a, b) > 0.01:
            wrong.append(f"{name}: cprof {a:.4f}, perf {b:.4f}")
    assert not wrong, "\n".join(wrong)


def run_redis(server, directory):
    """The hot functions of a server that sorts sets, under load from the other processor."""
    port = free_port()
    command = [server, "--port", str(port), "--save", "", "--daemonize", "no"]
    redis = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL)
    load = None
    try:
        wait_until("redis", lambda: answers(port))
        load = subprocess.Popen(
            ["redis-benchmark", "-p", str(port), "-q", "-P", "16", "-c", "20", "-r", "20000"]
            + ["-n", "1000000000", "ZADD", "sorted", "__rand_int__", "element:__rand_int__"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return record_both(redis.pid, directory)
    finally:
        for process in (load, redis):
            if process:
                process.kill()
                process.communicate()


def test_redis_built_with_debug_information(tmp_path):
    script = harness.REPOSITORY / "scripts" / "fixtures" / "build-redis"
    server = subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    profile, theirs = run_redis(server, tmp_path)
    assert_agreement(profile, theirs)
    quality = profile.report()["quality"]
    assert quality["complete_pct"] > 99
    rows = {row["function"]: row for row in profile.hotspots()}
    # The path of a request, from main to the command.
    for name in ("main", "aeMain", "readQueryFromClient", "processCommand", "zaddGenericCommand"):
        assert name in rows, f"{name} is not among {sorted(rows)}"
        assert rows[name]["total_samples"] > 0.2 * profile.samples, name
        assert rows[name]["file"], name


@pytest.mark.full
def test_redis_as_debian_ships_it(tmp_path):
    """Stripped: only what other libraries need has a name; perf knows no more."""
    profile, _ = run_redis(shutil.which("redis-server"), tmp_path)
    assert profile.samples >= MIN_SAMPLES
    assert profile.report()["quality"]["complete_pct"] > 99
    modules = profile.report()["quality"]["modules_without_debug_info"]
    assert any("redis" in module["path"] and module["remedy"] for module in modules)


PYTHON_LOAD = """
import json, re, time
words = [f"word-{i}" for i in range(500)]
end = time.monotonic() + 600
print("ready", flush=True)
while time.monotonic() < end:
    table = {word: sum(ord(c) for c in word) for word in words}
    text = json.dumps(table, sort_keys=True)
    json.loads(text)
    re.sub(r"word-(\\\\d+)", lambda match: match.group(1), text)
    sorted(table.items(), key=lambda item: -item[1])
"""


def test_python_with_its_debug_package(tmp_path):
    target = subprocess.Popen(
        ["/usr/bin/python3.11", "-c", PYTHON_LOAD], stdout=subprocess.PIPE, cwd=tmp_path
    )
    try:
        target.stdout.readline()
        profile, theirs = record_both(target.pid, tmp_path)
    finally:
        target.kill()
        target.communicate()
    assert_agreement(profile, theirs)
    # Of its hottest line, which may lie in a header of Python.
    rows = [r for r in profile.hotspots() if r["function"] == "_PyEval_EvalFrameDefault"]
    assert rows and "python3.11" in rows[0]["file"], rows
    assert profile.report()["quality"]["complete_pct"] > 99
    # Its own frames are not visible, and the report says what would help.
    text = harness.cprof("report", profile.path).stdout
    assert "python" in text and re.search(r"-X perf|py-spy|perf", text)
