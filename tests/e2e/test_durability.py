"""The file while it grows, after a kill at any moment, on a full disk, and when it is broken."""

import os
import random
import re
import shutil
import subprocess
import time

import formats
import harness
import pytest
from harness import FULL, Profile, Recorder, Sample, cprof, record_command, wait_until


def size_of(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def read_growing(path):
    """What Go says of the file now; None when the reading fell into an append, which the format
    allows: the file ends inside a member for as long as the write takes."""
    for _ in range(5):
        before = size_of(path)
        done = formats.go_pprof(path, "-top", "-sample_index=samples", check=False)
        if done.returncode == 0:
            return done.stdout
        # Only a file that changed while Go read it is an excuse.
        assert size_of(path) != before, f"go tool pprof: {done.stderr}"
    return None


def test_go_reads_the_file_while_it_grows(tmp_path):
    path = tmp_path / "x.pb.gz"
    totals = []
    with Sample("cpu_split") as target:
        with Recorder("-o", path, "-p", target.pid) as recorder:
            for _ in range(4):
                old = size_of(path)
                wait_until("the next append", lambda: size_of(path) > old)
                text = read_growing(path)
                assert text, "every reading fell into an append"
                totals.append(int(re.search(r"of (\d+) total", text).group(1)))
            formats.go_pprof(path, "-peek", ".")
            formats.go_pprof(path, "-top", "-lines")
            recorder.interrupt()
            recorder.finish()
    assert totals == sorted(set(totals)), f"the samples do not grow: {totals}"
    assert formats.pprof_raw(path)["samples/count"] >= totals[-1]


def test_cprof_reports_on_the_growing_file(tmp_path):
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split") as target:
        with Recorder("-o", path, "-p", target.pid) as recorder:
            wait_until("the first append", lambda: size_of(path) > 0)
            wait_until(
                "samples", lambda: cprof("report", path, status=None).returncode == 0, timeout=10
            )
            assert Profile(path).report()["recording"]["state"] == "recording"
            recorder.interrupt()
            recorder.finish()


@pytest.mark.parametrize("seed", range(50 if FULL else 8))
def test_sigkill_of_the_recorder_at_a_random_moment(tmp_path, seed):
    path = tmp_path / "x.pb.gz"
    with Sample("threads" if seed % 2 else "cpu_split") as target:
        with Recorder("-o", path, "-p", target.pid) as recorder:
            recorder.wait_attached()
            wait_until("the first append", lambda: size_of(path) > 0)
            time.sleep(random.Random(seed).uniform(0, 2.2))
            recorder.kill()
        assert target.process.poll() is None, "the target died with the recorder"
        # It is as it was: it goes on, ends normally and its split is right.
        truth = target.finish()
        assert truth["cpu_ns"] > 0
    done = cprof("report", path, "--format", "json", status=None)
    # Killed before the first second was over: the header only.
    assert done.returncode in (0, 4), done.stderr
    data = path.read_bytes()
    ends = formats.gzip_members(data)
    if ends and ends[-1] == len(data):
        formats.go_pprof(path, "-raw")


def kill_in_write(nth, permille=500):
    return harness.cprof_environment(
        LD_PRELOAD=str(harness.SUPPORT / "libkill_in_write.so"),
        # A sanitized cprof wants its runtime to be the first library.
        ASAN_OPTIONS="verify_asan_link_order=0:detect_leaks=0",
        KILL_IN_WRITE_SUFFIX="x.pb.gz",
        KILL_IN_WRITE_NTH=str(nth),
        KILL_IN_WRITE_PERMILLE=str(permille),
    )


@pytest.mark.parametrize("permille", [1, 300, 500, 999] if FULL else [1, 500, 999])
def test_sigkill_in_the_middle_of_an_append(tmp_path, permille):
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split") as target:
        with Recorder("-o", path, "-p", target.pid, env=kill_in_write(3, permille)) as recorder:
            recorder.finish(status=-9, timeout=60)
        assert target.process.poll() is None
        target.finish()
    data = path.read_bytes()
    ends = formats.gzip_members(data)
    assert len(ends) == 2 and ends[-1] < len(data), "the kill did not fall into the third append"
    assert formats.go_pprof(path, "-raw", check=False).returncode != 0
    # Read, and said.
    torn = len(data) - ends[-1]
    assert re.search(rf"warning: .*last {torn} bytes? ", cprof("report", path).stderr)
    assert Profile(path).report()["quality"]["torn_bytes"] == torn
    samples = Profile(path).samples
    assert samples > 0
    # Repaired.
    cprof("symbolize", path)
    repaired = path.read_bytes()
    assert formats.gzip_members(repaired) == [len(repaired)]
    assert formats.pprof_raw(path)["samples/count"] == samples
    assert "burn_a" in {row["function"] for row in Profile(path).hotspots()}
    assert cprof("report", path).stderr == ""
    assert Profile(path).report()["quality"]["torn_bytes"] == 0


def test_sigkill_in_the_first_write_leaves_a_message(tmp_path):
    path = tmp_path / "x.pb.gz"
    with Sample("cpu_split") as target:
        with Recorder("-o", path, "-p", target.pid, env=kill_in_write(1)) as recorder:
            recorder.finish(status=-9, timeout=60)
    done = cprof("report", path, status=1)
    assert str(path) in done.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KB. Mounting needs root, as CI has it."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "cprof-test", str(place)], check=True
    )
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(place, leave):
    """Fill a file system up to @leave bytes."""
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    with open(place / "ballast", "wb") as file:
        file.write(b"\0" * max(0, free - leave))


def test_full_disk_keeps_what_was_recorded(small_disk):
    path = small_disk / "x.pb.gz"
    with Sample("cpu_split") as target:
        with Recorder("-o", path, "-p", target.pid) as recorder:
            wait_until("two appends", lambda: len(formats.gzip_members(readable(path))) >= 2)
            fill(small_disk, 0)
            # The last page of the file may have room for a second or two more.
            done = recorder.finish(status=1, timeout=60)
        assert target.process.poll() is None
        target.finish()
    assert "No space left" in done.stderr or "full" in done.stderr
    assert str(path) in done.stderr
    data = path.read_bytes()
    assert formats.gzip_members(data)[-1] == len(data), "the file ends inside a member"
    assert formats.pprof_raw(path)["samples/count"] == Profile(path).samples > 0


def readable(path):
    return path.read_bytes() if path.exists() else b""


def test_full_disk_from_the_start(small_disk):
    fill(small_disk, 0)
    path = small_disk / "x.pb.gz"
    with Sample("cpu_split") as target:
        done = cprof("record", "-o", path, "-d", "3", "-p", target.pid, status=1)
        assert target.process.poll() is None
    assert "No space left" in done.stderr or "full" in done.stderr


def test_symbolize_on_a_full_disk_leaves_the_profile_alone(small_disk, tmp_path):
    record_command(tmp_path, "cpu_split", "--seconds", "1", options=("--no-symbols",))
    path = small_disk / "x.pb.gz"
    shutil.copy(tmp_path / "cpu_split.pb.gz", path)
    before = path.read_bytes()
    fill(small_disk, 0)
    done = cprof("symbolize", path, status=1)
    assert "No space left" in done.stderr or "full" in done.stderr
    assert path.read_bytes() == before
    assert sorted(p.name for p in small_disk.iterdir()) == ["ballast", "x.pb.gz"]


@pytest.fixture(scope="module")
def small_profile(tmp_path_factory):
    """A whole profile of few samples."""
    directory = tmp_path_factory.mktemp("small")
    options = ("-F", 49, "--no-timeline")
    return record_command(directory, "cpu_split", "--seconds", "0.4", options=options).path


def assert_refused(path, status=1):
    """A message of one line that names the file; no crash (cprof() checks), no hang."""
    for command in (("report",), ("export", "--format", "folded"), ("symbolize",)):
        name, *options = command
        done = cprof(name, path, *options, status=status, timeout=20)
        lines = done.stderr.strip().splitlines()
        assert 1 <= len(lines) <= 2, done.stderr
        assert str(path) in done.stderr or os.path.basename(path) in done.stderr
        assert done.stdout == ""


def test_cut_profiles_are_refused_or_read(small_profile, tmp_path):
    data = small_profile.read_bytes()
    step = 1 if FULL else max(1, len(data) // 60)
    path = tmp_path / "cut.pb.gz"
    for n in range(0, len(data), step):
        path.write_bytes(data[:n])
        done = cprof("report", path, status=None, timeout=20)
        # One member: whatever is cut off, nothing whole is left.
        assert done.returncode == 1, f"cut at {n}: {done.returncode} {done.stdout}"
        assert str(path) in done.stderr, f"cut at {n}: {done.stderr}"


def test_flipped_bits_are_refused(small_profile, tmp_path):
    data = small_profile.read_bytes()
    chance = random.Random(20)
    path = tmp_path / "flipped.pb.gz"
    for _ in range(1000 if FULL else 60):
        broken = bytearray(data)
        broken[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        done = cprof("report", path, status=None, timeout=20)
        # A flip in the gzip header's time or name changes nothing; the checksum finds others.
        assert done.returncode in (0, 1), done.stderr
        if done.returncode:
            assert str(path) in done.stderr


def test_flipped_bits_inside_the_protobuf(small_profile, tmp_path):
    """Past the checksum: the decoder and the model have to cope."""
    import gzip

    data = gzip.decompress(small_profile.read_bytes())
    chance = random.Random(21)
    path = tmp_path / "flipped.pb.gz"
    for _ in range(1000 if FULL else 60):
        broken = bytearray(data)
        for _ in range(chance.randrange(1, 4)):
            broken[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(gzip.compress(bytes(broken)))
        for command in ("report", "flamegraph", "export"):
            options = {"flamegraph": ("-o", "-"), "export": ("--format", "folded")}.get(command, ())
            done = cprof(command, path, *options, status=None, timeout=20)
            assert done.returncode in (0, 1, 4), f"{command}: {done.returncode} {done.stderr}"


def test_foreign_and_missing_files(tmp_path):
    import gzip

    foreign = tmp_path / "foreign.gz"
    foreign.write_bytes(gzip.compress(b"Not a profile but a text.\n" * 100))
    text = tmp_path / "text"
    text.write_text("hello\n")
    empty = tmp_path / "empty.pb.gz"
    empty.write_bytes(b"")
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (foreign, text, empty, folder, tmp_path / "missing.pb.gz"):
        assert_refused(path)


def test_a_gzip_bomb_is_refused(tmp_path):
    """4 GB of zeros in 4 MB: bounded memory, a message."""
    import gzip

    path = tmp_path / "bomb.pb.gz"
    member = gzip.compress(b"\0" * (64 << 20))
    path.write_bytes(member * 64)
    done = cprof("report", path, status=1, timeout=60)
    assert str(path) in done.stderr


def test_go_profiles_are_read(tmp_path):
    """Another producer's profile: go tool pprof's own -proto output of ours."""
    made = record_command(tmp_path, "cpu_split", "--seconds", "1")
    path = tmp_path / "go.pb.gz"
    formats.go_pprof(made.path, "-proto", f"-output={path}")
    rows = {row["function"]: row["self_samples"] for row in Profile(path).hotspots()}
    ours = {row["function"]: row["self_samples"] for row in made.hotspots()}
    assert rows["burn_a"] == ours["burn_a"]
