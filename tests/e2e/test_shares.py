"""Shares by function, line, thread and process against the samples' own clocks."""

import pytest
from harness import CPU_SECONDS_99, Profile, Recorder, Sample, marked_lines, row_where
from tolerance import MIN_SAMPLES, assert_share

# A function is judged by its total: time that interrupts take while it runs is its in the truth.
NAMED = ["cpu_split", "no_fp", "no_debug", "debuglink", "cpu_split_o0"]


def rows_by_name(profile):
    """
    {name: {"self", "total", "user"}} in samples, summed over rows of the same name. "user" is what
    the function has as the innermost one of the program: on a busy machine the kernel is on top of
    any of them now and then, when it loses its CPU.
    """
    user, rows = profile.user_self(), {}
    for row in profile.hotspots():
        name = row["function"]
        entry = rows.setdefault(name, {"self": 0, "total": 0, "user": user.get(name, 0)})
        entry["self"] += row["self_samples"]
        entry["total"] += row["total_samples"]
    return rows


def row_of(rows, name):
    assert name in rows, f"{name} is not among {sorted(rows)}"
    return rows[name]


def assert_functions(profile, functions=None):
    rows, n = rows_by_name(profile), profile.samples
    leaves = profile.leaf_counts()
    for function in functions or profile.truth["functions"]:
        name, share = function["name"], function["share"]
        row = row_of(rows, name)
        assert_share(f"{name} total", row["total"] / n, share, n)
        assert_share(f"{name} self", row["user"] / n, share, n)
        assert row["self"] == leaves.get(name, 0), f"{name}: {row}"


def assert_lines(profile, source):
    """The marked lines hold their shares, within what the loops around them take."""
    places, leaves = profile.user_self("--lines"), profile.leaf_counts("--lines")
    user, innermost, reported = {}, {}, {}
    for counts, result in ((places, user), (leaves, innermost)):
        for (file, line), count in counts.items():
            if file.endswith("/" + source):
                result[line] = result.get(line, 0) + count
    for row in profile.hotspots("--by", "line"):
        if (row["file"] or "").endswith("/" + source) and row["self_samples"]:
            reported[row["line"]] = reported.get(row["line"], 0) + row["self_samples"]
    assert reported == innermost
    for function in profile.truth["functions"]:
        assert function["lines"], f"{function['name']} has no marked line"
        for mark in function["lines"]:
            measured = user.get(mark["line"], 0) / profile.samples
            # The loop's own instructions are 5 of 45 and mostly overlap with the work: the
            # line above may take up to a tenth of the line's samples.
            above = user.get(mark["line"] - 1, 0) / profile.samples
            assert above <= 0.1 * mark["share"] + 0.005, f"{source}:{mark['line'] - 1}: {above}"
            assert_share(
                f"{source}:{mark['line']}", measured + above, mark["share"], profile.samples
            )


@pytest.mark.parametrize("sample", NAMED)
def test_functions_have_their_shares_at_999_hz(recordings, sample):
    profile = recordings(sample)
    assert profile.samples >= MIN_SAMPLES, profile.report()["quality"]
    assert_functions(profile)


@pytest.mark.full
def test_functions_have_their_shares_with_frame_pointers(recordings):
    assert_functions(recordings("cpu_split_fp"))


@pytest.mark.parametrize("sample", ["cpu_split", "debuglink", "cpu_split_o0"])
def test_lines_have_their_shares(recordings, sample):
    assert_lines(recordings(sample), "cpu_split.c")


def test_the_printed_lines_are_the_marked_ones(cpu_split):
    marks = marked_lines("cpu_split.c")
    printed = [line["line"] for f in cpu_split.truth["functions"] for line in f["lines"]]
    assert sorted(printed) == sorted(line for lines in marks.values() for line in lines)


def test_callers_have_the_total_of_what_they_call(cpu_split):
    rows = rows_by_name(cpu_split)
    n = cpu_split.samples
    shares = {f["name"]: f["share"] for f in cpu_split.truth["functions"]}
    group, main = row_of(rows, "group_ab"), row_of(rows, "main")
    assert_share("group_ab", group["total"] / n, shares["burn_a"] + shares["burn_b"], n)
    assert group["user"] / n < 0.01
    assert_share("main", main["total"] / n, 1, n)


def test_cpu_time_of_a_function_is_its_clocks(cpu_split):
    """They call nothing: the total is theirs, and the kernel's on top of them."""
    rows = {row["function"]: row for row in cpu_split.hotspots()}
    n = cpu_split.samples
    for function in cpu_split.truth["functions"]:
        row = row_of(rows, function["name"])
        # Shares of the same total: the sampled CPU time of a share test has the same tolerance.
        measured = row["total_cpu_ns"] / cpu_split.truth["cpu_ns"]
        assert_share(f"{function['name']} CPU", measured, function["share"], n)
        period_ns = cpu_split.report()["totals"]["cpu_ns"] / n
        assert abs(row["self_cpu_ns"] - row["self_samples"] * period_ns) <= 0.001 * n * period_ns


def test_attached_to_a_running_process(recordings):
    profile = recordings("cpu_split", "--cpu-seconds", 5.4, attach=True)
    assert_functions(profile)


def two_processes_at_99_hz(tmp_path, sample, cpu_seconds):
    """One recording of two processes of the same program: shares from both together."""
    path = tmp_path / "two.pb.gz"
    arguments = (sample, "--hold", "--seconds", 600, "--cpu-seconds", cpu_seconds)
    with Sample(*arguments) as one, Sample(*arguments) as other:
        pids = f"{one.pid},{other.pid}"
        with Recorder("-o", path, "-F", 99, "-p", pids) as recorder:
            recorder.first_in_line().wait_attached()
            one.go()
            other.go()
            truths = [one.finish(end=False, timeout=600), other.finish(end=False, timeout=600)]
            done = recorder.finish(timeout=60)
    profile = Profile(path, truths[0], done)
    return profile, truths


def test_functions_and_lines_have_their_shares_at_99_hz(tmp_path):
    profile, truths = two_processes_at_99_hz(tmp_path, "cpu_split", CPU_SECONDS_99 / 2)
    assert profile.report()["recording"]["rate_hz"] == 99
    assert_functions(profile)
    assert_lines(profile, "cpu_split.c")
    processes = profile.hotspots("--by", "thread")
    total = sum(truth["cpu_ns"] for truth in truths)
    for truth in truths:
        assert_share(
            f"process {truth['pid']}",
            row_where(processes, pid=truth["pid"])["self_samples"] / profile.samples,
            truth["cpu_ns"] / total,
            profile.samples,
        )


@pytest.mark.full
@pytest.mark.parametrize("sample", ["no_debug", "debuglink", "plugin_host", "cpu_split_o0"])
def test_every_kind_of_program_at_99_hz(tmp_path, sample):
    profile, _ = two_processes_at_99_hz(tmp_path, sample, CPU_SECONDS_99 / 2)
    assert_functions(profile)


def thread_shares(profile):
    return {row["thread"]: row["self_samples"] / profile.samples for row in thread_rows(profile)}


def thread_rows(profile):
    return profile.hotspots("--by", "thread")


@pytest.mark.parametrize("attach", [False, True], ids=["command", "attached"])
def test_threads_have_their_names_and_loads(recordings, attach):
    arguments = ("--late-rounds", 8, "--cpu-seconds", 5.6)
    profile = recordings("threads", *arguments, attach=attach)
    shares = thread_shares(profile)
    for thread in profile.truth["threads"]:
        assert_share(
            thread["name"], shares.get(thread["name"], 0), thread["share"], profile.samples
        )
    tids = {row["tid"] for row in thread_rows(profile)}
    assert {thread["tid"] for thread in profile.truth["threads"]} <= tids


@pytest.mark.full
def test_threads_have_their_loads_at_99_hz(recordings):
    arguments = ("--late-rounds", 50, "--seconds", 300, "--cpu-seconds", CPU_SECONDS_99)
    profile = recordings("threads", *arguments, options=("-F", 99))
    shares = thread_shares(profile)
    for thread in profile.truth["threads"]:
        share = shares.get(thread["name"], 0)
        assert_share(thread["name"], share, thread["share"], profile.samples)


@pytest.mark.parametrize("attach", [False, True], ids=["command", "attached"])
def test_children_are_recorded_with_what_they_execute(recordings, attach):
    # The CPU limit is of the parent, a quarter of all.
    profile = recordings("fork_exec", "--cpu-seconds", 1.45, attach=attach)
    assert_functions(profile)
    processes = {}
    for frames, count in profile.folded():
        processes[frames[0]] = processes.get(frames[0], 0) + count
    for process in profile.truth["processes"]:
        assert_share(
            process["name"],
            processes.get(process["name"], 0) / profile.samples,
            process["share"],
            profile.samples,
        )


def test_children_are_left_out_when_told_so(recordings):
    arguments = ("--cpu-seconds", 0.5)
    profile = recordings("fork_exec", *arguments, attach=True, options=("--no-inherit",))
    names = {row["function"] for row in profile.hotspots()}
    assert "burn_parent" in names
    assert "burn_child" not in names and "burn_execd" not in names


@pytest.mark.full
def test_children_at_99_hz(recordings):
    profile = recordings(
        "fork_exec", "--seconds", 600, "--cpu-seconds", CPU_SECONDS_99 / 4 + 1, options=("-F", 99)
    )
    assert_functions(profile)


def test_code_in_plugins_loaded_while_recording(recordings):
    profile = recordings("plugin_host", attach=True)
    # A round is a whole: truth and window agree however many there were.
    assert profile.truth["same_address"] > 0, "the plugins never shared an address: no test"
    assert_functions(profile)
    modules = {row["function"]: row["module"] for row in profile.hotspots()}
    for plugin in ("a", "b"):
        module = row_of(modules, f"plugin_{plugin}_burn")
        assert module.endswith(f"/libsample_plugin_{plugin}.so")


def test_signal_handlers(recordings):
    profile = recordings("signal_heavy")
    n = profile.samples
    rows = rows_by_name(profile)
    for function in profile.truth["functions"]:
        # burn_main is also below the handler: its total is everything.
        name = function["name"]
        assert_share(name, row_of(rows, name)["user"] / n, function["share"], n)
    # What the handler interrupted is below it: its stack goes on to main.
    stacks = [(f, n) for f, n in profile.folded() if "burn_handler" in f]
    handled = sum(n for _, n in stacks)
    assert handled, "the handler was not sampled"
    complete = sum(n for frames, n in stacks if "main" in frames[1:] and "on_alarm" in frames)
    assert complete / handled > 0.99
    interrupted = sum(n for frames, n in stacks if "burn_main" in frames)
    assert interrupted / handled > 0.95


def test_vdso(recordings):
    profile = recordings("vdso")
    n = profile.samples
    rows = rows_by_name(profile)
    for function in profile.truth["functions"]:
        measured = row_of(rows, function["name"])["total"] / n
        assert_share(function["name"], measured, function["share"], n)
    names = {row["function"] for row in profile.hotspots() if row["module"] == "[vdso]"}
    vdso = sum(rows[name]["user"] for name in names)
    assert vdso / n > 0.6
    assert row_of(rows, "__vdso_clock_gettime")["user"] > 0.9 * vdso
