"""
One program by each compiler, DWARF version and optimisation, its debug information in every place
it can be: the answers are those of the plain build, which addr2line shares.
"""

import re

import debug_places as places
import harness
import pytest

COMPILERS = ("gcc", "clang")
VERSIONS = (4, 5)
LEVELS = {"O0": ("-O0",), "O2": ("-O2",), "LTO": ("-O2", "-flto")}
DRIVERS = {"gcc": "g++", "clang": "clang++"}

# A build takes seconds: the default tier has each compiler and version once.
SHORT = {("gcc", 5, "O2"), ("clang", 4, "LTO")}
BASES = [(c, v, level) for c in COMPILERS for v in VERSIONS for level in LEVELS]


def bases():
    return [
        pytest.param(*base, marks=() if base in SHORT else pytest.mark.full, id="-".join(map(str, base)))
        for base in BASES
    ]  # fmt: skip


class Base:
    """A plain build, and how to build it again with more flags."""

    def __init__(self, directory, compiler, version, level):
        self.compiler, self.level = compiler, level
        self.flags = [f"-gdwarf-{version}", "-g", *LEVELS[level]]
        if level == "LTO" and compiler == "clang":
            self.flags.append("-fuse-ld=lld")
        self.directory = directory
        self.object = directory / "sweep.o"
        places.run(DRIVERS[compiler], *self.flags, "-c", places.SOURCE, "-o", self.object)
        self.whole = self.link("plain")
        self.addresses = places.addresses(self.whole)
        self.answers = places.ask(self.whole, self.addresses, "--no-cache")

    def copy(self, name):
        where = self.directory / name
        where.mkdir()
        return where / "sweep"

    def link(self, name, *more, source=None):
        path = self.copy(name)
        return places.build(
            path, *self.flags, *more, compiler=DRIVERS[self.compiler],
            source=source or self.object, cwd=path.parent,
        )  # fmt: skip


def make_zlib(base):
    path = base.link("gz", "-gz")
    assert "COMPRESSED" in places.run("readelf", "-t", path)
    return path


def make_zstd(base):
    path = base.copy("zstd")
    places.run("objcopy", "--compress-debug-sections=zstd", base.whole, path)
    return path


def make_split(base):
    path = base.link("split", "-gsplit-dwarf", source=places.SOURCE)
    assert list(path.parent.rglob("*.dwo"))
    return path


def make_dwz(base):
    """Two of the same, so that their debug information is in a third file."""
    path = base.copy("dwz")
    for copy in (path, path.with_name("twin")):
        places.run("cp", base.whole, copy)
    places.run("dwz", "-m", "shared", "-r", path, path.with_name("twin"), cwd=path.parent)
    assert ".gnu_debugaltlink" in places.run("readelf", "-SW", path)
    return path


def make_debuglink(base):
    path = base.copy("link")
    places.split_off(base.whole, path, path.with_name("sweep.debug"), link=True)
    return path


PLACES = {
    "gz": make_zlib,
    "zstd": make_zstd,
    "split": make_split,
    "dwz": make_dwz,
    "debuglink": make_debuglink,
}


@pytest.fixture(scope="module")
def bases_made(tmp_path_factory):
    made = {}

    def get(key):
        if key not in made:
            made[key] = Base(tmp_path_factory.mktemp("-".join(map(str, key))), *key)
        return made[key]

    return get


def lines_of(answers):
    """Per address the chain of places, file names without directories."""
    return {
        address: [re.sub(r"^.*/|:[?0]$", "", line.split(" at ")[-1].split()[-1]) for line in lines]
        for address, lines in answers.items()
    }


def of_others(base):
    """
    binutils' addr2line; LLVM's where that one (2.40) misses inlined calls, in clang's files, or
    names "sweep.cpp:1514" in a file of 70 lines, in DWARF 5 of gcc -O0.
    """
    tool = "addr2line" if base.compiler == "gcc" and base.level != "O0" else "llvm-addr2line"
    return places.addr2line(base.whole, base.addresses, tool)


@pytest.mark.parametrize("compiler,version,level", bases())
def test_the_plain_build_is_answered_as_addr2line_does(bases_made, compiler, version, level):
    base = bases_made((compiler, version, level))
    ours, theirs = lines_of(base.answers), lines_of(of_others(base))
    assert len(ours) > 500
    same = sum(ours[address] == theirs[address] for address in base.addresses)
    differ = [(hex(a), ours[a], theirs[a]) for a in base.addresses if ours[a] != theirs[a]]
    assert same / len(ours) >= 0.99, differ[:5]


def can_be(base, place):
    """What the tools here cannot make."""
    compiler, version, level = base
    return not (
        # "-gsplit-dwarf is not supported with LTO, disabling" (gcc 12)
        (place == "split" and compiler == "gcc" and level == "LTO")
        # "Unknown debugging section .debug_addr", "Too few files" (dwz 0.15)
        or (place == "dwz" and compiler == "clang" and version == 5)
    )


def cases():
    for base in BASES:
        for place in PLACES:
            if can_be(base, place):
                marks = () if base in SHORT else pytest.mark.full
                yield pytest.param(base, place, marks=marks, id="-".join(map(str, (*base, place))))


@pytest.mark.parametrize("key,place", cases())
def test_every_place_gives_the_answers_of_the_plain_build(bases_made, key, place):
    base = bases_made(key)
    errors = []
    path = PLACES[place](base)
    # it is the same code, or addresses would mean something else
    assert places.code_of(path) == places.code_of(base.whole)
    answers = places.ask(path, base.addresses, "--no-cache", stderr=errors)
    assert errors == [""]
    differ = [a for a in base.addresses if answers[a] != base.answers[a]]
    assert not differ, [(hex(a), answers[a], base.answers[a]) for a in differ[:5]]


@pytest.mark.parametrize("compiler,version,level", bases())
def test_minidebuginfo_gives_the_functions_of_the_symbol_table(bases_made, compiler, version, level):
    base = bases_made((compiler, version, level))
    path = base.copy("mini")
    work = path.parent
    places.run("objcopy", "-S", "--remove-section=.comment", base.whole, path)
    # the functions that are not exported, as find-debuginfo of rpm chooses them
    exported = set(places.functions(base.whole, "-D").values())
    hidden = {name for name in places.functions(base.whole).values()} - exported
    (work / "keep").write_text("\n".join(sorted(hidden)) + "\n")
    places.run("objcopy", "-S", "--keep-symbols", work / "keep", base.whole, work / "mini")
    places.run("xz", work / "mini")
    places.run("objcopy", "--add-section", f".gnu_debugdata={work / 'mini.xz'}", path)
    errors = []
    entries = places.functions(base.whole)
    answers = places.ask(path, sorted(entries), "--no-cache", stderr=errors)
    assert "function names from its minidebuginfo" in errors[0]
    named = {places.function_of(answers[address][-1]) for address in entries}
    # several symbols may be at one address, of which one is told
    assert named - {"??"} <= set(entries.values()) | exported
    right = sum(
        places.function_of(answers[address][-1]) == name for address, name in entries.items()
    )
    assert right / len(entries) > 0.95


BURNER = """
static inline __attribute__((always_inline)) unsigned spin(unsigned x)
{
	for (int i = 0; i < 150000000; i++)
		x = x * 1664525u + 1013904223u + (x >> 7);
	return x;
}
int main(int argc, char **argv) { return spin(argc) == 1; }
"""


def test_names_of_a_profile_are_completed_when_a_split_file_is_back_and_kept_when_it_is_gone(tmp_path):
    (tmp_path / "burner.c").write_text(BURNER)
    burner = places.build(
        tmp_path / "burner", "-O1", "-g", "-gsplit-dwarf", compiler="gcc", source="burner.c"
    )
    (split,) = tmp_path.glob("*.dwo")
    away = split.rename(tmp_path / "away")
    profile = tmp_path / "p.pb.gz"
    harness.cprof("record", "-q", "--no-cache", "-o", profile, "--", burner)

    def report():
        return harness.cprof("report", profile).stdout

    assert "spin (inlined)" not in report()
    assert "split debug information is missing" in report()
    away.rename(split)
    harness.cprof("symbolize", "--no-cache", profile)
    mended = report()
    assert "spin (inlined)" in mended
    assert "split debug information is missing" not in mended
    split.rename(away)
    harness.cprof("symbolize", "--no-cache", profile)
    assert "spin (inlined)" in report()
