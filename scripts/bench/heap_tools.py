"""The tools that scripts/bench/heap compares: how each is put around a program."""
import ctypes.util
import glob
import json
import os
import shutil
import subprocess
import sys
import time

SAMPLE_BYTES = 512 * 1024
LIB = "/usr/lib/x86_64-linux-gnu"
JEMALLOC = f"{LIB}/libjemalloc.so.2"
TCMALLOC = f"{LIB}/libtcmalloc.so.4"


def in_directory(text, directory):
    """@text with the directory in it, or a name that is its own, for files that are elsewhere."""
    return text.format(directory=directory, name=directory.strip("/").replace("/", "-"))


class Tool:
    """@share: of the others' work, for what would take minutes."""

    def __init__(self, name, share=1.0, needs=None, preload=None, env=None, profile=None):
        self.name, self.share, self.needs = name, share, needs
        self.preload, self.env, self.profile = preload, env or {}, profile

    def around(self, argv, directory, shim):
        """(argv, environment) of @argv with the tool."""
        env = {key: in_directory(value, directory) for key, value in self.env.items()}
        if self.name.startswith("heaptrack"):
            raw = ["--raw"] if self.name == "heaptrack raw" else []
            return ["heaptrack", *raw, "-o", f"{directory}/profile.heaptrack", *argv], env
        if self.name == "LeakSanitizer" and os.path.exists(argv[0] + ".lsan"):
            return [argv[0] + ".lsan", *argv[1:]], env
        if self.preload:
            env["LD_PRELOAD"] = shim if self.preload == "shim" else self.preload
        return argv, env

    def take_profile(self, directory):
        """Bytes on the disk of what it has written, which is removed. None: nothing."""
        if not self.profile:
            return None
        files = glob.glob(in_directory(self.profile, directory))
        # the live file is sparse; of gperftools' profiles the last one is the whole
        sizes = [os.stat(name).st_blocks * 512 for name in sorted(files)]
        for name in files:
            os.unlink(name)
        return sizes[-1] if sizes else None


# /dev/shm is where the live file is by default
LIVE = "/dev/shm/{name}.*"
LIVE_NAME = "/dev/shm/{name}.%p"
GPERF = "{directory}/profile.gperftools"
JE_PROF = (f"prof:true,lg_prof_sample:{SAMPLE_BYTES.bit_length() - 1},prof_final:true,"
           "prof_prefix:{directory}/profile.jemalloc")

TOOLS = [
    Tool("native"),
    Tool("cprof", preload="shim", env={"CPROF_HEAP_OUTPUT": LIVE_NAME}, profile=LIVE),
    Tool("cprof sampled", preload="shim", profile=LIVE,
         env={"CPROF_HEAP_OUTPUT": LIVE_NAME, "CPROF_HEAP_SAMPLE_BYTES": str(SAMPLE_BYTES)}),
    Tool("heaptrack", share=0.3, needs="heaptrack", profile="{directory}/profile.heaptrack*"),
    Tool("heaptrack raw", share=0.3, needs="heaptrack", profile="{directory}/profile.heaptrack*"),
    # what it finds at the end is not asked here
    Tool("LeakSanitizer", needs="lsan", env={"LSAN_OPTIONS": "exitcode=0"},
         preload=ctypes.util.find_library("lsan")),
    Tool("jemalloc", needs=JEMALLOC, preload=JEMALLOC),
    Tool("jemalloc sampled", needs=JEMALLOC, preload=JEMALLOC, env={"MALLOC_CONF": JE_PROF},
         profile="{directory}/profile.jemalloc*"),
    Tool("tcmalloc", needs=TCMALLOC, preload=TCMALLOC, env={"TCMALLOC_SAMPLE_PARAMETER": "0"}),
    Tool("tcmalloc sampled", needs=TCMALLOC, preload=TCMALLOC,
         env={"TCMALLOC_SAMPLE_PARAMETER": str(SAMPLE_BYTES)}),
    Tool("gperftools exact", share=0.005, needs=TCMALLOC, preload=TCMALLOC, profile=GPERF + "*",
         env={"HEAPPROFILE": GPERF, "HEAP_PROFILE_ALLOCATION_INTERVAL": "0",
              "HEAP_PROFILE_INUSE_INTERVAL": "0"}),
]
NAMES = [tool.name for tool in TOOLS]


def why_missing(tool):
    """None: it is there."""
    if tool.needs == "lsan":
        return None if tool.preload else "no liblsan"
    if tool.needs and not os.path.exists(tool.needs) and not shutil.which(tool.needs):
        return f"no {tool.needs}"
    if tool.name == "jemalloc sampled":
        said = subprocess.run(["true"], env={**os.environ, "LD_PRELOAD": JEMALLOC,
                                             "MALLOC_CONF": "prof:true"}, capture_output=True)
        return "this jemalloc was built without its profiler" if said.stderr else None
    return None


def available(names):
    """([tools], {name: why not})"""
    unknown = set(names) - set(NAMES)
    if unknown:
        sys.exit(f"--tools: no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    wanted = [tool for tool in TOOLS if tool.name in names or tool.name == "native"]
    missing = {tool.name: why_missing(tool) for tool in wanted}
    missing = {name: why for name, why in missing.items() if why}
    return [tool for tool in wanted if tool.name not in missing], missing


def run(tool, argv, directory, shim):
    """Run to the end: what the program says of its work, and what all its processes took."""
    argv, env = tool.around(argv, directory, shim)
    start = time.monotonic()
    child = subprocess.Popen(argv, env={**os.environ, **env}, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall_s = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    work = [line for line in said.splitlines() if line.startswith("{")]
    if child.returncode != 0 or not work:
        sys.exit(f"{tool.name}: {' '.join(argv)}: exit {child.returncode}\n{said}")
    return {"work": json.loads(work[0]), "wall_s": wall_s,
            "all_cpu_s": usage.ru_utime + usage.ru_stime,
            "profile_bytes": tool.take_profile(directory)}
