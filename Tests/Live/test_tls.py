"""TLS on the port: everything that works without it works with it, nothing old is spoken, and the certificate is
exchanged while connections are open."""

import http.client
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest

from support.eventsub import EventSubSocket, subscribe
from support.proxies import Certificate
from support.rawsocket import RawSocket
from support.server import binary, environment
from support.waiting import eventually


@pytest.fixture
def other(tmp_path):
    (tmp_path / "other").mkdir()
    return Certificate(tmp_path / "other")


@pytest.fixture(scope="module")
def slug(secure):
    return secure.page()


def shown(server):
    """The certificate that a new connection gets, as DER."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", server.port), 5) as plain:
        with context.wrap_socket(plain) as wrapped:
            return wrapped.getpeercert(binary_form=True)


def der(certificate):
    return ssl.PEM_cert_to_DER_cert(certificate.certificate.read_text())


# What works


def test_calls_feeds_streams_and_eventsub_work_over_tls(secure, slug):
    assert secure.stdout[0] == f"Tipwire is listening on https://127.0.0.1:{secure.port}"
    key = secure.key("events:read", "Funplace::eventsub", pages=[slug])
    data = subscribe(secure, key)
    with secure.feed(key, "activity-feed", slug) as feed, EventSubSocket(secure, data) as socket, \
            secure.stream(key) as stream:
        stream.connected()
        feed.says_nothing_but_pong()
        socket.alive()
        tip = secure.tip(slug)["tip"]
        assert feed.tip_id() == tip["id"]
        assert socket.json()["data"]["id"] == tip["id"]
        assert stream.message()["tipId"] == tip["id"]


def test_one_connection_carries_calls_and_then_becomes_a_stream(secure, slug):
    with RawSocket(secure.port, context=secure.context) as connection:
        call = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        connection.send(call + call)
        assert [connection.response()[2] for _ in range(2)] == [b"ok\n"] * 2
        connection.send(
            f"GET /api/tip-events/stream?token={secure.admin}&page={slug} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.head()[0] == 200
        assert b'{"type":"connected"}' in connection.until(b"\n\n")


def test_curl_is_served_and_links_and_cookies_are_secure(secure, slug, curl, certificate):
    trusting = [*curl, "--cacert", str(certificate.certificate)]
    assert subprocess.run([*trusting, f"{secure.url}/health"], stdout=subprocess.PIPE, check=True).stdout == b"ok\n"
    link = secure.wait_for_line(r"https://127\.0\.0\.1:\d+/login\?code=[0-9a-f]+").group(0)
    done = subprocess.run([*trusting, "--include", "--output", "-", link], stdout=subprocess.PIPE, check=True)
    cookie = re.search(rb"(?im)^set-cookie: (.*)\r$", done.stdout)
    assert cookie and b"; Secure" in cookie.group(1), done.stdout
    with secure.feed(secure.admin, channel="activity-feed", room=slug) as feed:
        secure.tip(slug)
        assert feed.event()["payload"]["page"]["url"].startswith(f"https://127.0.0.1:{secure.port}/")


def test_a_large_answer_arrives_whole_however_slowly_it_is_read(secure, slug):
    secure.batch(slug, [{"grossAmountInCents": 5, "message": "m" * 255}] * 1_000)
    with RawSocket(secure.port, receive_buffer=4_096, context=secure.context) as connection:
        connection.send(
            f"GET /api/v1/pages/{slug}/tips?limit=1000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Authorization: Bearer {secure.admin}\r\n\r\n".encode())
        status, headers, body = connection.response()
        assert status == 200 and len(body) > 300_000
        # The end is TLS's own: nobody on the way can have cut it short.
        assert connection.rest() == b""


def test_a_refusal_is_answered_over_tls_too(secure):
    for request, status in ((b"nonsense\r\n\r\n", 400), (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/2.0\r\n\r\n", 505)):
        with RawSocket(secure.port, context=secure.context) as connection:
            connection.send(request)
            assert connection.response()[0] == status
            assert connection.rest() == b""


# What doesn't


@pytest.mark.parametrize("version, is_spoken", [("1", False), ("1_1", False), ("1_2", True), ("1_3", True)])
def test_versions_before_1_2_are_refused(secure, version, is_spoken):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{secure.port}", f"-tls{version}", "-cipher", "ALL:@SECLEVEL=0"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10)
    assert (b"Cipher is (NONE)" not in done.stdout) == is_spoken, done.stdout
    if not is_spoken:
        # Refused by us and in words; openssl itself would have been ready.
        assert b"alert protocol version" in done.stdout, done.stdout


def test_http_1_1_is_agreed_on_when_it_is_offered(secure):
    context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(shown(secure)))
    context.set_alpn_protocols(["http/1.1"])
    with socket.create_connection(("127.0.0.1", secure.port), 5) as plain:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped:
            assert wrapped.selected_alpn_protocol() == "http/1.1"


def test_plain_http_gets_no_answer_and_the_end(secure):
    with RawSocket(secure.port) as connection:
        connection.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP/" not in connection.rest()
    assert secure.get("/health", key=None).status == 200


def test_a_handshake_that_doesnt_come_to_its_end_is_cut_at_the_limit_of_a_head(make_server, certificate):
    server = make_server("--http-head-seconds", "1", certificate=certificate)
    for start in (b"", b"\x16\x03\x01\x02\x00\x01"):
        with RawSocket(server.port) as connection:
            connection.send(start)
            assert connection.rest() == b""
    # The limit was the handshake's: who is through has all the time of a listener.
    with server.feed(server.admin) as feed:
        with RawSocket(server.port) as silent:
            silent.rest()
        feed.says_nothing_but_pong()


def test_the_drain_says_goodbye_over_tls_and_waits_for_nobody_longer_than_needed(make_server, certificate):
    server = make_server(certificate=certificate)
    slug = server.page()
    silent = RawSocket(server.port)
    with server.feed(server.admin) as feed, server.stream(server.admin, page=slug) as stream:
        stream.connected()
        server.process.send_signal(signal.SIGTERM)
        assert feed.closed() in (1001, 1012)
        stream.ended()
    assert server.process.wait(10) == 0
    assert silent.rest() == b""
    server._gone()


def test_the_drain_waits_two_seconds_for_a_client_that_never_answers_the_goodbye(make_server, certificate):
    server = make_server(certificate=certificate)
    slug = server.page()
    with RawSocket(server.port, context=server.context) as mute:
        mute.send(f"GET /api/tip-events/stream?token={server.admin}&page={slug} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 200 " in mute.until(b"\r\n")
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        took = time.monotonic() - began
        # One for the end of the stream and one for that of TLS; the library's own patience with the second is five.
        assert took < 5, f"{took:.1f} s"


# The certificate


def test_sighup_exchanges_the_certificate_and_no_connection_notices(make_server, certificate, other, tmp_path):
    (tmp_path / "used").mkdir()
    used = Certificate(tmp_path / "used")

    def install(source):
        used.certificate.write_bytes(source.certificate.read_bytes())
        used.key.write_bytes(source.key.read_bytes())

    def reload(word):
        before = server.stderr.count(word)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: server.stderr.count(word) > before, f"'{word}' in the log")

    first = der(used)
    server = make_server(certificate=used)
    slug = server.page()
    with server.feed(server.admin) as feed, server.stream(server.admin, page=slug) as stream:
        kept = http.client.HTTPSConnection("127.0.0.1", server.port, context=server.context)
        kept.request("GET", "/health")
        assert kept.getresponse().read() == b"ok\n"
        stream.connected()
        assert shown(server) == first

        install(other)
        assert shown(server) == first, "only on a signal"
        reload("the certificate was read again")
        assert shown(server) == der(other)

        # Half of the exchange is none.
        used.certificate.write_bytes(certificate.certificate.read_bytes())
        reload("the certificate could not be read again")
        assert "is not the key of the certificate" in server.stderr
        assert shown(server) == der(other)
        used.certificate.unlink()
        reload("the certificate could not be read again")
        assert shown(server) == der(other)

        install(certificate)
        reload("the certificate was read again")
        assert shown(server) == der(certificate)

        # Those who were there are still there.
        server.context = certificate.context
        tip = server.tip(slug)["tip"]
        assert feed.tip_id() == tip["id"] and stream.message()["tipId"] == tip["id"]
        kept.request("GET", "/health")
        assert kept.getresponse().read() == b"ok\n"
        kept.close()


def test_sighup_without_tls_ends_nothing(make_server):
    server = make_server()
    with server.feed(server.admin) as feed:
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: "SIGHUP" in server.stderr, "a word in the log")
        feed.says_nothing_but_pong()


def test_a_certificate_that_will_soon_expire_is_told_at_the_start(make_server, certificate):
    server = make_server(certificate=certificate)
    assert "the certificate expires soon" in server.stderr


def test_files_that_cant_be_used_are_refused_before_the_start(tmp_path, certificate, other):
    encrypted = tmp_path / "encrypted.key"
    subprocess.run(
        ["openssl", "pkey", "-in", certificate.key, "-aes256", "-passout", "pass:x", "-out", encrypted], check=True)
    good, key = str(certificate.certificate), str(certificate.key)
    for options, words in (
        (["--tls-certificate", good], "tls.certificate: needs tls.key too"),
        (["--tls-key", key], "tls.key: needs tls.certificate too"),
        (["--tls-certificate", good, "--tls-key", str(other.key)], "is not the key of the certificate in"),
        (["--tls-certificate", str(tmp_path / "none.pem"), "--tls-key", key], "can't be read: no such file"),
        (["--tls-certificate", key, "--tls-key", key], "must be a PEM file with a certificate"),
        (["--tls-certificate", good, "--tls-key", good], "must be a PEM file with a private key"),
        (["--tls-certificate", good, "--tls-key", str(encrypted)], "that has no password"),
    ):
        for check in ([], ["--check"]):
            done = subprocess.run(
                [binary(), "serve", "--port", "0", "--data", str(tmp_path / "unmade"), *options, *check],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
                timeout=20, text=True)
            assert done.returncode == 1 and done.stdout == "", done
            assert words in done.stderr and len(done.stderr.splitlines()) == 1, done
    assert not (tmp_path / "unmade").exists()
    done = subprocess.run(
        [binary(), "serve", "--tls-certificate", good, "--tls-key", key, "--check"], env=environment(), timeout=20,
        stdout=subprocess.PIPE)
    assert done.returncode == 0
