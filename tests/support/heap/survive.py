#!/usr/bin/env python3
"""Run programs under libcprof_heap.so and look at the files they leave.

    survive.py CASE     with SHIM, CHECK, BUILD in the environment: the library, heap_check, the
                        folder of the programs

What is expected is what the programs say they do (survive.c): blocks of 700000 bytes and more are
each of another size, so that the live ones name themselves.
"""
import collections
import glob
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time

SHIM, CHECK, BUILD = (os.environ[name] for name in ("SHIM", "CHECK", "BUILD"))
LIBRARIES = "/usr/lib/x86_64-linux-gnu/"
STATE_ACTIVE, STATE_EXITED = 1, 2


class HeapFile:
    """A file as heap_check prints it."""

    def __init__(self, path):
        done = subprocess.run([CHECK, path, "--blocks", "--stacks"], capture_output=True, text=True)
        assert done.returncode == 0, (path, done.returncode, done.stdout[:2000], done.stderr)
        self.values, self.blocks, self.sites = {}, collections.Counter(), {}
        self.stack_of = {}
        for line in done.stdout.splitlines():
            words = line.split()
            if words[0] == "block":
                self.blocks[int(words[1])] += 1
                self.stack_of[int(words[1])] = int(words[3])
            elif words[0] == "site":
                self.sites[int(words[1])] = words[2:]
            else:
                self.values[words[0]] = words[1] if len(words) > 1 else ""

    def __getitem__(self, key):
        return int(self.values[key])

    def marked(self):
        return sorted(size for size in self.blocks.elements() if size >= 700000)

    def frames(self, size):
        return self.sites[self.stack_of[size]][6:]

    def consistent(self):
        """Counters and blocks agree: nothing was in the middle of an event."""
        assert self["allocs"] - self["frees"] == self["live_blocks"], self.values
        assert self["alloc_bytes"] - self["free_bytes"] == self["live_bytes"], self.values

    def lossless(self):
        self.consistent()
        lost = {key: value for key, value in self.values.items()
                if key.startswith("loss_") and value != "0"}
        lost.pop("loss_unknown_free", None)
        assert not lost, lost


def program(name):
    return os.path.join(BUILD, name)


def run(arguments, folder, preload=(), expect=0, output="heap.%p", limits=(), **environment):
    """Run to the end; the files it left, in the order they were made."""
    def limit():
        for what, value in limits:
            resource.setrlimit(what, (value, value))

    env = {key: value for key, value in os.environ.items() if not key.startswith("CPROF_")}
    env["LD_PRELOAD"] = " ".join([SHIM, *preload])
    env["CPROF_HEAP_OUTPUT"] = os.path.join(folder, output)
    env.update({key: str(value) for key, value in environment.items()})
    done = subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=100,
                          preexec_fn=limit, check=False)
    assert done.returncode == expect, (done.returncode, done.stdout[-500:], done.stderr[-500:])
    paths = sorted(glob.glob(os.path.join(folder, "heap*")), key=lambda p: os.stat(p).st_mtime_ns)
    return [HeapFile(path) for path in paths]


def single(arguments, folder, **options):
    files = run(arguments, folder, **options)
    assert len(files) == 1, len(files)
    return files[0]


def survive(*arguments):
    return [program("survive"), *map(str, arguments)]


FAMILY = [700001, 700002, 700003, 700004, 700005, 700007, 700008, 700009, 700013, 700032]


def case_family(folder):
    heap = single(survive("family"), folder)
    heap.lossless()
    assert heap.marked() == FAMILY, heap.marked()
    assert heap["state"] == STATE_EXITED
    for size in FAMILY:
        # in the program, called from libc's start of it
        frames = heap.frames(size)
        assert frames[0].startswith("survive+") and frames[-1].startswith("survive+"), frames
        assert not any("!" in frame for frame in frames), frames


def case_gaps(folder):
    """An executable whose segments are apart is one module, with unwind information."""
    heap = single([program("survive_gaps"), "family"], folder)
    heap.lossless()
    assert heap.marked() == FAMILY, heap.marked()
    for size in FAMILY:
        frames = heap.frames(size)
        assert frames[0].startswith("survive_gaps+") and frames[-1].startswith("survive_gaps+")
        assert not any("!" in frame for frame in frames), frames
    inside = os.path.join(folder, "without")
    os.mkdir(inside)
    assert heap["modules"] == single(survive("family"), inside)["modules"]


CXX = [*range(700001, 700009), *range(701000, 701050), *range(702000, 702050),
       *range(703000, 703050)]


def case_cxx(folder):
    heap = single([program("survive_cxx")], folder)
    heap.lossless()
    assert heap.marked() == CXX, heap.marked()
    for size in CXX:
        frames = heap.frames(size)
        assert frames[0].startswith("survive_cxx+"), frames
    lines = [{tuple(heap.frames(first + i)) for i in range(50)} for first in (701000, 702000, 703000)]
    assert [len(line) for line in lines] == [1, 1, 1], lines
    assert len(set.union(*lines)) == 3, lines


def case_allocators(folder):
    """Each as the target's own malloc: C++, in which new does not call malloc, and threads."""
    for library in ("libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2"):
        for arguments in ([program("survive_cxx"), *(
                ["no_bad_alloc"] if "mimalloc" in library else [])], survive("threads", 4)):
            inside = os.path.join(folder, library + os.path.basename(arguments[0]))
            os.mkdir(inside)
            heap = single(arguments, inside, preload=[LIBRARIES + library])
            heap.lossless()
            assert library in heap.values["allocator"], heap.values["allocator"]
            if "cxx" in arguments[0]:
                assert heap.marked() == CXX, (library, heap.marked())
            else:
                assert heap["allocs"] >= 200000 and heap["live_blocks"] < 100, heap.values


def case_dlsym(folder):
    heap = single([program("survive_dlsym")], folder)
    assert heap.marked() == [700001]
    assert heap["loss_bootstrap"] > 0


def case_thread_exit(folder):
    heap = single(survive("thread_exit"), folder)
    heap.lossless()
    assert heap.marked() == [700002], heap.marked()


def case_fork(folder):
    heap = single(survive("fork"), folder)
    assert heap.marked() == [700001], heap.marked()
    heap.lossless()


def case_fork_followed(folder):
    files = run(survive("fork"), folder, CPROF_HEAP_FOLLOW="all")
    assert len(files) == 21, len(files)
    for heap in files:
        heap.lossless()
    pids = {heap.values["pid"] for heap in files}
    assert len(pids) == 21
    assert sum(heap.marked() == [700005] for heap in files) == 20
    assert sum(heap.marked() == [700001] for heap in files) == 1


def case_spawn(folder):
    files = run(survive("spawn"), folder, CPROF_HEAP_FOLLOW="no",
                CPROF_HEAP_ROOT_PID=0, expect=0)
    assert not files
    files = run(survive("spawn"), folder, CPROF_HEAP_FOLLOW="^survive$")
    assert len(files) == 1 and files[0].marked() == [700001, 700002]
    files[0].lossless()


def case_signals(folder):
    heap = single(survive("signals"), folder)
    heap.consistent()
    assert heap.marked() == [700001]
    assert heap["allocs"] + heap["loss_reentered"] // 2 >= 301000
    assert heap["loss_missed_free"] == 0 and heap["loss_lock"] == 0


def case_closed_fds(folder):
    heap = single(survive("closed_fds"), folder)
    heap.lossless()
    assert heap.blocks[24] == 200000 and heap.marked() == [700001]


def case_exec(folder):
    files = run(survive("exec"), folder)
    assert len(files) == 2, len(files)
    assert files[0].values["pid"] == files[1].values["pid"]
    assert sorted(heap.marked() for heap in files) == [[700001], [700005]]


def case_plugins(folder):
    plugins = [program("libsurvive_a.so"), program("libsurvive_b.so")]
    heap = single(survive("plugins", *plugins), folder)
    heap.lossless()
    first, second = heap.frames(700001)[0], heap.frames(700002)[0]
    assert first.startswith("libsurvive_a.so+"), first
    assert second.startswith("libsurvive_b.so+"), second
    assert heap["module_epoch"] == 2


def case_reload(folder):
    """A plugin that is loaded for each job: the same stacks each time, in the same room."""
    heap = single(survive("reload", 5000, program("libsurvive_a.so")), folder)
    heap.lossless()
    assert heap.frames(700001)[0].startswith("libsurvive_a.so+"), heap.frames(700001)
    assert heap["modules"] < 10 and heap["nodes"] < 100, heap.values
    assert heap["module_epoch"] == 5000, heap.values


def case_constructor(folder):
    """The first operators new and delete of a process, while another thread is inside of dlopen."""
    heap = single(survive("constructor", program("libsurvive_constructor.so")), folder)
    heap.lossless()
    assert heap.marked() == [700001], heap.marked()


def case_crowd(folder):
    seconds = 60 if os.environ.get("CPROF_TEST_FULL") == "1" else 5
    out = os.path.join(folder, "loaded")
    arguments = [program("survive_crowd"), str(seconds), program("libsurvive_a.so")]
    files = run(arguments, folder, CROWD_OUT=out, CPROF_HEAP_FOLLOW="survive_crowd")
    assert len(files) == 1, len(files)
    heap = files[0]
    heap.consistent()
    with open(out, encoding="ascii") as lines:
        loaded = int(lines.read())
    assert loaded > 10 and heap["allocs"] > 100000, (loaded, heap.values)
    for loss in ("reentered", "table_full", "no_space", "sites_full", "bootstrap"):
        assert heap["loss_" + loss] == 0, heap.values
    # a lock may have been held for too long on a busy machine: then as many blocks are wrong
    wrong = abs(heap.blocks[700001] - 1) + abs(heap.blocks[700002] - loaded) + sum(
        n for size, n in heap.blocks.items() if 16 <= size < 21000 and size != 1024)
    assert wrong <= heap["loss_lock"] + 200, (wrong, loaded, heap.values)


def case_more_threads_than_slots(folder):
    """Threads beyond those with a memory of their own: nothing is lost, least of all a free."""
    heap = single(survive("many_threads", 1200), folder)
    heap.lossless()
    assert heap.blocks[104] == 0 and heap["allocs"] >= 1200 * 50, heap.values
    assert heap.marked() == [700001]


def case_old_kernel(folder):
    """Without MADV_POPULATE_*: the whole file at the start, of a size that can be had so."""
    files = run(survive("exec_on_old_kernel"), folder, CPROF_HEAP_FOLLOW="^survive$")
    heap = files[-1]
    heap.lossless()
    assert heap.marked() == [700005], heap.marked()
    assert heap["max_blocks"] == 512 << 10, heap.values


def case_coroutines(folder):
    heap = single(survive("coroutines"), folder)
    heap.lossless()
    assert heap.marked() == [700001, 700002]
    assert heap.frames(700001)[0].startswith("survive+")
    assert heap.frames(700002)[-1].startswith("survive+")


def case_sandboxed(folder):
    heap = single(survive("sandboxed"), folder)
    heap.lossless()
    assert heap.marked() == [700001, 700002, 700003]
    assert heap.blocks[24] == 200000


def case_table_full(folder):
    heap = single(survive("many", 20000), folder, CPROF_HEAP_MAX_BLOCKS=8192)
    heap.consistent()
    assert heap["frozen"] == 1
    # entry 0 is none
    assert 8192 - 100 < heap.blocks[24] <= 8192 - 1
    # libc's stdio may have a few of its own
    assert 20000 <= heap.blocks[24] + heap["loss_table_full"] <= 20010, heap.values


SETTINGS = ["MAX_BLOCKS", "MAX_NODES", "MAX_SITES", "MAX_MODULES", "REPLICAS", "POPULATE", "SEED",
            "SAMPLE_BYTES", "ROOT_PID", "FOLLOW", "OUTPUT"]


def case_settings(folder):
    """A value that cannot be used is not used, and is told: the library cannot print."""
    def refused(**settings):
        values = {"CPROF_HEAP_" + name: value for name, value in settings.items()}
        with tempfile.TemporaryDirectory(dir=folder) as inside:
            heap = single(survive("many", 10), inside, **values)
        heap.lossless()
        return heap["max_blocks"], {SETTINGS[i] for i in range(32)
                                    if heap["settings_refused"] >> i & 1}

    default = 16 << 20
    assert refused() == (default, set())
    for name in SETTINGS[:9]:
        for value in ("12k", "-1", " 7", "0x10", "1e6", "99999999999999999999"):
            assert refused(**{name: value}) == (default, {name}), (name, value)
    assert refused(MAX_BLOCKS=4095) == (default, {"MAX_BLOCKS"})
    assert refused(MAX_BLOCKS=4096) == (4096, set())
    assert refused(MAX_BLOCKS=9000, REPLICAS=65) == (8192, {"REPLICAS"})
    assert refused(MAX_BLOCKS="", FOLLOW="(") == (default, {"FOLLOW"})
    assert refused(FOLLOW="^surv(ive)?$") == (default, set())


def case_stacks_full(folder):
    heap = single(survive("recurse", 3000), folder, CPROF_HEAP_MAX_NODES=1024,
                  CPROF_HEAP_MAX_SITES=64)
    heap.consistent()
    assert heap["loss_sites_full"] > 2000 and heap["frozen"] == 1
    assert heap.blocks[16] == 3000 and heap.marked() == [700001]


def case_disk_full(folder):
    """A tmpfs of a megabyte, which 200,000 blocks of 32 bytes do not fit in."""
    mounted = os.path.join(folder, "small")
    os.mkdir(mounted)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", mounted], check=True)
    try:
        heap = single(survive("many", 200000), mounted)
    finally:
        subprocess.run(["umount", mounted], check=True)
    heap.consistent()
    assert heap["frozen"] == 1 and heap["loss_no_space"] > 100000
    assert heap.blocks[24] > 10000
    assert heap.blocks[24] + heap["loss_no_space"] >= 200000


def case_no_room_at_all(folder):
    """Not even for the header: the program runs, and there is no file."""
    mounted = os.path.join(folder, "tiny")
    os.mkdir(mounted)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", mounted], check=True)
    try:
        assert not run(survive("many", 1000), mounted)
    finally:
        subprocess.run(["umount", mounted], check=True)


def case_deleted(folder):
    assert not run(survive("deleted"), folder, output="heap")


def case_file_limit(folder):
    heap = single(survive("many", 5000), folder, limits=[(resource.RLIMIT_FSIZE, 64 << 20)])
    heap.lossless()
    assert heap.blocks[24] == 5000
    inside = os.path.join(folder, "none")
    os.mkdir(inside)
    assert not run(survive("many", 10), inside, limits=[(resource.RLIMIT_FSIZE, 4096)])


def case_memory_limit(folder):
    heap = single(survive("many", 5000), folder, limits=[(resource.RLIMIT_AS, 1 << 30)])
    heap.lossless()
    assert heap.blocks[24] == 5000


def case_populated(folder):
    heap = single(survive("many", 50000), folder, CPROF_HEAP_POPULATE=1,
                  CPROF_HEAP_MAX_BLOCKS=65536)
    heap.lossless()
    assert heap.blocks[24] == 50000


def case_threads(folder):
    heap = single(survive("threads", 8), folder)
    heap.lossless()
    assert heap["allocs"] >= 400000 and heap["live_blocks"] < 100, heap.values
    assert heap["max_threads"] <= 9


def case_more_threads_than_replicas(folder):
    heap = single(survive("threads", 40), folder, CPROF_HEAP_REPLICAS=4)
    heap.lossless()
    assert heap["allocs"] >= 2000000 and heap["live_blocks"] < 100, heap.values


def case_peak(folder):
    heap = single(survive("peak"), folder)
    heap.lossless()
    assert heap["peak_bytes"] == 70000000 + sum(
        size * n for size, n in heap.blocks.items() if size < 700000), heap.values
    assert heap["site_peak_bytes"] == heap["peak_bytes"]


def case_recurse(folder):
    """Deeper than a stack is kept: the leaf's side, marked."""
    heap = single(survive("recurse", 20000), folder)
    heap.lossless()
    frames = heap.frames(700001)
    assert len(frames) == 512 and frames[-1].endswith("!2"), (len(frames), frames[-1])
    # the same 512 frames at every depth below, and one stack for each above
    assert heap["sites"] < 1100, heap["sites"]


def case_secure(folder):
    """Set-user-ID: the loader takes libraries from its own folders only; then nothing is recorded."""
    script = """
        set -e
        mount -t tmpfs none "$1"; mkdir "$1/up" "$1/work" "$1/bin"; chmod 755 "$1"
        mount -t overlay -o lowerdir=/usr/lib,upperdir="$1/up",workdir="$1/work" none /usr/lib
        cp "$SHIM" /usr/lib/libcprof_heap.so; chmod 4755 /usr/lib/libcprof_heap.so
        cp "$BUILD/survive" "$1/bin/"; chown daemon "$1/bin/survive"; chmod 4755 "$1/bin/survive"
        mkdir "$1/out"; chmod 1777 "$1/out"
        run() { setpriv --reuid nobody --clear-groups --regid nogroup \\
            env LD_PRELOAD=libcprof_heap.so CPROF_HEAP_OUTPUT="$1" "$2" one; }
        run "$1/out/secure" "$1/bin/survive"
        chmod 755 "$1/bin/survive"
        run "$1/out/plain" "$1/bin/survive"
        ls "$1/out"
    """
    done = subprocess.run(["unshare", "-m", "bash", "-c", script, "bash", folder],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["plain"], done.stdout


def case_killed(folder):
    """Killed in the middle of the work of eight threads: at most one event of each is half done."""
    for i in range(20):
        env = dict(os.environ, LD_PRELOAD=SHIM, CPROF_HEAP_OUTPUT=os.path.join(folder, f"heap{i}"))
        with subprocess.Popen(survive("forever"), env=env, stdout=subprocess.PIPE) as target:
            target.stdout.readline()
            time.sleep(0.01 * (i % 7))  # at another moment each time
            target.send_signal(signal.SIGKILL)
        heap = HeapFile(os.path.join(folder, f"heap{i}"))
        assert heap["state"] == STATE_ACTIVE
        difference = heap["allocs"] - heap["frees"] - heap["live_blocks"]
        assert abs(difference) <= 8, heap.values


def case_sampled(folder):
    """10,000 runs' worth of points: the estimate within 5 standard errors."""
    heap = single(survive("many", 2000000), folder, CPROF_HEAP_SAMPLE_BYTES=4096,
                  CPROF_HEAP_SEED=42)
    n = 2000000 * 24 / 4096
    estimate = heap["alloc_bytes"] / (2000000 * 24)
    assert abs(estimate - 1) < 5 / n ** 0.5, estimate
    assert abs(heap["allocs"] / 256 / 2000000 - 1) < 5 / n ** 0.5
    assert heap.blocks[24] == heap["live_blocks"] or heap["live_blocks"] - heap.blocks[24] < 5


def case_backtrace(folder):
    """Stacks of random shape, next to what glibc's unwinder says at the same call."""
    out, maps = os.path.join(folder, "stacks"), os.path.join(folder, "maps")
    heap = single([program("survive_stacks"), out, maps], folder)
    heap.lossless()
    mappings = []
    for line in open(maps, encoding="ascii"):
        words = line.split()
        start, end = (int(word, 16) for word in words[0].split("-"))
        mappings.append((start, end, words[5] if len(words) > 5 else ""))
    first = {}
    for start, _, name in mappings:
        first.setdefault(name, start)

    def place(address):
        for start, end, name in mappings:
            if start <= address < end:
                return os.path.basename(name), address - first[name]
        return "", address

    n = 0
    for line in open(out, encoding="ascii"):
        size, *truth = line.split()
        # the allocating frame's own line is another than that of the call to backtrace()
        mine = [frame.partition("!")[0].rsplit("+", 1) for frame in heap.frames(int(size))][1:]
        want = [place(int(address, 16)) for address in truth]
        same = len(mine) == len(want) and all(
            module == name and at - int(offset, 16) in (0, 1)
            for (module, offset), (name, at) in zip(mine, want))
        assert same, (size, mine, [(name, hex(at)) for name, at in want])
        n += 1
    assert n > 2000, n


def main():
    case = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="cprof-heap-") as folder:
        globals()["case_" + case](folder)


if __name__ == "__main__":
    main()
