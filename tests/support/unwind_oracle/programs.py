"""Real programs at work, for whatever looks at stacks: the differential test and the benches."""

import contextlib
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "programs"

SQL = (
    "with recursive c(x) as (select 1 union all select x+1 from c where x<1000000000000) "
    "select sum(x*x%7), count(distinct x%1000), max(printf('%d-%s', x, x%13)) from c"
)
PYTHON = """
import json, re
while True:
    json.dumps([{'x': i, 'y': [1, 2, 3]} for i in range(300)], indent=1)
    sorted(range(1000), key=lambda v: -v)
    re.sub('a+b', lambda m: m.group(0)[:1], 'xaab' * 100)
"""
PERL = """
while (1) {
    my %h;
    $h{$_ % 977} .= "x$_" for 1 .. 5000;
    my $s = join ",", sort { $h{$a} cmp $h{$b} } keys %h;
    $s =~ s/x(\\d+)/<$1>/g;
}
"""
RUST = ["rustc", "--edition=2021", "-O"]


def _build(directory, command, source, name):
    output = Path(directory) / name
    if not output.exists():
        subprocess.run(
            [*command, "-o", str(output), str(SOURCES / source)],
            check=True,
            env={"HOME": str(directory), "GO111MODULE": "off", **os.environ},
        )
    return [str(output)]


def _compiler_proper(driver, mark):
    """The command that a driver would run in another process."""
    told = subprocess.run(
        [*driver, "-###", "-O2", "-S", "-o", "/dev/null", str(SOURCES / "templates.cpp")],
        check=True,
        capture_output=True,
        text=True,
    )
    line = [text for text in told.stderr.splitlines() if mark in text][-1]
    return shlex.split(line)


# What each program's command line is; finite ones are started again.
COMMANDS = {
    "sqlite3": lambda d: ["sqlite3", ":memory:", SQL],
    "python3": lambda d: ["/usr/bin/python3", "-c", PYTHON],
    "perl": lambda d: ["perl", "-e", PERL],
    "node": lambda d: ["node", str(SOURCES / "mixed.js")],
    "xz": lambda d: ["xz", "-9e", "-k", "-c", "-T2", os.path.realpath(shutil.which("node"))],
    "cc1plus": lambda d: _compiler_proper(["g++"], "cc1plus"),
    "clang": lambda d: _compiler_proper(["clang++", "-fno-integrated-cc1"], '"-cc1"'),
    "rust": lambda d: _build(d, RUST, "trees.rs", "rust_trees"),
    "go": lambda d: _build(d, ["go", "build"], "trees.go", "go_trees"),
    "static": lambda d: _build(d, ["gcc", "-O2", "-static", "-no-pie"], "sorts.c", "sorts_static"),
    "static-pie": lambda d: _build(d, ["gcc", "-O2", "-static-pie"], "sorts.c", "sorts_pie"),
}
NAMES = ["redis", *COMMANDS]
FINITE = {"cc1plus", "clang", "xz"}
# Recursive descent: some of their stacks are deeper than the usual copy of 32 KB.
DEEP = {"cc1plus", "clang"}


def cpu_ticks(pid):
    """Of CPU time used, 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def wait_until_busy(process, ticks):
    """Its own start-up is not what is looked at."""
    while cpu_ticks(process.pid) < ticks:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        time.sleep(0.005)


@contextlib.contextmanager
def _killed_at_the_end(argv):
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(argv, **quiet) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def _redis(directory):
    socket = Path(directory) / "redis.sock"
    server = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", ""]
    load = ["redis-benchmark", "-s", str(socket), "-n", "1000000000", "-q", "-P", "16", "-r", "1000"]
    load += ["-t", "set,get,lpush,lpop,zadd,lrange"]
    with _killed_at_the_end(server) as process:
        while not socket.exists():
            if process.poll() is not None:
                raise RuntimeError(f"redis-server ended with {process.returncode}")
            time.sleep(0.01)
        with _killed_at_the_end(load):
            yield process
    socket.unlink(missing_ok=True)


@contextlib.contextmanager
def running(name, directory):
    """A program at work; @directory keeps what is built. Gives the Popen of its process."""
    started = (
        _redis(directory) if name == "redis" else _killed_at_the_end(COMMANDS[name](directory))
    )
    with started as process:
        wait_until_busy(process, 5 if name in FINITE else 20)
        yield process
