"""Programs in namespaces of their own, as containers have them."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import harness
from harness import SUPPORT, Sample, wait_until

HERE = Path(__file__).resolve().parent
NAMESPACES = {
    "mount": ("--mount", "--propagation", "private"),
    "pid": ("--pid", "--mount-proc", "--kill-child", "--fork"),
    "user": ("--user", "--map-root-user"),
}
ALL = tuple(NAMESPACES)
# What docker leaves its root of; here it is all that matters to a profiler.
NO_CAPABILITIES = "-sys_admin,-sys_ptrace,-perfmon,-syslog,-bpf,-sys_nice,-sys_resource"


def unshare(namespaces):
    """The command that opens them, in front of another one."""
    return ["unshare", *(flag for name in namespaces for flag in NAMESPACES[name])]


def child_of(pid):
    """The only one, or None."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None


class Contained(Sample):
    """
    A sample in a container: only there its file lies where it was started from. Elsewhere that
    path leads to another program.
    """

    def __init__(self, directory, namespaces, sample, *args, user=()):
        hidden, shown = directory / "hidden", directory / "shown"
        for place, file in ((hidden, harness.SAMPLES / sample), (shown, shutil.which("sleep"))):
            place.mkdir()
            shutil.copy2(file, place / sample)
        self.name = sample
        script = 'mount --bind "$1" "$2" && program=$2/$3 && shift 3 && exec "$program" "$@"'
        command = [*user, *unshare(namespaces), "sh", "-c", script, "sh", hidden, shown, sample]
        self.process = subprocess.Popen(
            list(map(str, [*command, *args])), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        # --fork: its own number is that of unshare's child
        self._pid = self.process.pid
        if "pid" in namespaces:
            self._pid = wait_until("the container", lambda: child_of(self.process.pid))
        self.number_inside = 1 if "pid" in namespaces else self._pid
        self._read_ready(self.number_inside)

    @property
    def pid(self):
        """As it is seen from here."""
        return self._pid

    def finish(self, end=True, timeout=120):
        if end:
            os.kill(self.pid, signal.SIGTERM)  # unshare would keep it to itself
        return super().finish(end=False, timeout=timeout)


def inside(*args, filters=(), namespaces=("mount", "pid")):
    """
    inside.py in a container that refuses what docker's default does: the system calls of @filters
    (tests/support/stops/refuse_perf.c) and capabilities. Return: what it has found.
    """
    command = [*unshare(namespaces), "setpriv", f"--bounding-set={NO_CAPABILITIES}"]
    command += [SUPPORT / "refuse_perf", *filters, sys.executable, HERE / "inside.py", *args]
    done = subprocess.run(
        list(map(str, command)),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False,
        env=harness.cprof_environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
