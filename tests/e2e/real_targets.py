"""
Programs that other people run, at work, each with a check of its own work: every request answered,
every result right. With `with` they run; stop() ends the work and asserts that nothing was harmed.
"""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import harness
from harness import SUPPORT, Sample, wait_until


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Target:
    """Something that runs. @work is done again and again, until it is to stop."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(list(map(str, command)), **options)
        self.rounds = 0
        self.failure = None
        self._ends = threading.Event()
        self._threads = []

    @property
    def pids(self):
        return [self.process.pid]

    def load(self, work, n=1):
        def repeat():
            try:
                while not self._ends.is_set():
                    work()
                    self.rounds += 1
            except Exception as error:  # pylint: disable=broad-except
                self.failure = error

        self._threads = [threading.Thread(target=repeat) for _ in range(n)]
        for thread in self._threads:
            thread.start()

    def end_load(self):
        self._ends.set()
        for thread in self._threads:
            thread.join(60)
        assert self.failure is None, self.failure
        assert self.process.poll() is None, f"it has ended: {self.process.returncode}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ends.set()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(60)


class Redis(Target):
    """Clients that count: each increment is done once, and answered."""

    REQUESTS = 4000

    def __init__(self, directory):
        script = harness.REPOSITORY / "scripts" / "fixtures" / "build-redis"
        server = subprocess.run(
            [script], check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()
        self.port = free_port()
        options = ("--port", self.port, "--save", "", "--daemonize", "no", "--loglevel", "warning")
        super().__init__([server, *options], cwd=directory, stdout=subprocess.DEVNULL)
        wait_until("redis", lambda: answers(self.port))
        self.load(self._count)

    def _run(self, *command):
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=60, check=True
        )
        assert not done.stderr, done.stderr
        return done.stdout

    def _count(self):
        command = ("-c", 8, "-q", "-n", self.REQUESTS, "INCR", "counter")
        self._run("redis-benchmark", "-p", self.port, *command)

    def stop(self):
        self.end_load()
        assert self.rounds > 0
        counted = int(self._run("redis-cli", "-p", self.port, "GET", "counter"))
        assert counted == self.rounds * self.REQUESTS
        errors = self._run("redis-cli", "-p", self.port, "INFO", "stats")
        assert re.search(r"^total_error_replies:0\r?$", errors, re.M), errors


NGINX = """
daemon off;
pid nginx.pid;
error_log error.log info;
worker_processes 2;
events { worker_connections 64; }
http {
    access_log access.log;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    gzip on; gzip_min_length 1; gzip_comp_level 6; gzip_types text/plain;
    default_type text/plain;
    server { listen 127.0.0.1:PORT; root .; keepalive_requests 1000000; }
}
"""


class Nginx(Target):
    """Clients that read a page, again and again; every one is in the log, with 200."""

    CLIENTS = 4

    def __init__(self, directory):
        self.directory = Path(directory)
        self.port = free_port()
        (self.directory / "nginx.conf").write_text(NGINX.replace("PORT", str(self.port)))
        text = "".join(f"{i}: line {i * 7919 % 10007}\n" for i in range(2000))
        (self.directory / "page").write_text(text)
        program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        options = ("-p", directory, "-c", "nginx.conf", "-e", "error.log", "-g", "user root;")
        super().__init__([program, *options])
        wait_until("nginx", lambda: answers(self.port))
        self._local = threading.local()
        self._length = self._get(http.client.HTTPConnection("127.0.0.1", self.port))
        self.load(self._one, self.CLIENTS)

    @property
    def pids(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, children.split())]

    def _get(self, connection):
        connection.request("GET", "/page", headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        length = len(response.read())
        assert response.status == 200
        return length

    def _one(self):
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        assert self._get(self._local.connection) == self._length

    def stop(self):
        self.end_load()
        self.process.send_signal(signal.SIGQUIT)
        assert self.process.wait(30) == 0
        log = (self.directory / "access.log").read_text().splitlines()
        served = [line for line in log if '"GET /page HTTP/1.1" 200 ' in line]
        # threads count without a lock
        assert len(served) >= self.rounds > 0
        assert len(served) == len(log)
        errors = (self.directory / "error.log").read_text()
        assert not re.search(r"\[(warn|error|crit|alert|emerg)\]|EINTR|signal 11", errors), errors


class Reporting(Target):
    """A program that works until its input ends, and says then whether all of it was right."""

    def __init__(self, command, **options):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        super().__init__(command, **pipes, **options)
        assert self.process.stdout.readline() == "ready\n"

    def stop(self):
        out, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        right, wrong = re.search(r"(\d+) right, (\d+) wrong", out).groups()
        assert int(right) > 0
        assert int(wrong) == 0, out


PYTHON = """
import hashlib, queue, sys, threading, time
expected = hashlib.sha256(b"x" * 5000).hexdigest()
right, wrong, ends = [0] * 200, [0] * 200, threading.Event()
asked, told = queue.Queue(), queue.Queue()
def compute(i):
    return hashlib.sha256(b"x" * 5000).hexdigest() == expected and sum(range(500)) == 124750
def run(i):
    while not ends.is_set():
        kind = i % 4
        if kind == 0:
            time.sleep(0.01)
        elif kind == 1:
            ends.wait(0.02)
        elif kind == 2:
            asked.put(i)
            time.sleep(0.02)
        else:
            try:
                asked.get(timeout=0.05)
            except queue.Empty:
                pass
        if compute(i):
            right[i] += 1
        else:
            wrong[i] += 1
threads = [threading.Thread(target=run, args=(i,)) for i in range(200)]
for thread in threads:
    thread.start()
print("ready", flush=True)
sys.stdin.read()
ends.set()
for thread in threads:
    thread.join()
assert min(right) > 0
print(sum(right), "right,", sum(wrong), "wrong")
"""

NODE = """
const { Worker, isMainThread, parentPort } = require('worker_threads');
const http = require('http'), zlib = require('zlib');
function work(n) { let s = 0; for (let i = 0; i < n; i++) s = (s * 31 + i) % 1000003; return s; }
if (!isMainThread) {
  parentPort.on('message', (n) => parentPort.postMessage(work(n)));
} else {
  const expected = work(200000);
  let right = 0, wrong = 0, ending = false, open = 0;
  const count = (good) => { good ? right++ : wrong++; };
  for (let i = 0; i < 2; i++) {
    const worker = new Worker(__filename);
    const ask = () => {
      if (ending) { worker.terminate(); return; }
      worker.postMessage(200000);
    };
    worker.on('message', (s) => { count(s === expected); ask(); });
    worker.on('error', () => { wrong++; });
    ask();
  }
  const body = Buffer.from('node '.repeat(2000));
  const server = http.createServer((request, response) => {
    zlib.gzip(body, (error, packed) => { response.end(packed); });
  });
  server.listen(0, '127.0.0.1', () => {
    const agent = new http.Agent({ keepAlive: true });
    const get = () => {
      if (ending) return;
      http.get({ port: server.address().port, host: '127.0.0.1', agent }, (response) => {
        const parts = [];
        response.on('data', (part) => parts.push(part));
        response.on('end', () => {
          count(zlib.gunzipSync(Buffer.concat(parts)).equals(body));
          get();
        });
      }).on('error', () => { wrong++; });
    };
    get();
    get();
    console.log('ready');
  });
  process.stdin.on('end', () => {
    ending = true;
    setTimeout(() => { console.log(`${right} right, ${wrong} wrong`); process.exit(0); }, 300);
  });
  process.stdin.resume();
}
"""


def python(_directory):
    """200 threads that sleep, wait for an event, for a queue, and compute."""
    return Reporting([sys.executable, "-c", PYTHON])


def node(directory):
    """Two workers, and a server that packs in its thread pool, with a client."""
    (directory / "work.js").write_text(NODE)
    return Reporting(["node", directory / "work.js"])


class Counted(Sample):
    """A sample, or a program like one, that says itself whether all was right."""

    def __init__(self, program, *args):
        super().__init__(program, *args)
        self.begun = time.monotonic()

    @property
    def pids(self):
        return [self.pid]

    def stop(self):
        return self.finish()


class Forks(Counted):
    """Threads that fork and execute all the time."""

    def __init__(self, _directory):
        super().__init__(SUPPORT / "fork_threads", "--threads", 8)

    def stop(self):
        truth = self.finish()
        assert truth["children"] > truth["executed"] > 0
        assert truth["wrong"] == 0


def thousand(_directory):
    """A thousand threads that wait for ever, one that does so now and then, two that compute."""
    return Counted("waits", "--seconds", 6000, "--still", 1000, "--burners", 2)
