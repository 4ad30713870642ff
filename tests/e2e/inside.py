"""
What test_containers.py has done in a container: cprof beside a sample, or in front of it.

    inside.py record PROFILE CPU_SECONDS SAMPLE OPTION...
    inside.py command PROFILE CPU_SECONDS SAMPLE OPTION...
    inside.py doctor SAMPLE

Prints a line of JSON: the exit status, what cprof has said, what the sample has found in the end,
who traced it then.
"""

import json
import sys

import harness
from harness import SAMPLES, Sample, cprof


def record(path, cpu_seconds, sample, *options):
    with Sample(sample) as target:
        done = harness.record_for(path, target.pid, float(cpu_seconds), *options)
        tracers = harness.tracers(target.pid)
        harness.wait_cpu(target.pid, 0.02)
        return done, target.finish(), tracers


def command(path, cpu_seconds, sample, *options):
    work = (SAMPLES / sample, "--cpu-seconds", cpu_seconds)
    done = cprof("record", "-o", path, *options, "--", *work, status=None)
    return done, harness.find_truth(done.stdout), []


def doctor(sample):
    with Sample(sample) as target:
        done = cprof("doctor", "-p", target.pid, status=None)
        return done, target.finish(), harness.tracers(target.pid)


def main():
    what = {"record": record, "command": command, "doctor": doctor}[sys.argv[1]]
    done, truth, tracers = what(*sys.argv[2:])
    found = {"status": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
    print(json.dumps(found | {"truth": truth, "tracers": tracers}))


if __name__ == "__main__":
    main()
