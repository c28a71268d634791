"""What an operator meets: start, stop, what is printed where, health, metrics, the one-time link."""

import http.client
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed

from support import http as web
from support.http import problem
from support.rawsocket import RawSocket, RawWebSocket, tip_head
from support.server import Server, binary, environment, fresh, wrapped
from support.waiting import eventually

PLAINTEXT_KEY = re.compile(r"tw_[0-9a-f]{64}")


def serve(*options, seconds=20, **env):
    """Runs `tipwire serve` to its end; for starts that must fail."""
    return subprocess.run(
        [binary(), "serve", *map(str, options)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(**env), timeout=seconds, text=True)


def assert_one_clear_line(done, *words):
    assert done.returncode == 1, done
    assert done.stdout == "", done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 1, f"one line, not: {done.stderr}"
    for word in words:
        assert word in lines[0], done.stderr
    assert not re.search(r"Swift/|Fatal error|Optional\(|NIOCore|GRDB|errno:", lines[0]), done.stderr


# Health and metrics


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_health_and_readiness_are_told_without_a_key(server, path):
    answer = server.get(path, key=None)
    assert answer.status == 200, answer
    assert server.raw("HEAD", path).status in (200, 404, 405)


def test_metrics_are_for_admins_on_the_main_port(server):
    answer = server.get("/metrics", key=None)
    assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer"), answer
    assert server.get("/metrics", key=server.key("manage", "events:read", "tips:write")).status == 403
    assert server.get("/metrics", key=server.key("admin")).status == 200


def test_metrics_are_in_prometheus_form_with_help_and_type(server):
    answer = server.get("/metrics")
    assert answer.content_type == "text/plain"
    helps, types, samples = set(), {}, []
    for line in answer.text.splitlines():
        if line.startswith("# HELP "):
            name, text = line[7:].split(" ", 1)
            assert text.strip() and name not in helps, line
            helps.add(name)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert kind in ("counter", "gauge", "histogram", "summary") and name not in types, line
            types[name] = kind
        else:
            match = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^{}]*\})? (\S+)', line)
            assert match, line
            float(match[3])
            samples.append(match[1])
    assert samples and answer.text.endswith("\n")
    for name in samples:
        family = name if name in types else re.sub(r"_(bucket|sum|count)$", "", name)
        assert family in types and family in helps, f"{name} has no HELP or TYPE"
    assert all(name.startswith(("tipwire_", "process_")) for name in types), types


def test_the_gauge_of_connections_and_the_count_of_tips_move(server):
    slug = server.page()
    before = server.samples()

    def moved(by, word):
        now = server.samples()
        return [name for name in now if word in name and now[name] - before.get(name, 0) == by]

    feeds = [server.feed(server.admin, "activity-feed", slug) for _ in range(3)]
    gauges = eventually(lambda: moved(3, "connections"), "a gauge of connections three higher")
    for _ in range(4):
        server.tip(slug)
    eventually(lambda: moved(4, "tips"), "a count of tips four higher")
    eventually(lambda: moved(12, "deliver"), "a count of deliveries twelve higher")
    for feed in feeds:
        feed.close()
    eventually(lambda: set(gauges) & set(moved(0, "connections")), "the gauge as before")


def test_metrics_show_no_key_and_no_name(server):
    server.tip(server.page(), displayName="Nobody-In-Metrics")
    text = server.get("/metrics").text
    assert "Nobody-In-Metrics" not in text and not PLAINTEXT_KEY.search(text)


def test_a_metrics_port_of_its_own_asks_for_nothing(make_server):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    make_server("--metrics-port", str(port))
    answer = web.request(port, "GET", "/metrics")
    assert answer.status == 200 and "# TYPE" in answer.text
    assert web.request(port, "GET", "/api/v1/pages").status == 404, "and serves nothing else"


# Stop


class Guests:
    """One connection of each kind that must not hold up a stop."""

    def __init__(self, server):
        self.silent = RawSocket(server.port)
        self.idle = RawSocket(server.port)
        self.idle.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert self.idle.response()[0] == 200
        self.half_head = RawSocket(server.port)
        self.half_head.send(b"GET /health HTTP/1.1\r\nHo")
        self.half_closed = RawSocket(server.port)
        self.half_closed.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert self.half_closed.response()[0] == 200
        self.half_closed.half_close()
        self.half_closed_silent = RawSocket(server.port)
        self.half_closed_silent.half_close()
        self.feeds = [server.feed(server.admin) for _ in range(3)]

    def close(self):
        for connection in (self.silent, self.idle, self.half_head, self.half_closed, self.half_closed_silent, *self.feeds):
            connection.close()


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_promptly_with_status_0_whoever_is_connected(make_server, by):
    server = make_server()
    guests = Guests(server)
    codes = []

    def await_close(feed):
        try:
            feed.socket.recv(timeout=15)
        except ConnectionClosed as closed:
            codes.append(closed.rcvd.code if closed.rcvd else 1006)

    threads = [threading.Thread(target=await_close, args=(feed,)) for feed in guests.feeds]
    for thread in threads:
        thread.start()
    try:
        status, took = server.terminate(by=by)
    finally:
        for thread in threads:
            thread.join(16)
        guests.close()
    assert status == 0, server.stderr
    assert took < 6.0, f"{took:.1f} s"
    assert len(codes) == 3 and set(codes) <= {1001, 1012}, codes
    for mark in ("Fatal error", "Stack dump", "rror Domain"):
        assert mark not in server.stderr


def test_without_connections_it_ends_at_once(make_server):
    status, took = make_server().terminate()
    assert status == 0 and took < 2.0, (status, took)


def test_a_websocket_that_never_answers_the_close_holds_it_up_no_longer_than_the_drain(make_server):
    server = make_server("--drain-seconds", "2")
    with RawWebSocket(server.port, web.query(auth=server.admin, channel="firehose")) as stubborn:
        status, took = server.terminate(seconds=20)
        assert status == 0 and took < 6.0, (status, took)
        assert stubborn.close_code() in (1001, 1012)


def test_a_websocket_that_never_reads_holds_it_up_no_longer_than_the_drain(make_server):
    server = make_server("--drain-seconds", "2", log_level="info")
    slug = server.page()
    with RawWebSocket(server.port, web.query(auth=server.admin, channel="firehose"), receive_buffer=4096):
        for _ in range(8):
            server.batch(slug, [{"grossAmountInCents": 1, "message": "m" * 1000}] * 200)
        status, took = server.terminate(seconds=20)
        assert status == 0 and took < 6.0, (status, took)


def test_while_it_drains_it_is_not_ready_and_takes_no_new_stream(make_server):
    server = make_server("--drain-seconds", "3", "--http-body-seconds", "30")
    slug = server.page()
    body = b'{"grossAmountInCents":5}'
    with RawSocket(server.port) as slow:
        # A request whose body is under way is what holds the drain open.
        slow.send(tip_head(server, slug, body) + body[:5])
        assert server.get("/ready", key=None).status == 200
        server.process.send_signal(signal.SIGTERM)

        def refused(ask):
            try:
                return ask().status not in (101, 200)
            except OSError:
                return True  # It doesn't listen any more: as good a no.
            except http.client.HTTPException:
                return True

        eventually(lambda: refused(lambda: server.get("/ready", key=None)), "no longer ready", 2)
        assert refused(lambda: server.handshake(web.query(auth=server.admin, channel="firehose")))
    assert server.process.wait(10) == 0
    server.kill()


def test_a_request_under_way_is_answered_before_the_end(make_server):
    server = make_server("--drain-seconds", "10")
    slug = server.page()
    body = b'{"grossAmountInCents":5,"id":"the-last"}'
    with RawSocket(server.port) as slow:
        slow.send(tip_head(server, slug, body) + body[:5])
        assert server.get("/health", key=None).status == 200
        server.process.send_signal(signal.SIGTERM)
        slow.send(body[5:])
        assert slow.response()[0] == 201
        assert slow.rest() == b""
    assert server.process.wait(10) == 0
    server.kill()
    server.start()
    assert server.get(f"/api/v1/pages/{slug}/tips/the-last").status == 200


# Starts that fail


def test_a_port_in_use_is_one_clear_line(server, tmp_path):
    for options in (["--port", server.port], ["--port", 0, "--metrics-port", server.port]):
        done = serve(*options, "--data", tmp_path / "other")
        assert_one_clear_line(done, str(server.port))
        # The next start is still the first, which shows the link to sign in by.
        assert not (tmp_path / "other").exists()
    # What an attempt that failed later has left there makes it no other.
    (tmp_path / "tried").mkdir()
    (tmp_path / "tried" / "tipwire.lock").touch()
    assert_one_clear_line(serve("--port", server.port, "--data", tmp_path / "tried"), str(server.port))
    assert [file.name for file in (tmp_path / "tried").iterdir()] == ["tipwire.lock"]


def test_a_data_folder_in_use_is_one_clear_line(server):
    done = serve("--port", 0, "--data", server.data)
    assert_one_clear_line(done, f"{server.data} is in use by another tipwire (process {server.process.pid}, {server.url})")
    assert server.get("/ready", key=None).status == 200, "the other one doesn't mind"


def test_an_unusable_data_folder_is_one_clear_line(tmp_path):
    file = tmp_path / "file"
    file.write_text("not a folder")
    for folder in (file, file / "below", pathlib.Path("/proc/tipwire")):
        assert_one_clear_line(serve("--port", 0, "--data", folder), str(folder))
    assert file.read_text() == "not a folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_data_folder_is_one_clear_line(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    assert_one_clear_line(serve("--port", 0, "--data", folder / "data"), str(folder))


def test_a_database_that_is_none_is_one_clear_line(make_server):
    server = make_server()
    server.close()
    databases = [file for file in server.data.iterdir() if file.read_bytes().startswith(b"SQLite format 3")]
    assert databases
    for file in server.data.glob(databases[0].name + "*"):
        file.unlink()
    databases[0].write_bytes(b"certainly no database " * 1000)
    assert_one_clear_line(serve("--port", 0, "--data", server.data))


@pytest.mark.parametrize("options, env, word", [
    (["--port", "banana"], {}, "banana"), (["--port", "70000"], {}, "70000"), (["--port", "-1"], {}, "-1"),
    (["--feed-idle-seconds", "soon"], {}, "--feed-idle-seconds"), (["--retention-bytes", "-5"], {}, "--retention-bytes"),
    (["--log-format", "xml"], {}, "xml"), (["--log-level", "loud"], {}, "loud"),
    (["--server-trusted-proxies", "10.0.0.0/99"], {}, "10.0.0.0/99"), (["--config", "/nonexistent.yaml"], {}, "/nonexistent.yaml"),
    ([], {"TIPWIRE_PORT": "banana"}, "TIPWIRE_PORT"), ([], {"TIPWIRE_FEED_IDLE_SECONDS": "0"}, "TIPWIRE_FEED_IDLE_SECONDS"),
    (["--host", "256.256.256.256"], {}, "256.256.256.256"),
])
def test_a_bad_setting_is_one_clear_line_that_names_it(tmp_path, options, env, word):
    given = [] if "--port" in options or env else ["--port", "0"]
    done = serve("--data", tmp_path / "data", *given, *options, **env)
    assert_one_clear_line(done, word)


def test_a_bad_setting_of_the_file_is_one_clear_line_that_names_it(tmp_path):
    file = tmp_path / "tipwire.yaml"
    for text, word in (("feed:\n  idleSeconds: soon\n", "idleSeconds"), ("feed:\n  idelSeconds: 5\n", "idelSeconds"),
                       ("port: [\n", "tipwire.yaml")):
        file.write_text(text)
        assert_one_clear_line(serve("--config", file, "--data", tmp_path / "data", "--port", 0), word)


def test_check_tells_good_settings_from_bad_ones_and_starts_nothing(tmp_path):
    data = tmp_path / "data"
    assert serve("--check", "--port", 0, "--data", data).returncode == 0
    assert serve("--check", "--port", "banana", "--data", data).returncode == 1
    assert not (data / "admin.key").exists()


def test_options_win_over_the_environment_and_that_over_the_file(make_server, tmp_path):
    file = tmp_path / "tipwire.yaml"
    file.write_text("auth:\n  maxFailuresPerMinute: 1\n")

    def failures_until_429(server):
        for count in range(6):
            if server.handshake(f"auth=tw_{count:064x}&channel=firehose").status == 429:
                return count
        raise AssertionError("no 429")

    env = {"TIPWIRE_AUTH_MAX_FAILURES_PER_MINUTE": "2"}
    of_file = make_server("--config", str(file), data=tmp_path / "1")
    of_environment = make_server("--config", str(file), data=tmp_path / "2", env=env)
    of_option = make_server(
        "--config", str(file), "--auth-max-failures-per-minute", "3", data=tmp_path / "3", env=env)
    assert [failures_until_429(server) for server in (of_file, of_environment, of_option)] == [1, 2, 3]


def test_forwarded_addresses_are_believed_from_trusted_proxies_only(make_server, tmp_path):
    def fail(server, address, number):
        return server.handshake(f"auth=tw_{number:064x}&channel=firehose", {"X-Forwarded-For": address}).status

    limit = ("--auth-max-failures-per-minute", "2")
    trusting = make_server(*limit, "--server-trusted-proxies", "127.0.0.0/8", data=tmp_path / "1")
    assert [fail(trusting, "203.0.113.1", n) for n in range(3)] == [401, 401, 429]
    assert fail(trusting, "203.0.113.2", 3) == 401, "another address has a count of its own"
    wary = make_server(*limit, data=tmp_path / "2")
    assert [fail(wary, f"203.0.113.{n}", n) for n in range(3)] == [401, 401, 429]


# What is printed


def test_standard_output_has_the_documented_lines_and_nothing_else(make_server):
    server = make_server()
    slug = server.page()
    with server.feed(server.admin) as feed:
        server.tip(slug)
        feed.event()
    server.get("/nope")
    server.handshake("auth=bad&channel=firehose")
    server.wait_for_line(r"http://127\.0\.0\.1:\d+/\S+")
    server.close()
    first = list(server.stdout)
    assert re.fullmatch(r"Tipwire is listening on http://127\.0\.0\.1:\d+", first[0])
    links = [line for line in first if f"{server.url}/" in line]
    assert len(links) == 1 and len([line for line in first[1:] if line.strip()]) <= 2, first
    assert not PLAINTEXT_KEY.search("\n".join(first)), "the admin key is in its file, not on the screen"
    server.start()
    server.close()
    assert server.stdout == [f"Tipwire is listening on {server.url}"], "the link is for the first start only"


def test_the_log_is_on_standard_error_and_shows_no_query(server):
    server.handshake("auth=tw_secretsecret&channel=firehose&room=UNLIKELY-IN-LOGS")
    server.get("/api/v1/pages?limit=UNLIKELY-IN-LOGS")
    server.close()
    try:
        assert server.stderr.strip(), "nothing logged at all"
        assert "tw_secretsecret" not in server.stderr
    finally:
        server.start()


def test_the_json_log_has_an_object_in_each_line(make_server):
    server = make_server("--log-format", "json")
    with server.feed(server.admin) as feed:
        feed.says_nothing_but_pong()
    server.handshake('auth="quoted"%0a%1b&channel=\\back')
    server.post("/api/v1/pages", {"slug": fresh("page")})
    server.close()
    lines = server.stderr.splitlines()
    assert lines
    for line in lines:
        entry = json.loads(line)
        assert isinstance(entry, dict) and entry.keys() & {"level"} and entry.keys() & {"message", "msg"}, line


def test_the_text_log_has_one_line_an_entry_whatever_clients_send(make_server):
    server = make_server(log_level="debug")
    with RawSocket(server.port) as connection:
        connection.send(b"GET /a%0aFORGED%1b[31m?x=%0aFORGED HTTP/1.1\r\nHost: x\r\nUser-Agent: a\x1b[31mb\r\n\r\n")
        connection.half_close()
        connection.rest()
    server.close()
    assert "\x1b" not in server.stderr
    assert not [line for line in server.stderr.splitlines() if line.startswith("FORGED")]


def test_there_is_an_event_loop_for_each_processor_that_it_may_run_on(make_server, tmp_path):
    def loops(server):
        names = [(thread / "comm").read_text() for thread in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir()]
        return sum(name.startswith("NIO-SGLTN-1-#") for name in names)

    mine = os.sched_getaffinity(0)
    wrapper = wrapped(tmp_path / "held", f"exec taskset -c {min(mine)}")
    assert loops(make_server(data=tmp_path / "one", program=wrapper)) == 1
    assert loops(make_server(data=tmp_path / "all")) == len(mine)
    told = make_server(data=tmp_path / "told", program=wrapper, env={"NIO_SINGLETON_GROUP_LOOP_COUNT": "3"})
    assert loops(told) == 3


def test_its_threads_share_a_few_arenas_of_memory(make_server, tmp_path):
    """By default each has one of its own, and what was freed in one is lost to all others."""
    def arenas(server):
        server.is_prompt(server.admin, server.page())
        # glibc maps them where 64 MiB divide the address; the first one is the heap that every process has.
        lines = pathlib.Path(f"/proc/{server.process.pid}/maps").read_text().splitlines()
        starts = [int(line.split("-")[0], 16) for line in lines if " rw-p 00000000 00:00 0" in line]
        return 1 + sum(start % (64 << 20) == 0 for start in starts)

    assert 2 <= arenas(make_server(data=tmp_path / "few")) <= max(4, 2 * len(os.sched_getaffinity(0)))
    assert arenas(make_server(data=tmp_path / "told", env={"MALLOC_ARENA_MAX": "1"})) == 1


def test_a_low_descriptor_limit_is_one_warning_and_no_reason_not_to_start(make_server):
    # As many event loops as on a small machine: each takes descriptors.
    server = make_server(
        "--feed-max-connections", "5000", log_level="info", start=False, env={"NIO_SINGLETON_GROUP_LOOP_COUNT": "2"})
    # A shell lowers the limit, so that this process keeps its own.
    server.program = wrapped(server.data.parent / "limited", "ulimit -n 400\nexec")
    server.start()

    def lines(text):
        return [line for line in server.stderr.splitlines() if text in line]

    open_now, refused = [], None
    try:
        for _ in range(420):
            open_now.append(RawWebSocket(server.port, web.query(auth=server.admin, channel="firehose")))
    except AssertionError as error:
        refused = str(error)
    try:
        assert refused and refused.startswith("503"), refused
        assert 20 < len(open_now) < 400
        eventually(lambda: lines("listeners are connected as feed.maxConnections allows"), "a line about listeners")
        assert not lines("sockets are open as the descriptor limit allows")
        open_now += [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        eventually(lambda: lines("sockets are open as the descriptor limit allows"), "a line about sockets")
    finally:
        for connection in open_now:
            connection.close()
    eventually(lambda: server.get("/ready", key=None).status == 200, "ready all the while")
    assert len(lines("listeners are connected as")) == len(lines("sockets are open as")) == 1, "one line for all of them"
    assert len(lines("feed.maxConnections is lowered")) == 1, server.stderr


def test_the_table_of_descriptors_is_as_long_as_it_will_get_before_anybody_comes(make_server):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 8_000:
        pytest.skip("needs 8,000 descriptors")
    server = make_server("--feed-max-connections", "5000")

    def size():
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        return int(re.search(r"^FDSize:\s+(\d+)", status, re.M).group(1))

    eventually(lambda: size() >= 5_000, "room for 5,000 listeners")
    before, open_now = size(), server.sockets()
    feeds = [RawWebSocket(server.port, web.query(auth=server.admin, channel="firehose")) for _ in range(300)]
    assert server.sockets() >= open_now + 300
    assert size() == before
    for feed in feeds:
        feed.close()


# Demo and dashboard


def link_of(server):
    return server.wait_for_line(rf"({re.escape(server.url)}/\S+)").group(1)


def open_link(server, link):
    """Follows the link as a browser would, by hand: returns the answers on the way and the session cookie."""
    answers, cookie, path = [], None, link[len(server.url):]
    for _ in range(4):
        answer = server.raw("GET", path, headers={"Cookie": cookie} if cookie else {})
        answers.append(answer)
        for line in answer.headers.get_all("Set-Cookie") or []:
            if line.split(";")[0].split("=", 1)[1]:
                cookie = line.split(";")[0]
        if answer.status not in (301, 302, 303, 307, 308):
            break
        parts = urlsplit(answer.headers["Location"])
        path = parts.path or "/"
    return answers, cookie


def test_the_one_time_link_sets_a_strict_session_cookie_and_works_once(make_server):
    server = make_server()
    title = "Only-For-The-Signed-In"
    slug = server.page(title=title)
    link = link_of(server)
    answers, cookie = open_link(server, link)
    assert cookie, answers
    lines = [line for answer in answers for line in answer.headers.get_all("Set-Cookie") or []]
    attributes = {part.strip().lower() for part in lines[0].split(";")[1:]}
    assert len(lines) == 1 and {"httponly", "samesite=strict", "path=/"} <= attributes, lines
    assert answers[-1].status == 200 and answers[-1].content_type == "text/html", answers[-1]
    assert urlsplit(link).query not in answers[-1].text or not urlsplit(link).query, "the code stays out of the page"
    assert answers[0].headers["Cache-Control"] and "no-store" in answers[0].headers["Cache-Control"], "a code in an address"
    pages = server.raw("GET", "/api/v1/pages", headers={"Cookie": cookie})
    assert pages.status == 200 and slug in pages.text, "the dashboard uses the same calls"
    again, second_cookie = open_link(server, link)
    assert second_cookie is None, "it works once"
    assert title not in again[-1].text


def test_a_session_changes_things_only_from_the_servers_own_origin(make_server):
    server = make_server()
    _, cookie = open_link(server, link_of(server))
    body = json.dumps({"slug": "from-the-dashboard"}).encode()
    headers = {"Cookie": cookie, "Content-Type": "application/json"}
    for origin in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}):
        assert server.raw("POST", "/api/v1/pages", body, headers | origin).status in (401, 403), origin
    assert server.raw("POST", "/api/v1/pages", body, headers | {"Origin": server.url}).status == 201


def test_a_session_opens_no_feed_for_another_sites_page(make_server):
    server = make_server()
    _, cookie = open_link(server, link_of(server))
    for origin in ({"Origin": "https://evil.example"}, {}):
        answer = server.handshake("channel=firehose", {"Cookie": cookie} | origin)
        assert answer.status in (401, 403), answer


def test_an_accounts_link_signs_in_as_that_account(server):
    account, title = fresh("account"), fresh("Not-Theirs")
    server.account(account)
    foreign, own = server.page(title=title), server.page(owner=account)
    made = server.post(f"/api/v1/accounts/{account}/link")
    assert made.status == 201 and made.json.keys() >= {"url", "expiresAt"}, made
    assert made.json["url"].startswith(server.url + "/") and web.TIME.fullmatch(made.json["expiresAt"])
    _, cookie = open_link(server, made.json["url"])
    pages = server.raw("GET", "/api/v1/pages", headers={"Cookie": cookie})
    assert [page["slug"] for page in pages.json["data"]] == [own] and foreign not in pages.text
    problem(server.raw("GET", "/api/v1/accounts", headers={"Cookie": cookie}), 403)
    assert open_link(server, made.json["url"])[1] is None, "it works once"
    problem(server.post(f"/api/v1/accounts/{fresh('nobody')}/link"), 404)
    problem(server.post(f"/api/v1/accounts/{account}/link", key=server.key("manage")), 403)


def test_without_a_session_the_dashboard_shows_no_data(server):
    title = fresh("Only-For-The-Signed-In")
    slug = server.page(title=title)
    server.tip(slug, displayName="Only-For-The-Signed-In")
    for headers in ({}, {"Cookie": "tipwire_session=nonsense"}, {"Cookie": "tipwire_session=" + "0" * 64}):
        answer = server.raw("GET", "/", headers=headers)
        assert answer.status in (200, 302, 303, 401), answer
        assert "Only-For-The-Signed-In" not in answer.text and slug not in answer.text
        problem(server.raw("GET", "/api/v1/pages", headers=headers), 401)
        problem(server.raw("GET", f"/api/v1/pages/{slug}/tips", headers=headers), 401)


def test_the_dashboard_forbids_foreign_scripts_and_frames(server):
    answer = server.raw("GET", "/")
    policy = answer.headers.get("Content-Security-Policy") or ""
    assert policy, answer.headers.items()
    assert "unsafe-inline" not in policy and "unsafe-eval" not in policy and "*" not in policy.split(), policy


def test_the_demo_prints_a_link_a_key_and_commands_that_work(make_server, tmp_path):
    server = make_server("--demo")
    link_of(server)
    key = server.wait_for_line(r"(tw_[0-9a-f]{64})").group(1)
    file = server.data / "demo.key"
    assert file.read_text().strip() == key and file.stat().st_mode & 0o777 == 0o600
    assert server.admin not in "\n".join(server.stdout)
    command = server.wait_for_line(r"(\S*tipwire\S* tip demo .*)$").group(1)
    # As pasted into a shell, which finds `tipwire` if the command doesn't say where it is.
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "tipwire").symlink_to(binary())
    with server.feed(key, "activity-feed", "demo") as feed:
        done = subprocess.run(
            ["sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(PATH=f"{folder}:{os.environ['PATH']}"), cwd=tmp_path, timeout=20)
        assert done.returncode == 0, (command, done)
        feed.event()


def test_a_second_demo_uses_the_same_page_and_key_and_gives_a_new_link(make_server):
    server = make_server("--demo")
    first = (server.wait_for_line(r"(tw_[0-9a-f]{64})").group(1), link_of(server))
    server.restart()
    second = (server.wait_for_line(r"(tw_[0-9a-f]{64})").group(1), link_of(server))
    assert first[0] == second[0] and first[1] != second[1]
    assert server.handshake(web.query(auth=second[0], channel="activity-feed", room="demo")).status == 101


# Addresses


def test_it_listens_on_the_loopback_address_alone_by_default(server):
    listening = [
        line.split()[1] for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"]
    # Each event loop has a socket of its own.
    mine = {address for address in listening if address.endswith(f":{server.port:04X}")}
    assert mine == {f"0100007F:{server.port:04X}"}


def test_a_public_url_is_what_pages_show(make_server):
    server = make_server("--server-public-url", "https://tips.example.com/base")
    page = server.page_object()
    assert page["url"] == f"https://tips.example.com/base/p/{page['slug']}"
    with server.feed(server.admin) as feed:
        server.tip(page["slug"])
        assert feed.event()["payload"]["page"]["url"] == page["url"]


def test_servers_started_at_once_get_a_port_each(tmp_path):
    servers = [Server(tmp_path / str(number)) for number in range(3)]
    began = time.monotonic()
    try:
        for server in servers:
            server.start()
        assert len({server.port for server in servers}) == 3
        assert time.monotonic() - began < 15, "a start is quick"
    finally:
        for server in servers:
            server.kill()
