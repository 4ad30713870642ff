"""
Debug files from servers: Debian's own on loopback, and ones that are gone, slow, or lie. Whatever
they do, the wait is bounded, the word is clear, and what was known without them stays.
"""

import contextlib
import http.server
import io
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import debug_places as places
import harness
import pytest

LIMIT_SECONDS = 2
PATIENCE_SECONDS = 6  # the limit, a look once a second, and a machine that is busy


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """A stripped program, and its debug file at another place."""

    def __init__(self, directory):
        self.directory = directory
        self.whole = places.build(directory / "whole", "-O2", "-g")
        self.stripped = directory / "bin" / "sweep"
        self.stripped.parent.mkdir()
        self.store = directory / "store"
        self.store.mkdir()
        places.split_off(self.whole, self.stripped, self.store / "sweep.debug")
        self.id = places.build_id(self.whole)
        self.places = places.addresses(self.whole)


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    return Program(tmp_path_factory.mktemp("debuginfod"))


@contextlib.contextmanager
def debian_server(store, directory):
    """elfutils' debuginfod, once it has found what is in @store."""
    port = free_port()
    with open(directory / "server.log", "wb") as log:
        server = subprocess.Popen(
            ["debuginfod", "-F", "-p", str(port), "-d", str(directory / "index.sqlite"), store],
            stdout=log,
            stderr=log,
            env={**os.environ, "DEBUGINFOD_URLS": ""},
        )
    try:
        harness.wait_until("the server's first scan", lambda: is_scanned(port), timeout=60)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def is_scanned(port):
    """It counts the files that it has found."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = b"".join(iter(lambda: peer.recv(65536), b"")).decode()
        return re.search(r'thread_work_total\{role="traverse"\} [1-9]', text) and re.search(
            r'groom\{statistic="files scanned \(#\)"\} [1-9]|scanned_files_total\S* [1-9]', text
        )
    return False


@contextlib.contextmanager
def bad_server(answer):
    """@answer(handler, stop) does what a server should not."""
    stop = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            Handler.asked += 1
            with contextlib.suppress(OSError):
                answer(self, stop)

        def log_message(self, *_):
            pass

    Handler.asked = 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", Handler
    finally:
        stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


def send(handler, body):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def ask(program, tmp_path, url=None, options=(), path=None):
    """Answers, what was said, and how long it took."""
    env = places.home(tmp_path)
    if url:
        env["DEBUGINFOD_URLS"] = url
    errors = []
    start = time.monotonic()
    answers = places.ask(
        path or program.stripped,
        program.places,
        *options,
        "--debuginfod-limit",
        f"{LIMIT_SECONDS}s",
        env=env,
        stderr=errors,
    )
    return answers, errors[0], time.monotonic() - start


def expect_whole(program, answers):
    assert answers == places.ask(program.whole, program.places)
    assert sum(map(places.is_known, answers.values())) > len(answers) / 2


def expect_nothing_lost(program, answers, tmp_path):
    """Without a server it is the same: names of exported functions, no lines."""
    shutil.rmtree(tmp_path / "debuginfod", ignore_errors=True)
    assert answers == ask(program, tmp_path)[0]
    assert not any(re.search(r":[1-9]\d*$", line) for lines in answers.values() for line in lines)


def test_debian_s_server_gives_what_the_whole_program_says(program, tmp_path):
    with debian_server(program.store, tmp_path) as url:
        answers, errors, _ = ask(program, tmp_path, url)
        expect_whole(program, answers)
        assert errors == ""
        # by the option too, and for a binary that is not on this machine
        harness.cprof("symbolize", "-e", program.stripped, f"--debuginfod={url}", "0x1000")
    # from libdebuginfod's cache, the server being gone
    answers, errors, _ = ask(program, tmp_path, url)
    expect_whole(program, answers)


def test_nothing_is_asked_without_a_word(program, tmp_path):
    with bad_server(lambda handler, stop: handler.send_error(404)) as (url, handler):
        _, errors, _ = ask(program, tmp_path)
        assert "debuginfod:" not in errors
        _, errors, _ = ask(program, tmp_path, url, ("--debuginfod=no",))
        assert "debuginfod:" not in errors
        assert handler.asked == 0
        _, errors, _ = ask(program, tmp_path, url)
        assert "debuginfod: no server has it" in errors
        assert handler.asked == 1


def test_a_server_that_is_gone_costs_no_time_and_no_names(program, tmp_path):
    url = f"http://127.0.0.1:{free_port()}"
    answers, errors, seconds = ask(program, tmp_path, url)
    assert "no debug information" in errors
    assert "debuginfod: no answer from the server" in errors
    assert seconds < PATIENCE_SECONDS
    expect_nothing_lost(program, answers, tmp_path)


def stall(handler, stop):
    stop.wait(60)


def drip(handler, stop):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while not stop.wait(0.1):
        handler.wfile.write(b"\x7fELF")
        handler.wfile.flush()


@pytest.mark.parametrize("slowness", [stall, drip])
def test_a_slow_server_is_left_at_the_time_limit(program, tmp_path, slowness):
    with bad_server(slowness) as (url, _):
        answers, errors, seconds = ask(program, tmp_path, url)
    assert f"the time limit is used up: {LIMIT_SECONDS}.0 s" in errors
    assert LIMIT_SECONDS <= seconds < PATIENCE_SECONDS
    expect_nothing_lost(program, answers, tmp_path)


def test_garbage_is_refused_and_does_not_stay_in_the_cache(program, tmp_path):
    with bad_server(lambda handler, stop: send(handler, b"<html>sign in</html>")) as (url, _):
        answers, errors, _ = ask(program, tmp_path, url)
        assert "debuginfod: the server sent something else than a debug file" in errors
        assert not list((tmp_path / "debuginfod").rglob("debuginfo"))
        expect_nothing_lost(program, answers, tmp_path)
    debug = (program.store / "sweep.debug").read_bytes()
    with bad_server(lambda handler, stop: send(handler, debug)) as (url, _):
        answers, errors, _ = ask(program, tmp_path, url)
        expect_whole(program, answers)


def test_a_file_of_another_build_is_refused_and_named(program, tmp_path):
    other = places.build(tmp_path / "other", "-O1", "-g")
    body = other.read_bytes()
    with bad_server(lambda handler, stop: send(handler, body)) as (url, _):
        answers, errors, _ = ask(program, tmp_path, url)
    assert f"sent a file of another build (build-id {places.build_id(other)})" in errors
    expect_nothing_lost(program, answers, tmp_path)


def test_a_truncated_file_is_refused_or_known_to_be_poor(program, tmp_path):
    debug = (program.store / "sweep.debug").read_bytes()
    for part in (100, len(debug) // 2):
        with bad_server(lambda handler, stop: send(handler, debug[:part])) as (url, _):
            answers, errors, _ = ask(program, tmp_path, url)
        assert "no debug information" in errors
        expect_nothing_lost(program, answers, tmp_path)


BURN = """
static inline int mix(int x) { return x * 2654435761u ^ x >> 7; }
__attribute__((noinline)) int burn(int n)
{
	int x = n;
	for (int i = 0; i < n; i++)
		x = mix(x + i);
	return x;
}
int main(void) { return burn(1500000000) & 1; }
"""


def test_a_profile_is_kept_whatever_the_server_does(program, tmp_path):
    source = tmp_path / "burn.c"
    source.write_text(BURN)
    whole = places.build(tmp_path / "whole", "-O2", "-g", compiler="gcc", source=source)
    places.split_off(whole, tmp_path / "burn", program.store / "burn.debug")
    profile = tmp_path / "cprof.pb.gz"
    env = places.home(tmp_path) | {"DEBUGINFOD_URLS": f"http://127.0.0.1:{free_port()}"}
    done = harness.cprof(
        "record", "-o", profile, "--", tmp_path / "burn", env=env, status=None
    )
    assert profile.exists(), done.stderr
    text = harness.cprof("report", profile, env=env).stdout
    assert "debuginfod: no answer from the server" in text
    asked_again = harness.cprof("symbolize", profile, env=env).stderr
    assert f"{tmp_path / 'burn'}" in asked_again
    assert "debuginfod: no answer from the server" in asked_again
    with debian_server(program.store, tmp_path) as url:
        env["DEBUGINFOD_URLS"] = url
        assert "debuginfod: " not in harness.cprof("symbolize", profile, env=env).stderr
    assert "burn.c" in harness.cprof("report", "--by", "line", profile, env=env).stdout


HALF = """
__attribute__((noinline)) int burn_{0}(int n)
{{
	int x = n;
	for (int i = 0; i < n; i++)
		x = (x + i) * 2654435761u ^ x >> 7;
	return x;
}}
"""


def reset(handler, stop):
    """It goes away in the middle of an answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    handler.wfile.write(b"\x7fELF")
    handler.wfile.flush()
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    # Now, and with none of the words of parting that http.server would have first: an answer that
    # is merely too short is one of those that libdebuginfod takes for "not there".
    os.close(handler.connection.detach())
    handler.rfile = handler.wfile = io.BytesIO()
    handler.close_connection = True


@pytest.mark.parametrize(
    "fail,word",
    [
        (lambda handler, stop: send(handler, b"<html>sign in</html>"), "something else than a"),
        # asked again by itself, libdebuginfod 0.188 may say "not there" of what was broken off
        (reset, "the fetch failed: |no server has it"),
    ],
)
def test_what_fails_for_one_file_is_no_word_about_the_next(tmp_path, fail, word):
    """Neither which of the two is asked about first matters."""
    (tmp_path / "lib.c").write_text(HALF.format("library"))
    (tmp_path / "main.c").write_text(
        HALF.format("program") + "int burn_library(int n);\n"
        "volatile int kept;\n"
        "int main(void) { kept = burn_program(300000000) + burn_library(300000000); return 0; }\n"
    )
    library, program = tmp_path / "libburn.so", tmp_path / "burn"
    places.build(
        library, "-O1", "-g", "-fPIC", "-shared", compiler="gcc", source=tmp_path / "lib.c"
    )
    places.build(
        program, "-O1", "-g", "main.c", f"-Wl,-rpath,{tmp_path}", compiler="gcc", source=library
    )
    ids = {name: places.build_id(name) for name in (library, program)}
    debug = {}
    for name in (library, program):
        places.split_off(name, tmp_path / "stripped", tmp_path / "debug")
        debug[name] = (tmp_path / "debug").read_bytes()
        shutil.copy(tmp_path / "stripped", name)
    bare = tmp_path / "bare.pb.gz"
    env = places.home(tmp_path)
    harness.cprof("record", "-q", "--no-symbols", "-o", bare, "--", program, env=env)

    for failing, other in ((library, program), (program, library)):
        def answer(handler, stop):
            whose = [name for name in ids if ids[name] in handler.path]
            if whose == [failing]:
                fail(handler, stop)
            elif whose == [other]:
                send(handler, debug[other])
            else:
                handler.send_error(404)

        shutil.rmtree(tmp_path / "debuginfod", ignore_errors=True)
        profile = shutil.copy(bare, tmp_path / "profile.pb.gz")
        with bad_server(answer) as (url, _):
            env["DEBUGINFOD_URLS"] = url
            harness.cprof("symbolize", "--no-cache", profile, env=env)
        text = harness.cprof("report", "--by", "line", profile, env=env).stdout
        lines = {library: "lib.c:", program: "main.c:"}
        assert lines[other] in text and lines[failing] not in text, text
        (told,) = re.findall(rf"no .*: {failing} \(.*", text)
        assert re.search(word, told), text
        if "no server has it" not in told:
            assert "or: cprof symbolize --debuginfod=URL asks another server" in told, text


def test_shared_debug_information_is_fetched_as_well(program, tmp_path):
    """A debug file that dwz took half of: the other half has a build-id of its own."""
    store = tmp_path / "store"
    store.mkdir()
    for name in ("one", "two"):
        shutil.copy(program.whole, tmp_path / name)
    places.run("dwz", "-m", "shared", "-r", "one", "two", cwd=tmp_path)
    places.split_off(tmp_path / "one", tmp_path / "stripped", store / "one.debug")
    (tmp_path / "shared").rename(store / "shared")
    (tmp_path / "one").unlink()
    with debian_server(store, tmp_path) as url:
        answers, errors, _ = ask(program, tmp_path, url, path=tmp_path / "stripped")
    assert errors == ""
    expect_whole(program, answers)
