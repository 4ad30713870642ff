"""Programs whose debug information was taken away, and what the whole ones say of themselves."""

import re
import subprocess
from pathlib import Path

import harness

SOURCE = harness.REPOSITORY / "tests" / "unit" / "symbolizer_fixtures" / "sweep.cpp"
STEP = 3  # bytes between the addresses that are asked about: most instructions, any offset


def run(*command, cwd=None):
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def build(out, *flags, compiler="g++", source=SOURCE, cwd=None):
    """Compile @source; the working directory is where split files (.dwo) go."""
    run(compiler, *flags, "-Wl,--build-id", source, "-o", out, cwd=cwd or Path(out).parent)
    return Path(out)


def build_id(path):
    return re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", path)).group(1)


def split_off(whole, stripped, debug, *flags, link=False):
    """What a distribution does: @debug gets the debug information, @stripped the rest."""
    run("objcopy", "--only-keep-debug", *flags, whole, debug)
    run("objcopy", "--strip-all", whole, stripped)
    if link:
        run("objcopy", f"--add-gnu-debuglink={debug}", stripped)


def symbols(path, *options):
    """Entry, name and size of each function, by nm."""
    out = {}
    for line in run("nm", "-S", "--defined-only", *options, path).splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[2] in "tTwW" and int(fields[1], 16):
            out[int(fields[0], 16)] = (fields[3], int(fields[1], 16))
    return out


def addresses(path):
    """Places all over the functions of a program that are written in its source."""
    out = set()
    for start, (_, size) in symbols(path).items():
        out.update(range(start, start + size, STEP))
    return sorted(out)


def functions(path, *options):
    """Entry and name of each function, by nm."""
    return {start: name for start, (name, _) in symbols(path, *options).items()}


def code_of(path):
    """The bytes of .text."""
    out = Path(path).with_suffix(".text")
    run("objcopy", "-O", "binary", "--only-section=.text", path, out)
    return out.read_bytes()


def ask(path, places, *options, env=None, stderr=None):
    """cprof's answers: per address a list of lines (function, file:line), innermost first."""
    text = "".join(f"{place:#x}\n" for place in places)
    done = subprocess.run(
        [str(harness.CPROF), "symbolize", "-fiap", "-e", str(path), *options],
        input=text.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=120,
        env=env or harness.cprof_environment(),
        check=False,
    )
    errors = done.stderr.decode()
    harness.assert_sound(errors, "symbolize -e")
    assert done.returncode == 0, errors
    if stderr is not None:
        stderr.append(errors)
    return by_address(done.stdout.decode())


def addr2line(path, places, tool="addr2line"):
    """The same of binutils, or of another tool of that kind."""
    text = "".join(f"{place:#x}\n" for place in places)
    done = subprocess.run(
        [tool, "-fiap", "-e", str(path)],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return by_address(done.stdout)


def by_address(text):
    answers, current = {}, None
    for line in text.splitlines():
        found = re.match(r"(0x[0-9a-f]+): (.*)", line)
        if found:
            current = answers.setdefault(int(found.group(1), 16), [])
            line = found.group(2)
        line = line.removeprefix(" (inlined by) ")
        current.append(re.sub(r" \(discriminator \d+\)$", "", line))
    return answers


def function_of(line):
    return line.split(" at ")[0]


def is_known(answer):
    return not answer[0].startswith("?? at ??")


def home(directory):
    """An environment whose caches are in @directory."""
    return harness.cprof_environment(
        HOME=str(directory),
        XDG_CACHE_HOME=str(Path(directory) / "cache"),
        DEBUGINFOD_CACHE_PATH=str(Path(directory) / "debuginfod"),
    )

