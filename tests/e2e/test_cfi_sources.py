"""One program, its unwind tables in every place they can be: each stack reaches the root, by the
same functions."""

import struct
import subprocess

import pytest

import harness

SOURCE = harness.REPOSITORY / "tests" / "support" / "cfi_sources.c"
CHAIN = ["main", *(f"link_{i:02}" for i in range(1, 13))]
CPU_SECONDS = 4.0 if harness.FULL else 0.6
NO_EH_FRAME = ("-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-g")


def run(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def drop_section_headers(path):
    """As if there had never been any: the kernel and ld.so look at program headers only."""
    elf = bytearray(path.read_bytes())
    struct.pack_into("<Q", elf, 0x28, 0)  # e_shoff
    struct.pack_into("<HHH", elf, 0x3A, 64, 0, 0)  # e_shentsize, e_shnum, e_shstrndx
    path.write_bytes(elf)


def split_debug_file(path):
    debug = path.with_suffix(".debug")
    run("objcopy", "--only-keep-debug", path, debug)
    run("objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", path)


def drop_search_table(path):
    """The index says that its table is in a form nobody reads: DW_EH_PE_absptr."""
    headers = run("readelf", "-lW", path).splitlines()
    offsets = [int(line.split()[1], 16) for line in headers if "GNU_EH_FRAME" in line]
    assert len(offsets) == 1, headers
    elf = bytearray(path.read_bytes())
    elf[offsets[0] + 3] = 0
    path.write_bytes(elf)


def strip(path):
    run("strip", path)


# name: (compiler, options, what is done to the file, functions have names afterwards)
KINDS = {
    "pie": ("gcc", ("-fPIE", "-pie"), None, True),
    "fixed": ("gcc", ("-fno-pie", "-no-pie"), None, True),
    "static_fixed": ("gcc", ("-static", "-fno-pie", "-no-pie"), None, True),
    "static_pie": ("gcc", ("-static-pie", "-fPIE"), None, True),
    "stripped": ("gcc", (), strip, False),
    "sectionless": ("gcc", (), drop_section_headers, False),
    "other_index": ("gcc", (), drop_search_table, True),
    "debug_frame": ("gcc", NO_EH_FRAME, None, True),
    "debug_frame_fixed": ("gcc", (*NO_EH_FRAME, "-fno-pie", "-no-pie"), None, True),
    "debug_frame_gz": ("gcc", (*NO_EH_FRAME, "-gz"), None, True),
    "debug_frame_gnu_gz": ("gcc", (*NO_EH_FRAME, "-gz=zlib-gnu"), None, True),
    "debug_file": ("gcc", NO_EH_FRAME, split_debug_file, True),
    "lld": ("gcc", ("-fuse-ld=lld",), None, True),
    "clang": ("clang", ("-fuse-ld=lld",), None, True),
    "clang_debug_frame": ("clang", NO_EH_FRAME, None, True),
    "mold": ("gcc", ("-fuse-ld=mold",), None, True),
}


@pytest.fixture(scope="module", params=KINDS)
def build(request, tmp_path_factory):
    compiler, options, change, named = KINDS[request.param]
    path = tmp_path_factory.mktemp("cfi") / request.param
    flags = ("-O2", "-fno-optimize-sibling-calls", "-fomit-frame-pointer")
    run(compiler, *flags, *options, SOURCE, "-o", path)
    if change:
        change(path)
    return path, named


def record(path, *options):
    profile = path.with_suffix(".pb.gz")
    with harness.Recorder("-F", 999, "-o", profile, *options, "--", path, CPU_SECONDS) as recorder:
        recorder.finish()
    return harness.Profile(profile)


def user_frames(stack):
    """Without the process' name and the kernel's part."""
    return [frame for frame in stack[1:] if not frame.endswith("_[k]")]


def assert_chain(stack, name, named):
    """main and what it calls, in order; the leaf is wherever the sample was taken."""
    frames = user_frames(stack)
    if named:
        own = [frame for frame in frames[frames.index("main") :] if frame in CHAIN]
        assert own == CHAIN[: len(own)], stack
        return len(own)
    # Without names: how many frames of the program there are behind the C library's.
    library = max(i for i, frame in enumerate(frames) if frame.startswith("__libc_start"))
    own = [frame for frame in frames[library + 1 :] if frame == f"[{name}]"]
    return len(own)


def check(profile, path, named):
    quality = profile.report()["quality"]
    n = profile.samples
    assert quality["lost"] == 0
    # 16 kinds: more than 5,000 in all
    assert n >= 0.9 * 999 * CPU_SECONDS
    user = n - quality["stops"]["no_user"]
    ended = quality["stops"]["end"]
    assert ended >= 0.995 * user, quality["stops"]
    assert quality["fp_frames_pct"] < 0.1
    depths = {}
    startup = 0
    for stack, count in profile.folded():
        frames = user_frames(stack)
        in_main = "main" in frames if named else "exit" not in frames
        if not in_main or not any(frame.startswith("__libc_start") for frame in frames):
            startup += count  # the kernel's exec, ld.so, the end
            continue
        depth = assert_chain(stack, path.name, named)
        depths[depth] = depths.get(depth, 0) + count
    assert startup <= 0.05 * n, startup
    # link_12 works all the time but for what the calls take
    assert depths.get(len(CHAIN), 0) >= 0.95 * (n - startup), depths
    assert max(depths) == len(CHAIN)


def test_every_stack_is_whole(build):
    path, named = build
    profile = record(path)
    check(profile, path, named)
    recording = profile.report()["recording"]
    # libunwind is for what rows cannot say, and there is nothing of the kind here but in libc.
    assert recording["libunwind_stacks"] <= 0.01 * profile.samples
    assert 0 < recording["unwind_tables_bytes"] < 16 << 20
    assert recording["unwind_tables_skipped"] == 0


def test_libunwind_finds_the_same(build):
    path, named = build
    profile = record(path, "--unwind=libunwind")
    check(profile, path, named)


def test_a_large_library_is_compiled_as_far_as_it_is_used(tmp_path):
    """A compiler runs in libraries of 100 MB, whose rows alone would be 8 MB each."""
    source = tmp_path / "empty.cpp"
    source.write_text("#include <map>\n#include <regex>\nint main() { return 0; }\n")
    profile = tmp_path / "clang.pb.gz"
    command = ("clang++", "-O2", "-c", source, "-o", tmp_path / "empty.o")
    with harness.Recorder("-F", 499, "--no-symbols", "-o", profile, "--", *command) as recorder:
        recorder.finish()
    report = harness.Profile(profile).report()
    assert report["quality"]["stops"]["no_cfi"] <= 0.005 * report["totals"]["samples"]
    assert 1 << 20 < report["recording"]["unwind_tables_bytes"] < 24 << 20
