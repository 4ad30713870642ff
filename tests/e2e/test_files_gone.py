"""
Binaries that are gone, or others, when the recording is over: upgraded while they run, deleted, or
in a mount namespace of their own. Functions and lines are those of the file that ran.
"""

import contextlib
import os
import subprocess

import debug_places as places
import harness
import pytest

LIBRARY = """
static inline int mix(int x) { return x * 2654435761u ^ x >> 7; }
int spin(volatile int *stop)
{
	int x = 1;
	while (!*stop)
		x = mix(x);
	return x;
}
"""
MAIN = """
#include <stdio.h>
int spin(volatile int *stop);
int main(void)
{
	volatile int stop = 0;
	puts("ready");
	fflush(stdout);
	return spin(&stop);
}
"""
SAMPLES = 300


def build(directory, shared, *flags):
    """spinner, with spin() in it or in libspin.so beside it."""
    (directory / "library.c").write_text(LIBRARY)
    (directory / "main.c").write_text(MAIN)
    common = ["gcc", "-O2", "-g", "-Wl,--build-id", *flags]
    if shared:
        places.run(*common, "-shared", "-fPIC", "library.c", "-o", "libspin.so", cwd=directory)
        places.run(*common, "main.c", "-L.", "-lspin", "-Wl,-rpath,$ORIGIN", "-o", "spinner",
                   cwd=directory)  # fmt: skip
    else:
        places.run(*common, "main.c", "library.c", "-o", "spinner", cwd=directory)
    return directory / "spinner"


@contextlib.contextmanager
def running(*command):
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


# What a busy machine does in the kernel is not what these tests are about.
OPTIONS = "-q", "--no-kernel"


def record_while(process, tmp_path, *changes, end="kill", under=()):
    """Attach; then each of @changes between some samples; @end: the process, before cprof does."""
    path = tmp_path / "cprof.pb.gz"
    with harness.Recorder(*OPTIONS, "-p", process.pid, "-o", path, under=under) as recorder:
        recorder.first_in_line().wait_attached()
        for change in (*changes, process.kill if end == "kill" else recorder.interrupt):
            harness.wait_cpu(process.pid, SAMPLES / 999)
            change()
        recorder.finish()
    return harness.Profile(path)


def expect_lines(profile):
    rows = profile.report("--by", "line")["hotspots"]
    there = sum(row["self_pct"] for row in rows if (row.get("file") or "").endswith("library.c"))
    assert there > 95, rows[:5]
    assert profile.total_share("spin") > 0.95


@pytest.mark.parametrize("flags", [(), ("-Wl,--build-id=none",)])
def test_a_program_replaced_while_it_is_recorded(tmp_path, flags):
    spinner = build(tmp_path, False, *flags)
    other = tmp_path / "other"
    other.mkdir()
    build(other, False, "-O1", "-DOTHER", *flags)
    with running(spinner) as process:
        profile = record_while(process, tmp_path, lambda: (other / "spinner").rename(spinner))
    expect_lines(profile)


def test_a_program_deleted_before_and_a_library_while_it_is_recorded(tmp_path):
    spinner = build(tmp_path, True)
    with running(spinner) as process:
        spinner.unlink()
        profile = record_while(process, tmp_path, (tmp_path / "libspin.so").unlink)
    expect_lines(profile)
    assert profile.total_share("main") > 0.95


def test_a_program_replaced_while_the_machine_is_recorded(tmp_path):
    spinner = build(tmp_path, False)
    other = tmp_path / "other"
    other.mkdir()
    build(other, False, "-O1", "-DOTHER")
    path = tmp_path / "cprof.pb.gz"
    with running(spinner) as process:
        with harness.Recorder("-a", *OPTIONS, "-o", path) as recorder:
            recorder.first_in_line().wait_attached()
            harness.wait_cpu(process.pid, SAMPLES / 999)
            (other / "spinner").rename(spinner)
            harness.wait_cpu(process.pid, SAMPLES / 999)
            recorder.interrupt()
            recorder.finish()
    rows = harness.Profile(path).report("--by", "line", "--focus", "^spin$")["hotspots"]
    hit = [row for row in rows if (row["file"] or "").endswith("library.c")]
    assert sum(row["self_samples"] for row in hit) > SAMPLES / 3, rows[:5]


def mounted(hidden, shown):
    """The command that runs the program of one directory where the other one is."""
    script = f"mount --bind {hidden} {shown} && exec {shown}/spinner"
    return "unshare", "--mount", "--propagation", "private", "sh", "-c", script


def two_places(tmp_path):
    """What is seen in a mount namespace only, and where."""
    places = tmp_path / "hidden", tmp_path / "shown"
    for place in places:
        place.mkdir()
    return places


def build_split(hidden, shown, *options):
    """Compiled at @shown, and only there by what is mounted over it."""
    build(shown, *options, "-gsplit-dwarf")
    for file in list(shown.iterdir()):
        file.rename(hidden / file.name)


def test_a_program_in_a_mount_namespace_that_ends_with_it(tmp_path):
    """Its path names nothing here, or, as here, something else."""
    hidden, shown = two_places(tmp_path)
    build(hidden, True)
    build(shown, True, "-O1", "-DOTHER")
    with running(*mounted(hidden, shown)) as process:
        profile = record_while(process, tmp_path)
    expect_lines(profile)


def test_split_debug_information_in_a_mount_namespace(tmp_path):
    """Only there the .dwo files are where the compiler wrote them."""
    hidden, shown = two_places(tmp_path)
    build_split(hidden, shown, True)
    with running(*mounted(hidden, shown)) as process:
        under = ("setpriv", "--bounding-set=-sys_chroot")
        poorer = record_while(process, hidden, end="recording", under=under)
        profile = record_while(process, shown, end="recording")
    text = harness.cprof("report", poorer.path).stdout
    assert "where it takes CAP_SYS_CHROOT to open it" in text
    assert "mix (inlined)" not in text
    expect_lines(profile)
    inlined = sum(row["self_pct"] for row in profile.hotspots() if row["function"] == "mix")
    assert inlined > 20, profile.hotspots()[:5]
    assert "split debug information" not in harness.cprof("report", profile.path).stdout


def test_a_link_that_leads_to_a_fifo_in_a_mount_namespace_only(tmp_path):
    """Seen from outside it is a file; who opened it in there would wait for ever."""
    hidden, shown = two_places(tmp_path)
    build_split(hidden, shown, False)
    target = tmp_path / "target"
    target.write_text("a file\n")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for file in hidden.glob("*.dwo"):
        file.unlink()
        file.symlink_to(target)
    script = f"mount --bind {fifo} {target} && {mounted(hidden, shown)[-1]}"
    with running(*mounted(hidden, shown)[:-1], script) as process:
        profile = record_while(process, tmp_path, end="recording")
    text = harness.cprof("report", profile.path).stdout
    assert "split debug information is missing or of another build" in text
    assert profile.total_share("spin") > 0.95


def test_a_command_that_deletes_itself(tmp_path):
    """The whole life of a program: it is gone when names are looked up."""
    (tmp_path / "library.c").write_text(LIBRARY)
    (tmp_path / "main.c").write_text(
        """
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>
int spin(volatile int *stop);
static volatile int stop;
static void end(int number) { stop = number; }
int main(int argc, char **argv)
{
	(void)argc;
	const struct itimerval second = {.it_value = {.tv_sec = 1}};
	signal(SIGVTALRM, end);
	unlink(argv[0]);
	setitimer(ITIMER_VIRTUAL, &second, NULL);
	return spin(&stop) & 0;
}
"""
    )
    places.run("gcc", "-O2", "-g", "main.c", "library.c", "-o", "spinner", cwd=tmp_path)
    profile = tmp_path / "cprof.pb.gz"
    harness.cprof("record", *OPTIONS, "-o", profile, "--", tmp_path / "spinner")
    assert not (tmp_path / "spinner").exists()
    expect_lines(harness.Profile(profile))


def test_a_file_truncated_while_its_addresses_are_asked_about(tmp_path):
    """No signal, and no answers out of what is left of it."""
    program = build(tmp_path, False)
    asked = [f"{address:#x}\n".encode() for address in places.addresses(program)]
    with subprocess.Popen(
        [harness.CPROF, "symbolize", "--no-cache", "-fiap", "-e", program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=harness.cprof_environment(),
    ) as process:  # fmt: skip
        process.stdin.write(asked[0])
        process.stdin.flush()
        assert process.stdout.readline()
        os.truncate(program, 0)
        out, err = process.communicate(b"".join(asked[1:]), timeout=60)
    harness.assert_sound(err.decode(), "symbolize -e")
    assert process.returncode == 1, err
    assert b"changed while it was read" in err
    assert out == b""
