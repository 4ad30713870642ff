"""The part of scripts/bench/heap on redis: a server under each tool, redis-benchmark in turn.

All servers of a round live at the same time and are given short bursts of requests in turn, forth
and back, again and again: what the machine does besides meets all alike. The server's CPU time is the kernel's, of
all its threads, to the nanosecond.
"""
import glob
import json
import os
import subprocess
import sys
import time

BURST = 2_500       # requests of each kind
CYCLES = 4          # forth and back
TESTS = "set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset"
KEYS = 100_000

ROWS = [
    ("cpu_us", "server CPU, us/request", "{:.2f}"),
    ("added_pct", "... more than native, %", "{:.2f}"),
    ("requests_per_s", "requests/s", "{:.0f}"),
    ("profile_kb", "profile, KB", "{:.0f}"),
    ("rss_mb", "server RSS, MB", "{:.0f}"),
]


class Server:
    def __init__(self, tool, args, directory):
        self.tool, self.directory = tool, f"{directory}/redis.{tool.name.replace(' ', '-')}"
        os.makedirs(self.directory, exist_ok=True)
        self.socket = f"{self.directory}/socket"
        argv, env = tool.around(["redis-server", "--port", "0", "--unixsocket", self.socket,
                                 "--save", "", "--dir", self.directory, "--daemonize", "no"],
                                self.directory, args.shim)
        self.child = subprocess.Popen(argv, env={**os.environ, **env}, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
        self.pid = self.wait_for_pid()
        self.cpu_ns = self.requests = self.wall_s = 0

    def ask(self, *command):
        return subprocess.run(["redis-cli", "-s", self.socket, *command], capture_output=True,
                              text=True, check=False).stdout

    def wait_for_pid(self):
        """The server's own, which with heaptrack is not the child's."""
        for _ in range(600):
            for line in self.ask("info", "server").splitlines():
                if line.startswith("process_id:"):
                    return int(line.split(":")[1])
            if self.child.poll() is not None:
                break
            time.sleep(0.05)
        sys.exit(f"redis-server with {self.tool.name} did not start")

    def cpu_now_ns(self):
        total = 0
        for name in glob.glob(f"/proc/{self.pid}/task/*/schedstat"):
            with open(name, encoding="ascii") as file:
                total += int(file.read().split()[0])
        return total

    def burst(self, args):
        cpu, start = self.cpu_now_ns(), time.monotonic()
        subprocess.run(["redis-benchmark", "-s", self.socket, "-q", "-n", str(BURST), "-c", "50",
                        "-r", str(KEYS), "-d", "100", "-P", str(args.pipeline), "-t", TESTS],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wall_s += time.monotonic() - start
        self.cpu_ns += self.cpu_now_ns() - cpu
        # lrange's list is filled by as many lpush again
        self.requests += BURST * (len(TESTS.split(",")) + 1)

    def stop(self):
        """The figures, once the server has ended and its profile is written."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            rss_mb = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        self.ask("shutdown", "nosave")
        self.child.wait()
        profile = self.tool.take_profile(self.directory)
        return {"cpu_us": self.cpu_ns / 1000 / self.requests, "rss_mb": rss_mb,
                "requests_per_s": self.requests / self.wall_s,
                "profile_kb": profile / 1024 if profile else None}


def measure_round(args, tools, directory, i):
    servers = [Server(tool, args, directory) for tool in tools]
    try:
        turn = i % len(servers)
        order = servers[turn:] + servers[:turn]
        for server in [*order, *reversed(order)] * (1 if args.quick else CYCLES):
            server.burst(args)
        return {server.tool.name: server.stop() for server in servers}
    finally:
        for server in servers:
            if server.child.poll() is None:
                server.child.terminate()
                server.child.wait()


def measure(args, tools, directory, summarize):
    """--pairs rounds of native and cprof sampled; in --rounds of them all the others as well."""
    measured = {tool.name: [] for tool in tools}
    pair = [tool for tool in tools if tool.name in ("native", "cprof sampled")]
    for i in range(max(args.pairs, args.rounds)):
        results = measure_round(args, tools if i < args.rounds else pair, directory, i)
        for name, result in results.items():
            result["added_pct"] = 100 * (result["cpu_us"] / results["native"]["cpu_us"] - 1)
            measured[name].append(result)
        added = {name: round(result["added_pct"], 1) for name, result in results.items()}
        print(f"redis: round {i + 1}, percent more: {json.dumps(added)}, "
              f"load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    return {name: {key: summarize([r[key] for r in rounds]) for key in rounds[0]}
            for name, rounds in measured.items()}
