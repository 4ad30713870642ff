"""The table of test_kinds.py: every kind of binary, and what its stacks must be.

A kind is a program, how to run it, and the frames from the root to the leaf. The program gets the
kind's name, which becomes the name of its process, so that many kinds fit in one recording.
"""

from dataclasses import dataclass, replace

ROOT = ("_start", "__libc_start_main.*", "__libc_start_call_main")
THREAD = ("clone3|__clone3", "start_thread")
CHAIN = ("main", "kind_outer", "kind_middle", "kind_leaf")
NO_NAMES = (r"\[.*\]",)
# the program in the background runs, and not the shell any more
AFTER_EXEC = "until [ $(readlink /proc/$!/exe) = {program} ]; do sleep 0.01; done;"
GCC, CLANG = "gcc", "clang"


@dataclass(frozen=True)
class Kind:
    name: str  # at most 15 characters
    program: tuple  # compiler, source, flag...
    chain: tuple = ROOT + CHAIN
    arguments: tuple = ()  # behind the name and the milliseconds
    stops: tuple = ()  # reasons beside "end" that are right here
    end: float = 0.995  # share of the stacks that must be complete
    each: tuple = ()  # leaves that must all be there
    leaf: str = ""  # of the stacks whose frames are compared; "" = the chain's last
    leaf_share: float = 0.8  # they are at least so many
    wrong: float = 0  # of those, so many may lack a frame: counted as steps without information
    run: str = "{program} {name} {ms} {arguments}"  # a shell command
    after: tuple = ()  # commands that change the program: "{program}"


def chain(name, compiler, *flags, **rest):
    return Kind(name, (compiler, "chain.c", *flags), **rest)


def mode(name, *frames, flags=("-O2",), compiler=GCC, arguments=None, **rest):
    """A mode of behaviours.c; the frames are those behind main()."""
    return Kind(
        name,
        (compiler, "behaviours.c", *flags, "-pthread"),
        chain=rest.pop("chain", ROOT + ("main", "kind_run", *frames)),
        arguments=arguments or (name,),
        **rest,
    )


def bare(name, *frames, **rest):
    return Kind(
        f"bare_{name}",
        (GCC, "bare.c", "bare.S", "-O2"),
        chain=rest.pop("chain", ROOT + ("main", "kind_middle", *frames)),
        arguments=(name,),
        **rest,
    )


def plt(name, compiler, *flags, **rest):
    """The leaf is the library's empty function, the PLT entry, or the loop."""
    return Kind(
        f"plt_{name}",
        (compiler, "plt.c", "-O2", "{library}", "-Wl,-rpath,$ORIGIN", *flags),
        chain=ROOT + ("main", "kind_caller", r"library_nothing(@plt)?|\[.*\]"),
        leaf=r"library_nothing(@plt)?|\[.*\]",
        leaf_share=0.1,
        **rest,
    )


LLD = "-fuse-ld=lld"

LINKS = (
    chain("O0", GCC, "-O0"),
    chain("O2", GCC, "-O2"),
    chain("O3_lto", GCC, "-O3", "-flto"),
    chain("O1_omit_fp", GCC, "-O1", "-fomit-frame-pointer"),
    chain("O2_fp", GCC, "-O2", "-fno-omit-frame-pointer"),
    chain("no_pie", GCC, "-O2", "-no-pie", "-fno-pie"),
    chain("static", GCC, "-O2", "-static", "-no-pie"),
    chain("static_pie", GCC, "-O2", "-static-pie"),
    chain("cet", GCC, "-O2", "-fcf-protection=full", "-Wl,-z,ibtplt", "-Wl,-z,lazy"),
    chain("noseparate", GCC, "-O2", "-Wl,-z,noseparate-code"),
    chain("realign_all", GCC, "-O2", "-mstackrealign"),
    chain("clang_O0", CLANG, "-O0"),
    chain("clang_O2", CLANG, "-O2"),
    chain("clang_lto", CLANG, "-O3", "-flto", LLD),
    chain("lld", CLANG, "-O2", LLD),
    chain("lld_fixed", GCC, "-O2", LLD, "-no-pie", "-fno-pie"),
    # two executable segments in one page of the file
    chain(
        "two_exec",
        CLANG,
        "-O2",
        LLD,
        '-DKIND_SECTION=".hot"',
        "-Wl,--section-start=.hot=0x6002f0",
        "-no-pie",
        "-fno-pie",
    ),
    chain(
        "stripped",
        GCC,
        "-O2",
        after=("strip -s {program}",),
        chain=NO_NAMES + ROOT[1:] + 4 * NO_NAMES,
    ),
)

BEHAVIOURS = (
    mode("huge", "kind_huge", "kind_leaf", stops=("truncated",), end=0),
    mode("realigned", "kind_realigned", "kind_leaf"),
    mode("avx", "kind_avx", "kind_leaf"),
    mode("alloca", "kind_alloca", "kind_leaf"),
    mode("vla", "kind_vla", "kind_leaf"),
    mode("noreturn", "kind_longjmp", "kind_calls_no_return", "kind_no_return", "kind_leaf"),
    # glibc's __longjmp describes the frame it jumps to, by registers that hold it
    mode("longjmp", "kind_jumper", leaf_share=0.02, stops=("sp_backwards",), end=0.9),
    mode("signal", "kind_traps", "__restore_rt", "kind_handler", "kind_leaf", leaf_share=0.5),
    mode(
        "sigaltstack",
        "kind_traps",
        "__restore_rt",
        "kind_handler",
        "kind_leaf",
        stops=("truncated",),
        end=0,
        leaf_share=0.5,
    ),
    mode("sigreturn", "kind_traps", "__restore_rt", leaf_share=0.02),
    mode("vdso", "kind_clock", "__vdso_gettimeofday", leaf_share=0.02),
    mode("vfork", "kind_vforks", r"__(libc_)?vfork", leaf_share=0.005),
    mode("threads", chain=THREAD + ("kind_thread",), leaf_share=0),
    mode("makecontext", chain=("__start_context", "kind_coroutine", "kind_leaf")),
    Kind(
        "exceptions",
        ("g++", "exceptions.cpp", "-O2"),
        chain=ROOT + ("main", "kind_catches.*", "kind_throws.*"),
        leaf="kind_throws.*",
        leaf_share=0,
    ),
    Kind(
        "coroutine",
        (GCC, "coroutine.c", "-O2"),
        chain=("kind_body", "kind_leaf"),
        stops=("bad_ra",),
        end=0,
    ),
)

ASSEMBLY = (
    bare("cfi", "asm_cfi"),
    bare("leaf", "asm_leaf"),
    bare("pointer", "asm_leaf"),
    bare("frame", "asm_frame"),
    bare("tail", "asm_leaf"),
    bare("jumps", "kind_leaf"),
    bare("pushes", stops=("no_cfi",), end=0, leaf="asm_pushes", chain=("asm_pushes",)),
)

PLTS = (
    plt("lazy", GCC, "-Wl,-z,lazy"),
    plt("now", GCC, "-Wl,-z,now"),
    plt("cet", GCC, "-fcf-protection=full", "-Wl,-z,ibtplt", "-Wl,-z,lazy"),
    plt("cet_now", GCC, "-fcf-protection=full", "-Wl,-z,ibtplt", "-Wl,-z,now"),
    plt("no_plt", GCC, "-fno-plt"),
    plt("lld", CLANG, LLD),
    plt("lld_fp", GCC, LLD, "-fno-omit-frame-pointer"),
    plt("lld_now", CLANG, LLD, "-Wl,-z,now"),
)

# Binaries that are not, or no longer, what their path says: kept open until they have names.
LOADER = ("gcc", "loader.c", "-O2")
GONE = (
    Kind(
        "reload",
        LOADER,
        chain=ROOT + ("main", "kind_reload", "kind_run", "library_enter", "library_(a|b)"),
        arguments=("reload", "{directory}/a.so", "{directory}/b.so"),
        each=("library_a", "library_b"),
    ),
    Kind(
        "memfd",
        LOADER,
        chain=ROOT + ("main", "kind_run", "library_enter", "library_a"),
        arguments=("memfd", "{directory}/a.so"),
    ),
    Kind(
        "memfd_exec",
        LOADER,
        chain=ROOT + CHAIN,
        arguments=("exec", "{directory}/O2"),
    ),
    chain(
        "deleted",
        GCC,
        "-O2",
        run="{program} {name} {ms} & " + AFTER_EXEC + " rm {program}; wait",
    ),
    chain(
        "replaced",
        GCC,
        "-O2",
        "-no-pie",
        "-fno-pie",
        run="{program} {name} {ms} & " + AFTER_EXEC + " cp {directory}/O0 {program}.new;"
        " mv {program}.new {program}; wait",
    ),
    chain(
        "namespace",
        GCC,
        "-O2",
        run="mkdir {directory}/mount; unshare -m sh -c 'mount -t tmpfs none {directory}/mount;"
        " cp {program} {directory}/mount; exec {directory}/mount/{name} {name} {ms}'",
    ),
    # programs of a namespace that are gone before anybody could look
    chain(
        "short_inside",
        GCC,
        "-O2",
        run="mkdir {directory}/mount2; unshare -m sh -c 'mount -t tmpfs none {directory}/mount2;"
        " cp {program} {directory}/mount2; for i in $(seq 200); do"
        # their binary is found through the shell, which outlives the recorder's next look
        " {directory}/mount2/{name} {name} 2; done; sleep 1'",
        leaf_share=0.3,
        stops=("truncated",),
        end=0.95,
    ),
    chain(
        "short",
        GCC,
        "-O2",
        run="for i in $(seq 200); do {program} {name} 2; done",
        leaf_share=0.3,
        # ld.so's stack is deeper than the copy that a new thread gets at first
        stops=("truncated",),
        end=0.95,
    ),
)

LANGUAGES = (
    Kind(
        "rust",
        ("rustc", "kind.rs", "-O"),
        chain=("...", "kind::main", "kind::kind_outer", "kind::kind_middle", ".*Work>?::run"),
    ),
    # the C main() that rustc makes has no information then, and no frame pointer
    Kind(
        "rust_abort",
        ("rustc", "kind.rs", "-O", "-C", "panic=abort"),
        chain=("...", "kind::main", "kind::kind_outer", "kind::kind_middle", ".*Work>?::run"),
        stops=("no_cfi",),
        end=0,
    ),
    Kind(
        "go",
        ("go", "kind.go"),
        chain=("runtime.goexit.*", "main.main.func1", "main.kindMiddle", "main.kindLeaf"),
        # before the first goroutine, and where the runtime has changed stacks
        stops=("bad_ra", "truncated"),
        end=0.995,
    ),
    Kind(
        "node",
        ("node", "jit.js"),
        chain=("...", ".*kindLeaf.*"),
        run="echo $$ > {directory}/{name}.pid;"
        " exec {program} --perf-basic-prof {source}/jit.js {name} {ms}",
        leaf_share=0.05,  # the compiler inlines it in the end
        # what runs once, on a thread whose copies have not grown yet; _init() of crt
        stops=("truncated", "no_cfi"),
        end=0.94,
    ),
    Kind(
        "node_interpret",
        ("node", "jit.js"),
        chain=("...", ".*kindOuter.*", ".*kindMiddle.*", ".*kindLeaf.*", ".*Handler"),
        run="echo $$ > {directory}/{name}.pid;"
        " exec {program} --perf-basic-prof --interpreted-frames-native-stack --no-opt"
        " --no-sparkplug {source}/jit.js {name} {ms}",
        leaf=".*Handler",
        leaf_share=0.3,
        wrong=0.05,  # handlers that have pushed something, and have no frame
        stops=("truncated", "no_cfi"),
        end=0.94,
    ),
)

DEFAULT = LINKS + BEHAVIOURS + ASSEMBLY + PLTS + GONE + LANGUAGES


def every_compiler(kind):
    """The same in C by both compilers, at every level."""
    for compiler, letter in ((GCC, "g"), (CLANG, "c")):
        for level in ("O0", "O1", "O2", "O3"):
            flags = [flag for flag in kind.program[2:] if not flag.startswith("-O")]
            program = (compiler, kind.program[1], f"-{level}", *flags)
            yield replace(kind, name=f"{kind.name}_{letter}{level}", program=program)


def every_flag():
    for flag, letter in (("-fomit-frame-pointer", "o"), ("-fno-omit-frame-pointer", "f")):
        yield from every_compiler(chain(f"chain_{letter}", GCC, flag))


FULL = (
    DEFAULT
    + tuple(every_flag())
    + tuple(v for k in BEHAVIOURS if k.program[1] == "behaviours.c" for v in every_compiler(k))
)
