"""Fixtures. Recordings that several tests look at are made once per run."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import harness  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "full: only with CPROF_TEST_FULL=1 (takes minutes)")
    # not the user's, and empty at first: what is in a cache is of another build
    config.cprof_cache = tempfile.TemporaryDirectory(prefix="cprof-cache-")
    os.environ["XDG_CACHE_HOME"] = config.cprof_cache.name


def pytest_unconfigure(config):
    config.cprof_cache.cleanup()


def pytest_collection_modifyitems(config, items):
    # Deselected, not skipped: a run has no skips, and a tier is a choice of tests.
    if harness.FULL:
        return
    chosen = [item for item in items if not item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def pytest_sessionstart(session):
    for program in (harness.CPROF, harness.SAMPLES / "cpu_split"):
        if not os.access(program, os.X_OK):
            pytest.exit(f"{program} is not there: build first, or set CPROF_BUILD", returncode=2)


def undisturbed(record, tries=3):
    """
    A recording without losses. A machine that keeps the recorder from running for half a second
    loses samples, which are counted: that is true, and no measurement. Where none comes out better,
    it is not the machine, and what looks at the last one says so.
    """
    for _ in range(tries):
        profile = record()
        if profile.report()["quality"]["lost_at_most"] == 0:
            break
    return profile


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """A function that records a sample once and gives the same profile when asked again."""
    made = {}

    def get(sample, *args, attach=False, options=()):
        key = (sample, args, attach, tuple(options))
        if key not in made:
            directory = tmp_path_factory.mktemp(sample)
            record = harness.record_attached if attach else harness.record_command
            if not args:
                args = ("--cpu-seconds", harness.CPU_SECONDS_999)
            made[key] = undisturbed(
                lambda: record(directory, sample, *args, options=options)
            )
        return made[key]

    return get


@pytest.fixture(scope="session")
def cpu_split(recordings):
    """The plain recording: a command, 999 Hz, no options."""
    return recordings("cpu_split")


class Nobody:
    """Runs cprof without any privilege, from a directory that everyone may read."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.cprof = self.add(harness.CPROF)

    def add(self, program):
        copy = self.directory / Path(program).name
        shutil.copy2(program, copy)
        copy.chmod(0o755)
        return copy

    def run(self, *args, program=None, limits=()):
        """`cprof ARG...`, or another program, as uid 65534; @limits go to prlimit."""
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        command += ["prlimit", *limits] if limits else []
        command += [program or self.cprof, *args]
        done = subprocess.run(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=self.directory,
            env=harness.cprof_environment(HOME=str(self.directory)),
            timeout=120,
            check=False,
        )
        harness.assert_sound(done.stderr, " ".join(map(str, command)))
        return done


@pytest.fixture
def nobody():
    with tempfile.TemporaryDirectory(prefix="cprof-nobody-") as directory:
        os.chmod(directory, 0o777)
        # the kernel's default; Debian's own kernels start with 3, which refuses users altogether
        setting = Path("/proc/sys/kernel/perf_event_paranoid")
        before = setting.read_text()
        if int(before) != 2:
            setting.write_text("2")
        yield Nobody(directory)
        if int(before) != 2:
            setting.write_text(before)


@pytest.fixture(scope="session")
def speedscope():
    """A function that loads a profile into npm's speedscope, in Chromium, and says what it read."""
    source = Path(__file__).resolve().parent / "speedscope"
    place = harness.BUILD / "tests" / "e2e" / "speedscope"
    place.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "import.mjs"):
        shutil.copy2(source / name, place)
    if not (place / "node_modules" / "speedscope").exists():
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=place, check=True
        )

    def load(profile):
        done = subprocess.run(
            ["node", place / "import.mjs", str(profile), shutil.which("chromium")],
            stdout=subprocess.PIPE,
            timeout=120,
            check=True,
        )
        return json.loads(done.stdout)

    return load
