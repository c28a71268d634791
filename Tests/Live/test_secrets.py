"""Runs last (by its name): searches what every server of the run printed for keys."""

import pathlib
import re

from support import http as web
from support.rawsocket import RawSocket
from support.server import Server

PLAINTEXT = re.compile(r"tw_[0-9a-f]{64}")
WEBHOOK_SECRET = re.compile(r"whsec_[A-Za-z0-9+/%]{16}")


def test_a_key_in_any_place_of_a_request_reaches_no_log(make_server):
    server = make_server(log_level="trace")
    key = server.key("events:read", "tips:write", "manage")
    slug = server.page()
    secret = key[11:]
    for channel in ("firehose", "nope"):
        server.handshake(web.query(auth=key, channel=channel))
    server.handshake(f"%61uth={key}&channel=firehose")
    server.handshake(f"auth={key[:40]}&channel=firehose")
    server.handshake(f"auth={key}0&channel=firehose")
    for name in ("auth", "token", "key", "since", "other", key):
        server.raw("GET", f"/?{name}={key}")
        server.raw("GET", f"/api/v1/pages?{name}={key}")
        server.raw("GET", f"/nope?{name}={key}")
    for header in ("Authorization", "Cookie", "Referer", "User-Agent", "X-Forwarded-For"):
        server.raw("GET", "/api/v1/pages", headers={header: f"Bearer {key}"})
    server.raw("GET", "/api/v1/pages", headers={"Referer": f"http://x/?auth={key}"})
    server.post(f"/api/v1/pages/{slug}/tips", {"grossAmountInCents": 0, "message": key})
    server.post("/api/v1/keys", {"name": key, "expiresAt": key})
    for request in (f"GET /?auth={key} HTTP/9.9\r\n\r\n", f"{key}\r\n\r\n", f"GET / HTTP/1.1\r\nAuthorization: Bearer {key}"):
        with RawSocket(server.port) as connection:
            connection.send(request.encode())
            connection.half_close()
            connection.rest()
    with server.feed(key) as feed:
        feed.send('{"type":"echo","payload":"' + key + '"}')
        feed.text()
        feed.send(key)
        feed.says_nothing_but_pong()
    server.close()
    assert server.stderr.strip()
    for line in server.stderr.splitlines():
        assert secret not in line and not PLAINTEXT.search(line), "a key in a log line"
    assert key[:40] not in server.stderr, "half a key"


def test_no_server_of_this_run_printed_a_key():
    files = sorted(pathlib.Path(Server.logs).iterdir())
    assert any(file.stat().st_size for file in files if file.suffix == ".stderr"), "nothing was logged at all"
    for file in files:
        text = file.read_text("utf-8", "replace")
        assert not WEBHOOK_SECRET.search(text), f"{file}: a webhook's secret"
        found = PLAINTEXT.search(text)
        if file.suffix == ".demo-stdout":
            # The demo key is shown there, and no other.
            assert len(set(PLAINTEXT.findall(text))) <= 1, f"{file}: more than the demo key"
        else:
            assert not found, f"{file}: a key after …{text[max(0, found.start() - 200):found.start()]}"
