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


def raw_parts(path):
    """The types of values, and the lines of the samples and of the locations, as Go has them."""
    lines = go_pprof(path, "-raw").stdout.splitlines()
    parts = {}
    for line in lines:
        if line in ("Samples:", "Locations", "Mappings"):
            part = parts[line.rstrip(":")] = []
        elif parts:
            part.append(line)
    assert len(parts) == 3, f"{path}: {parts.keys()}"
    return parts["Samples"][0].split(), parts["Samples"][1:], parts["Locations"]


def raw_locations(lines):
    """{id: [function]}, innermost first; [""] where there is none."""
    locations = {}
    for line in lines:
        first = re.match(r" +(\d+): 0x[0-9a-f]+ (?:M=\d+ )?(?:\[F\] )?(.*)", line)
        if first:
            functions = locations[int(first.group(1))] = []
        named = re.match(r"(.*) \S*:\d+(?::\d+)? s=\d+", first.group(2) if first else line.strip())
        functions.append(named.group(1) if named else "")
    return locations


def pprof_samples(path):
    """[{"values": {type: n}, "labels": {name: text}, "stack": [function]}], leaf first."""
    types, lines, locations = raw_parts(path)
    locations = raw_locations(locations)
    samples = []
    for line in lines:
        row = re.match(r"((?: +\d+)+): ([\d ]*)$", line)
        if row:
            values = dict(zip(types, map(int, row.group(1).split())))
            stack = [name for at in row.group(2).split() for name in locations[int(at)]]
            samples.append({"values": values, "labels": {}, "stack": stack})
        else:
            found = re.findall(r"(\w+):\[(.*?)\](?= \w+:\[|$)", line.strip())
            samples[-1]["labels"].update(found)
    return samples


def pprof_raw(path):
    """{type: sum} of the samples' values."""
    sums = dict.fromkeys(raw_parts(path)[0], 0)
    for sample in pprof_samples(path):
        for key, value in sample["values"].items():
            sums[key] += value
    return sums


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
