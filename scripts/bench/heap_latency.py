"""The part of scripts/bench/heap on latency: single mallocs, while dd writes to the disk."""
import json
import os
import subprocess
import sys

LIVE_BLOCKS = 500_000   # 16 MB of the live file are written again and again
WRITTEN_MB = 2048       # dd's file, rewritten until the program has ended

ROWS = [
    ("p50_ns", "p50, ns", "{:.0f}"),
    ("p99_ns", "p99, ns", "{:.0f}"),
    ("p999_ns", "p99.9, ns", "{:.0f}"),
    ("p9999_ns", "p99.99, ns", "{:.0f}"),
    ("max_ms", "longest, ms", "{:.1f}"),
    ("over_1ms", "over 1 ms", "{:.0f}"),
    ("over_10ms", "over 10 ms", "{:.0f}"),
]


def measure_one(where, args, directory):
    env = dict(os.environ)
    live = {"native": None, "tmpfs": "/dev/shm/heap-bench.latency",
            "disk": f"{directory}/latency.live"}[where]
    if live:
        env.update(LD_PRELOAD=args.shim, CPROF_HEAP_OUTPUT=live)
    written = f"{directory}/written"
    # sh, so that the last dd ends with its own kill: one process group
    writer = subprocess.Popen(
        ["sh", "-c", f"while dd if=/dev/zero of={written} bs=1M count={WRITTEN_MB} conv=notrunc"
         " 2>/dev/null; do :; done"], start_new_session=True)
    try:
        said = subprocess.run([f"{directory}/heap_latency", "2" if args.quick else "15",
                               str(LIVE_BLOCKS)], env=env, check=True, capture_output=True,
                              text=True).stdout
    finally:
        os.killpg(writer.pid, 15)
        writer.wait()
        for name in (written, live):
            if name and os.path.exists(name):
                os.unlink(name)
    result = json.loads(said)
    result["max_ms"] = result["max_ns"] / 1e6
    return result


def measure(args, directory, summarize):
    cases = {"native": "native", "cprof, on tmpfs": "tmpfs", "cprof, on disk": "disk"}
    measured = {name: [] for name in cases}
    for i in range(args.rounds):
        names = list(cases)
        for name in names[i % 3:] + names[:i % 3]:
            measured[name].append(measure_one(cases[name], args, directory))
        print(f"latency: round {i + 1}/{args.rounds}, load {os.getloadavg()[0]:.1f}",
              file=sys.stderr)
    return {name: {key: summarize([r[key] for r in rounds]) for key in rounds[0]}
            for name, rounds in measured.items()}
