"""A server that leaks 1 KB a second beside a cache and a sawtooth: what is found, when, at which
cost. 20 minutes in the full tier, 20 seconds by default, with ages and rates to scale."""

import os
import subprocess
import threading
import time

import harness
import heap
import pytest

SECONDS = int(os.environ.get("CPROF_SOAK_SECONDS", 1200 if harness.FULL else 20))
# the leak has to be found in three minutes of twenty
FIND_SECONDS = max(SECONDS * 180 / 1200, 10)
MIN_AGE = max(SECONDS * 60 / 1200, 2)
RATE = 1024 if SECONDS >= 600 else 8192


class Soak:
    """A recorded server, and what was seen of it."""

    def __init__(self, directory):
        self.path, self.before = directory / "server.cprof-heap", directory / "t0"
        self.seconds, self.output = [], ""
        self.cpu_ticks = []  # of the process, at the end of each second
        self.sizes = []
        env = heap.shim_environment(self.path) | {"CPROF_HEAP_FOLLOW": "all"}
        self.process = subprocess.Popen(
            heap.program_command("heap_server", SECONDS, RATE), stdout=subprocess.PIPE, env=env
        )
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            text = line.decode()
            self.output += text
            if text.startswith("second "):
                _, requests, rss = text.split()[1:]
                self.seconds.append((int(requests), int(rss)))
                self.cpu_ticks.append(self._cpu())
                self.sizes.append((self.path.stat().st_blocks // 2, self._private()))

    def _cpu(self):
        """User and system time, ended threads' too."""
        try:
            stat = open(f"/proc/{self.process.pid}/stat").read()
        except OSError:
            return None
        return sum(map(int, stat.rpartition(")")[2].split()[11:13]))

    def _private(self):
        """KB of anonymous memory: the heap, and what the shim keeps beside the file."""
        try:
            status = open(f"/proc/{self.process.pid}/smaps_rollup").read()
        except OSError:
            return None
        return int(status.split("Pss_Anon:")[1].split()[0])

    def copy(self):
        subprocess.run(["cp", "--sparse=always", self.path, self.before], check=True)


@pytest.fixture(scope="module")
def soak(tmp_path_factory):
    it = Soak(tmp_path_factory.mktemp("soak"))
    yield it
    if it.process.poll() is None:
        it.process.kill()
    it.reader.join()


def first_line(soak):
    told = heap.report(soak.path, "--since", soak.before, "--min-age", f"{MIN_AGE:.0f}s")
    rows = [row for row in told["sites"] if row["blocks"]]
    growing = [row for row in rows if row["growth"] and row["growth"]["verdict"] == "growing"]
    return (growing or rows or [None])[0]


def test_the_leak_is_found(soak):
    """The first line of the report, once the cache is full."""
    harness.wait_until(
        "the cache to be full", lambda: len(soak.seconds) > SECONDS / 3 + 1, timeout=SECONDS
    )
    soak.copy()
    begun = time.monotonic()

    def found():
        line = first_line(soak)
        return line and line["in_charge"]["function"] == "server_leak"

    harness.wait_until("the leak", found, timeout=FIND_SECONDS)
    assert time.monotonic() - begun <= FIND_SECONDS
    text = harness.cprof(
        "heap", "report", soak.path, "--since", soak.before, "--min-age", f"{MIN_AGE:.0f}s"
    ).stdout
    verdict = text[text.index("VERDICT") :].splitlines()
    places = [line for line in verdict if "heap_server.c:" in line]
    assert places and "server_leak" in places[0], text


def test_the_end_is_the_truth(soak):
    soak.reader.join()
    assert soak.process.wait() == 0
    sums, _, told = heap.sums_by_report(soak.path)
    truth = heap.Truth(soak.output)
    assert {line: sums.get(line) for line in truth.sites} == truth.sites
    assert not told["losses"]["frozen"]


def test_memory_is_flat_after_the_warm_up(soak):
    """The file grows with what is live: the leak, 32 bytes for each block of 128; in steps."""
    half = [s for s in soak.sizes[len(soak.sizes) * 2 // 3 :] if s[1]]
    leaked_blocks = RATE * len(half) / 128
    assert half[-1][0] - half[0][0] <= leaked_blocks * 32 / 1024 + 256
    # the process itself: the leak's own bytes, and malloc's header for each
    assert half[-1][1] - half[0][1] <= leaked_blocks * 160 / 1024 + 512


def test_throughput_is_flat(soak):
    """Of requests for each tick of CPU time: how much of it there is, is the machine's affair."""
    steps = zip(soak.seconds[1:], soak.cpu_ticks, soak.cpu_ticks[1:])
    rates = [r / (after - before) for (r, _), before, after in steps if after and after > before]
    third = len(rates) // 3
    assert third >= 3
    first, last = sorted(rates[:third]), sorted(rates[-third:])
    assert last[len(last) // 2] >= 0.8 * first[len(first) // 2]
