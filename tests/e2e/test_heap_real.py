"""Real programs with libcprof_heap.so in them: the same output, the same exit status."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import harness
import heap
import pytest

LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")

CPP = """
#include <map>
#include <iostream>
int main() { std::map<std::string, int> m; for (int i = 0; i < 5000; i++) m[std::to_string(i)] = i;
std::cout << m.size() << "\\n"; }
"""
RUST = """
use std::collections::HashMap;
fn main() { let mut m = HashMap::new(); for i in 0..50000u64 { m.insert(i.to_string(), vec![i; 3]);
} let t: u64 = m.values().map(|v| v.iter().sum::<u64>()).sum(); println!("{} {}", m.len(), t);
let h: Vec<_> = (0..4).map(|i| std::thread::spawn(move || vec![i; 1000].len())).collect();
println!("{}", h.into_iter().map(|h| h.join().unwrap()).sum::<usize>());
std::process::exit(5); }
"""
SQL = """create table t(a integer primary key, b text);
with recursive n(x) as (select 1 union all select x + 1 from n where x < 20000)
insert into t select x, 'row ' || x from n;
create index i on t(b); select count(*), sum(a) from t where b like 'row 1%';
pragma integrity_check;
"""
NODE = """
const m = new Map(); for (let i = 0; i < 200000; i++) m.set('k' + i, { v: i });
let s = 0; for (const v of m.values()) s += v.v;
console.log(s, require('zlib').gzipSync('a'.repeat(100000)).length, Buffer.alloc(1 << 20).length);
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    directory = tmp_path_factory.mktemp("real")
    (directory / "program.cpp").write_text(CPP)
    (directory / "program.rs").write_text(RUST)
    (directory / "script.js").write_text(NODE)
    (directory / "script.sql").write_text(SQL)
    rustc = shutil.which("rustc") or str(Path.home() / ".cargo/bin/rustc")
    subprocess.run(
        [rustc, "-O", "-o", directory / "rust", directory / "program.rs"],
        check=True,
        env=os.environ | {"RUSTUP_TOOLCHAIN": os.environ.get("RUSTUP_TOOLCHAIN", "stable")},
    )
    return directory


def git_commands(place):
    return (
        "sh",
        "-c",
        "rm -rf repo && git -c init.defaultBranch=main init -q repo && cd repo && seq 20000 > a "
        "&& git add a && git -c user.name=n -c user.email=e commit -q -m one --date=@0 "
        "&& git log --format=%s && git gc -q && git fsck --no-progress && git cat-file -s HEAD:a",
    )


PYTHON = """
import json, sys
d = [{"a": [i] * 5} for i in range(20000)]
print(len(json.dumps(d)))
sys.exit(3)
"""
PERL = "my %h; $h{$_} = [1..9] for 1..50000; print scalar(%h), qq(\\n)"

QUICK = {
    "sqlite3": lambda p: ("sqlite3", "-init", p / "script.sql", ":memory:", ".tables"),
    "git": git_commands,
    "g++": lambda p: ("sh", "-c", "g++ -O1 -o compiled program.cpp && ./compiled"),
    "node": lambda p: ("node", p / "script.js"),
    "rust": lambda p: (p / "rust",),
    "python3": lambda p: ("/usr/bin/python3", "-c", PYTHON),
    "find": lambda p: ("find", "/usr/share/doc", "-name", "copyright", "-newer", "/nonexistent"),
    "perl": lambda p: ("perl", "-e", PERL),
}


def outcome(command, place, env):
    done = subprocess.run(
        list(map(str, command)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=place,
        env=env,
        timeout=600,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def ended_by_a_rule(checked):
    """Allocations whose stack ends at a rule of unwinding that the recorder has no words for."""
    unsupported = 8
    return sum(
        counts[0]
        for counts, frames in checked.sites.values()
        if any(int(frame.partition("!")[2] or 0) & unsupported for frame in frames)
    )


def assert_same(command, place, directory, modes):
    """Natively, and in each of @modes: 0 = exact, else bytes for each sample."""
    alone = outcome(command, place, harness.cprof_environment())
    for sampled in modes:
        files = directory / f"files-{sampled}"
        files.mkdir()
        env = heap.shim_environment(
            files / "%p.cprof-heap", CPROF_HEAP_SAMPLE_BYTES=sampled
        )
        env["CPROF_HEAP_FOLLOW"] = "all"
        assert outcome(command, place, env) == alone
        found = list(files.iterdir())
        assert found
        checked = heap.Checked(max(found, key=lambda file: file.stat().st_blocks))
        assert checked["allocs"] > 0 and not checked["frozen"]
        if not sampled:
            checked.assert_consistent()
            assert ended_by_a_rule(checked) <= checked["allocs"] / 1000
        shutil.rmtree(files)


@pytest.mark.parametrize("name", QUICK)
def test_same_output_and_status(place, tmp_path, name):
    slow = name in ("git", "g++") and not harness.FULL
    assert_same(QUICK[name](place), place, tmp_path, (0,) if slow else (0, 4096))


@pytest.mark.parametrize(
    "library", ["libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2"]
)
def test_other_allocators(place, tmp_path, library, monkeypatch):
    """The target's own allocator, preloaded behind the shim."""
    assert (LIBRARIES / library).exists()
    for number, mode in enumerate(("containers", "forms")):
        monkeypatch.setenv("LD_PRELOAD", str(LIBRARIES / library))
        env = heap.shim_environment(tmp_path / f"{number}.cprof-heap")
        env["CPROF_HEAP_FOLLOW"] = "all"
        monkeypatch.delenv("LD_PRELOAD")
        done = subprocess.run(
            heap.program_command("heap_cxx", mode),
            stdout=subprocess.PIPE,
            env=env,
            timeout=60,
            check=True,
        )
        sums, _, told = heap.sums_by_report(tmp_path / f"{number}.cprof-heap")
        assert sums == heap.Truth(done.stdout.decode()).sites
        assert library.split(".")[0] in told["target"]["allocator"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A server in the foreground; ended by SIGTERM."""

    def __init__(self, command, env, port):
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env
        )
        self.port = port

    def _up(self):
        assert self.process.poll() is None, "it ended"
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self):
        harness.wait_until("listening", self._up, timeout=60)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=60)


def test_redis(tmp_path):
    """Its benchmark's commands all succeed, and its data are right; read while it runs."""
    port = free_port()
    path = tmp_path / "redis.cprof-heap"
    env = heap.shim_environment(path) | {"CPROF_HEAP_FOLLOW": "all"}
    command = ["redis-server", "--port", port, "--save", "", "--appendonly", "no"]
    command += ["--dir", tmp_path]
    with Server(command, env, port) as server:
        done = subprocess.run(
            ["redis-benchmark", "-p", str(port), "-n", "50000" if harness.FULL else "4000"]
            + ["-r", "10000", "-P", "8", "-q", "-t", "set,get,lpush,sadd,hset,mset"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=600,
            check=True,
        )
        assert b"rror" not in done.stdout + done.stderr
        client = ["redis-cli", "-p", str(port)]
        subprocess.run([*client, "set", "own", "value 50"], stdout=subprocess.DEVNULL, check=True)
        value = subprocess.run([*client, "get", "own"], stdout=subprocess.PIPE, check=True)
        assert value.stdout == b"value 50\n"
        told = heap.report("-p", server.process.pid, "--limit", 20)
        assert told["target"]["state"] == "running" and told["totals"]["blocks"] > 1000
        assert told["rss"]["total_bytes"] > 0
    assert server.process.returncode == 0
    heap.Checked(path).assert_consistent()


def test_nginx(tmp_path):
    port = free_port()
    (tmp_path / "index.html").write_text("hello\n" * 100)
    tmp_path.chmod(0o755)
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; worker_processes 2;"
        f"user root; events {{}} http {{ access_log off;"
        f"server {{ listen 127.0.0.1:{port}; root {tmp_path}; }} }}"
    )
    files = tmp_path / "files"
    files.mkdir()
    env = heap.shim_environment(files / "%p.cprof-heap") | {"CPROF_HEAP_FOLLOW": "all"}
    with Server(["nginx", "-c", config], env, port) as server:
        for _ in range(50):
            done = subprocess.run(
                ["curl", "-sS", f"http://127.0.0.1:{port}/"], stdout=subprocess.PIPE, check=True
            )
            assert done.stdout == b"hello\n" * 100
    assert server.process.returncode == 0
    # the master and two workers, which only fork
    assert len(list(files.iterdir())) == 3
    for file in files.iterdir():
        heap.Checked(file).assert_consistent()


MODULES = ["test_json", "test_dict", "test_list", "test_set", "test_zlib", "test_thread", "test_gc"]


@pytest.mark.full
def test_python_s_own_tests(place, tmp_path):
    """The verdicts; the lines in between have times in them."""

    def has_tests(python):
        command = [python, "-c", "import test.test_json"]
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0

    pythons = [p for p in (sys.executable, shutil.which("python3")) if has_tests(p)]
    assert pythons, "no python3 here has its own tests"
    python = pythons[0]
    env = heap.shim_environment(tmp_path / "%p.cprof-heap") | {"CPROF_HEAP_FOLLOW": "all"}
    for module in MODULES:
        command = [python, "-m", "test", "-q", module]
        alone = outcome(command, place, harness.cprof_environment())
        recorded = outcome(command, place, env)
        assert recorded[0] == alone[0] == 0, recorded[1][-2000:] + recorded[2][-2000:]
