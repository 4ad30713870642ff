"""What `readelf` says of a binary's call frame information, beside what cprof compiled from it.

Both become lists of (svma, rule), each rule good up to the next one's svma, in the words of
`tests/support/rows_dump.c`.
"""

import bisect
import re
import struct
import subprocess
from dataclasses import dataclass, field

RBP_SLOTS_MAX = 254
EM_X86_64, ET_EXEC, ET_DYN, PT_NOTE = 62, 2, 3, 4
NT_GNU_BUILD_ID = 3

ENTRY = re.compile(
    r"([0-9a-f]{8,16}) [0-9a-f]{16} [0-9a-f]{8,16} "
    r'(?:CIE "(?P<augmentation>[^"]*)"|FDE cie=(?P<cie>[0-9a-f]+) '
    r"pc=(?P<start>[0-9a-f]+)\.\.(?P<end>[0-9a-f]+))"
)
PLT = re.compile(
    r"DW_OP_breg7 \(rsp\): 8; DW_OP_breg16 \(rip\): 0; DW_OP_lit15; DW_OP_and; "
    r"DW_OP_lit(\d+); DW_OP_ge; DW_OP_lit3; DW_OP_shl; DW_OP_plus"
)
DEREF = re.compile(
    r"DW_OP_breg[67] \((rbp|rsp)\): (-?\d+); DW_OP_deref(?:; DW_OP_plus_uconst: (\d+))?"
)
AT_RBP = "DW_OP_breg6 (rbp): 0"


@dataclass
class Entry:
    """A CIE or an FDE of one section, as `--debug-dump=frames-interp` lists it."""

    offset: int
    section: str
    start: int = 0
    end: int = 0
    cie: int = -1  # offset of an FDE's CIE
    signal: bool = False
    rows: list = field(default_factory=list)  # (svma, rule)


def identity(path):
    """What makes a binary the same as another, or None for what is no x86-64 program or library."""
    with open(path, "rb") as file:
        head = file.read(64)
        if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01":
            return None
        kind, machine = struct.unpack_from("<HH", head, 16)
        if machine != EM_X86_64 or kind not in (ET_EXEC, ET_DYN):
            return None
        offset, _, _, _, size, count = struct.unpack_from("<QQIHHH", head, 32)
        file.seek(offset)
        headers = file.read(size * count)
        for at in range(0, len(headers) - 55, 56):
            if struct.unpack_from("<I", headers, at)[0] == PT_NOTE:
                start, length = struct.unpack_from("<Q16xQ", headers, at + 8)
                file.seek(start)
                build_id = find_build_id(file.read(min(length, 4096)))
                if build_id:
                    return build_id
        return str(path)


def find_build_id(notes):
    at = 0
    while at + 12 <= len(notes):
        name, size, kind = struct.unpack_from("<III", notes, at)
        at += 12 + (name + 3 & ~3)
        if kind == NT_GNU_BUILD_ID and name == 4:
            return notes[at : at + size].hex()
        at += size + 3 & ~3
    return None


def slot(text):
    """-16 of "c-16", or None for another rule."""
    return int(text[1:]) if re.fullmatch(r"c[+-]\d+", text) else None


def rule_of(columns, values):
    """A line of the table in the words of rows_dump. What only the expression tells stays "exp"."""
    # a register as a rule is printed as two words: "r9 (r9)"
    values = [value for value in values if not value.startswith("(")]
    by_name = dict(zip(columns, values, strict=True))
    if by_name["ra"] == "u":
        return "end"
    if by_name["ra"] != "c-8" or by_name.get("rsp", "u") not in ("u", "s", "v+0"):
        return "unsupported"
    cfa, rbp = by_name["CFA"], by_name.get("rbp", "u")
    if cfa != "exp":
        match = re.fullmatch(r"(rsp|rbp)([+-]\d+)", cfa)
        if not match or int(match[2]) % 8 or not -(1 << 22) <= int(match[2]) < 1 << 22:
            return "unsupported"
    if rbp in ("u", "s"):
        rbp = "u"
    elif rbp != "exp":
        at = slot(rbp)
        if at is None or at >= 0 or at % 8 or -at // 8 > RBP_SLOTS_MAX:
            return "unsupported"
    return f"{cfa} {rbp} c-8"


def run_readelf(path, what):
    # No debug file: what it says is another table than this file's.
    command = ["readelf", f"--debug-dump={what}", "--debug-dump=no-follow-links", str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
    ) as process:
        yield from process.stdout


def read_entries(path):
    """All CIEs and FDEs with their tables."""
    entries, section, entry, columns, rules = [], "", None, [], {}
    tables = {}
    for line in run_readelf(path, "frames-interp"):
        if entry and len(line) > 17 and line[16] == " " and line[8] != " ":
            values = line[17:]
            rule = rules.get(values)
            if rule is None:
                rule = rules[values] = rule_of(columns, values.split())
            svma = int(line[:16], 16)
            if entry.rows and entry.rows[-1][0] == svma:
                entry.rows.pop()
            entry.rows.append((svma, rule))
        elif line.startswith("   LOC"):
            columns = line.split()[1:]
            rules = tables.setdefault(line, {})
        elif line.startswith("Contents of the"):
            section, entry = line.split()[3], None
        else:
            match = ENTRY.match(line)
            entry = read_entry(match, section) if match else None
            if entry:
                entries.append(entry)
    return entries


def read_entry(match, section):
    entry = Entry(int(match[1], 16), section)
    if match["cie"] is None:
        entry.signal = "S" in match["augmentation"]
    else:
        entry.cie = int(match["cie"], 16)
        entry.start, entry.end = int(match["start"], 16), int(match["end"], 16)
    return entry


def cfa_of_expression(text):
    match = PLT.fullmatch(text)
    if match and int(match[1]) <= 15:
        return f"plt:{match[1]}"
    match = DEREF.fullmatch(text)
    if match:
        before, after = int(match[2]), int(match[3] or 0)
        if before % 8 == 0 and -2048 <= before // 8 <= 2047 and after % 8 == 0 and after <= 2040:
            return f"deref:{match[1]}{before:+}{after:+}"
    return "unsupported"


class Expressions:
    """Where which expression holds in an FDE: the programs as they are, not interpreted."""

    def __init__(self, start):
        self.pc = start
        self.state = ("unsupported", "unsupported")  # CFA, rbp
        self.remembered = []
        self.changes = [(start, self.state)]

    def take(self, line):
        name, _, rest = line.strip().partition(" ")
        name = name.rstrip(":")
        if name.startswith("DW_CFA_advance_loc") or name == "DW_CFA_set_loc":
            self.pc = int(rest.rsplit(" ", 1)[-1], 16)
        elif name == "DW_CFA_remember_state":
            self.remembered.append(self.state)
        elif name == "DW_CFA_restore_state" and self.remembered:
            self.set(self.remembered.pop())
        elif name == "DW_CFA_def_cfa_expression":
            self.set((cfa_of_expression(rest[1:-1]), self.state[1]))
        elif name == "DW_CFA_expression" and rest.startswith("r6 "):
            at_rbp = rest == f"r6 (rbp) ({AT_RBP})"
            self.set((self.state[0], "*rbp" if at_rbp else "unsupported"))

    def set(self, state):
        self.state = state
        self.changes.append((self.pc, state))

    def at(self, svma):
        return self.changes[bisect.bisect_right(self.changes, svma, key=lambda c: c[0]) - 1][1]


def read_expressions(path, wanted):
    """{(section, offset of the FDE): Expressions}; @wanted: these."""
    found, section, current = {}, "", None
    for line in run_readelf(path, "frames"):
        if line.startswith("  DW_CFA"):
            if current:
                current.take(line)
        elif line.startswith("Contents of the"):
            section, current = line.split()[3], None
        else:
            match = ENTRY.match(line)
            if match:
                current = None
            if match and (section, int(match[1], 16)) in wanted:
                current = Expressions(int(match["start"], 16))
                found[section, int(match[1], 16)] = current
    return found


def fill_in(rule, expressions, svma):
    cfa, rbp, ra = rule.split()
    by_cfa, by_rbp = expressions.at(svma)
    cfa = by_cfa if cfa == "exp" else cfa
    rbp = by_rbp if rbp == "exp" else rbp
    return "unsupported" if "unsupported" in (cfa, rbp) else f"{cfa} {rbp} {ra}"


def rows_of_fdes(path, entries):
    """[(start, end, rows)] of the functions, with nothing left open."""
    cies = {(e.section, e.offset): e for e in entries if e.cie < 0}
    fdes = [e for e in entries if e.cie >= 0 and e.start < e.end]
    for fde in fdes:
        cie = cies[fde.section, fde.cie]
        if cie.signal:
            fde.rows = [(fde.start, "signal")]
        elif not fde.rows:
            fde.rows = [(fde.start, rule) for _, rule in cie.rows[-1:]]
    wanted = {
        (e.section, e.offset) for e in fdes if any("exp" in rule.split() for _, rule in e.rows)
    }
    expressions = read_expressions(path, wanted) if wanted else {}
    for fde in fdes:
        known = expressions.get((fde.section, fde.offset))
        if known:
            fde.rows = [
                (svma, fill_in(rule, known, svma) if "exp" in rule.split() else rule)
                for svma, rule in fde.rows
            ]
    return fdes


def lay_out(fdes):
    """One list for all functions: later starts cut earlier ones, gaps say "none"."""
    fdes = sorted(fdes, key=lambda e: (e.start, e.end))
    rows = []
    for i, fde in enumerate(fdes):
        following = fdes[i + 1].start if i + 1 < len(fdes) else 1 << 64
        end = min(fde.end, following)
        if fde.start == end:
            continue
        rows.extend((svma, rule) for svma, rule in fde.rows if svma < end)
        if end < following:
            rows.append((end, "none"))
    return rows


def step_through(first, second):
    """[(svma, end, rule of the first, rule of the second)], at each edge of either."""
    steps = []
    i = j = 0
    a = b = "none"
    while i < len(first) or j < len(second):
        svma = min(rows[at][0] for rows, at in ((first, i), (second, j)) if at < len(rows))
        if i < len(first) and first[i][0] == svma:
            a = first[i][1]
            i += 1
        if j < len(second) and second[j][0] == svma:
            b = second[j][1]
            j += 1
        if steps:
            steps[-1] = (steps[-1][0], svma, *steps[-1][2:])
        steps.append((svma, 1 << 64, a, b))
    return steps


def expected_rows(path):
    """What .eh_frame says, and where it says nothing, .debug_frame."""
    fdes = rows_of_fdes(path, read_entries(path))
    eh_frame = lay_out([e for e in fdes if e.section == ".eh_frame"])
    # there a function that the linker dropped lies at 0
    debug_frame = lay_out([e for e in fdes if e.section == ".debug_frame" and e.start])
    if not debug_frame:
        return eh_frame
    return [
        (svma, b if a == "none" else a) for svma, _, a, b in step_through(eh_frame, debug_frame)
    ]


def compiled_rows(rows_dump, path):
    done = subprocess.run(
        [str(rows_dump), str(path)], stdout=subprocess.PIPE, text=True, check=True
    )
    lines = (line.split(" ", 1) for line in done.stdout.splitlines())
    return [(int(svma, 16), rule) for svma, rule in lines]


def differences(expected, compiled):
    """[(svma, end, rule of readelf, rule of cprof)]; and how many ranges were compared."""
    steps = step_through(expected, compiled)
    return [step for step in steps if step[2] != step[3]], len(steps)
