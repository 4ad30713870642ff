"""Independent readers: go tool pprof, an XML parser, Python's own gzip."""

import os
import re
import subprocess
import xml.etree.ElementTree
import zlib


def go_pprof(path, *args, check=True):
    """`go tool pprof`; it may neither symbolize by itself nor use the network."""
    env = dict(os.environ, HOME="/tmp", PPROF_TMPDIR="/tmp", GOFLAGS="", PPROF_NO_BROWSER="1")
    done = subprocess.run(
        ["go", "tool", "pprof", "-symbolize=none", *args, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=env,
        timeout=120,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"go tool pprof {' '.join(args)}: {done.stderr}"
    return done


def pprof_raw(path):
    """{"samples": n, "cpu_ns": n, "sample_types": [...]} as Go reads the profile."""
    lines = go_pprof(path, "-raw").stdout.splitlines()
    start = lines.index("Samples:")
    end = next(i for i, line in enumerate(lines) if line == "Locations")
    sums = None
    for line in lines[start + 2 : end]:
        values, colon, _ = line.partition(":")
        if colon and re.fullmatch(r"[\s\d]+", values):
            row = [int(v) for v in values.split()]
            sums = [a + b for a, b in zip(sums, row)] if sums else row
    types = lines[start + 1].split()
    return dict(zip(types, sums or [0] * len(types)))


def pprof_top(path, *args):
    """[(flat, cum, function)] of -top, values in samples, and the total of its heading."""
    text = go_pprof(
        path, "-top", "-sample_index=samples", "-nodecount=100000", "-nodefraction=0", *args
    ).stdout
    total = int(re.search(r"of (\d+) total", text).group(1))
    rows = []
    for line in text.splitlines():
        match = re.match(r"\s*(\d+)\s+[\d.]+%\s+[\d.]+%\s+(\d+)\s+[\d.]+%\s+(.*)", line)
        if match:
            rows.append((int(match.group(1)), int(match.group(2)), match.group(3)))
    return rows, total


def svg_root(path):
    return xml.etree.ElementTree.parse(path).getroot()


def gzip_members(data):
    """Offsets where the members of a gzip file end; a torn last one is not counted."""
    ends = []
    offset = 0
    while offset < len(data):
        inflate = zlib.decompressobj(wbits=31)
        try:
            inflate.decompress(data[offset:])
        except zlib.error:
            break
        if not inflate.eof:
            break
        offset = len(data) - len(inflate.unused_data)
        ends.append(offset)
    return ends
