"""What is measured: the page as Prometheus' own tools read it, and the dashboard and rules against what is exported."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

import pytest

from support import http as web
from support.proxies import free_port
from support.server import ROOT
from support.waiting import eventually

PACKAGING = ROOT / "packaging"
NAME = re.compile(r"\b((?:tipwire|process)_[a-z][a-z0-9_]+)\b")


@pytest.fixture
def promtool():
    path = shutil.which("promtool")
    if not path:
        pytest.skip("promtool is not installed")

    def run(*arguments, page=None):
        done = subprocess.run(
            [path, *arguments], input=page, text=True, capture_output=True, timeout=60, cwd=PACKAGING / "prometheus")
        return done.returncode, done.stdout + done.stderr

    return run


def families(server):
    return set(re.findall(r"^# TYPE (\S+)", server.get("/metrics").text, re.MULTILINE))


def unknown(text, exported):
    """Names in `text` that the server doesn't export."""
    names = {re.sub(r"_(bucket|sum|count)$", "", name) if re.sub(r"_(bucket|sum|count)$", "", name) in exported
             else name for name in NAME.findall(text)}
    return names - exported


def test_promtool_finds_nothing_to_say(server, promtool):
    with server.feed(server.admin) as feed:
        server.tip(server.page())
        assert feed.event()
        status, said = promtool("check", "metrics", page=server.get("/metrics").text)
    assert status == 0 and not said.strip(), said


def test_answers_that_no_route_gave_are_counted_too(server):
    def counted(status):
        return server.samples()[f'tipwire_http_responses_total{{status="{status}"}}']

    for request, status in (
            (b"GET /x#y HTTP/1.1\r\nHost: x\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40_000, 431),
            (b"GET / HTTP/1.1\r\nHost: x\r\nExpect: rain\r\n\r\n", 417), (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501)):
        before = counted(status)
        with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
            connection.sendall(request)
            assert connection.recv(4_096).split()[1] == str(status).encode()
        assert counted(status) == before + 1, status


def test_rules_are_valid_and_fire_when_they_should(promtool):
    status, said = promtool("check", "rules", "alerts.yml")
    assert status == 0, said
    status, said = promtool("test", "rules", "alerts_test.yml")
    assert status == 0, said
    status, said = promtool("check", "config", "scrape.yml")
    assert status == 0, said


def test_every_rule_has_a_test():
    rules = re.findall(r"alert: (\w+)", (PACKAGING / "prometheus/alerts.yml").read_text())
    tests = (PACKAGING / "prometheus/alerts_test.yml").read_text()
    assert len(rules) == len(set(rules)) >= 15
    assert [rule for rule in rules if f'alertname="{rule}"' not in tests] == []


def test_rules_dashboard_and_documentation_name_what_is_exported(server, secure):
    server.tip(server.page())
    exported = families(server)
    secure.tip(secure.page())
    with_tls = families(secure)
    assert with_tls - exported == {"tipwire_tls_certificate_expiry_timestamp_seconds"} and exported <= with_tls
    exported = with_tls
    for path in (PACKAGING / "prometheus/alerts.yml", PACKAGING / "prometheus/alerts_test.yml",
                 PACKAGING / "grafana/tipwire.json"):
        names = path.read_text()
        assert NAME.findall(names), path
        assert unknown(names, exported) == set(), path
    table = set(NAME.findall((ROOT / "docs/operating.md").read_text()))
    assert exported - table == set(), "docs/operating.md lists every metric"
    # What only a server with --wakeup exports.
    table = {name for name in table if not name.startswith("tipwire_exchange_")}
    assert unknown("\n".join(table), exported) == set()


def test_the_dashboard_is_whole():
    board = json.loads((PACKAGING / "grafana/tipwire.json").read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len(panels) >= 15
    for panel in panels:
        assert panel["title"] and panel["targets"] and panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        for target in panel["targets"]:
            assert NAME.search(target["expr"]), target


def test_the_queries_of_the_dashboard_can_be_parsed(promtool, tmp_path):
    board = json.loads((PACKAGING / "grafana/tipwire.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    rules = {"groups": [{"name": "queries", "rules": [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "1m").replace("$instance", ".*")}
        for number, query in enumerate(queries)]}]}
    (tmp_path / "queries.yml").write_text(json.dumps(rules))
    status, said = promtool("check", "rules", str(tmp_path / "queries.yml"))
    assert status == 0, said


def test_an_event_is_timed_from_its_commit_to_the_socket(make_server):
    server = make_server()
    slug = server.page()
    server.tip(slug)
    count = "tipwire_commit_to_socket_seconds_count"
    assert server.samples()[count] == 0, "nobody listened"
    with server.feed(server.admin, "activity-feed", slug) as feed:
        server.tip(slug)
        assert feed.event()
        eventually(lambda: server.samples()[count] == 1, "one batch to have been timed on the loop that had a listener")
    samples = server.samples()
    assert 0 < samples["tipwire_commit_to_socket_seconds_sum"] < 5
    assert samples["tipwire_relay_lag_events"] == 0


def test_a_listener_that_takes_nothing_shows_as_stalled_with_its_lag(make_server):
    server = make_server("--feed-max-lag-seconds", "120", "--feed-send-buffer-bytes", "8192")
    slug = server.page()
    states = {'tipwire_connection_states{kind="sse",state="%s"}' % state for state in ("live", "catching_up", "stalled")}
    stream = server.stream(server.admin, slug, receive_buffer=4096)
    try:
        eventually(lambda: sum(server.samples()[name] for name in states) == 1, "the stream to be counted")
        tips = [{"grossAmountInCents": 100, "message": "m" * 1000}] * 500

        def stalled():
            server.batch(slug, tips)
            return server.samples()['tipwire_connection_states{kind="sse",state="stalled"}'] == 1
        eventually(stalled, "the stream to be stalled", 60)
        server.batch(slug, tips)
        samples = server.samples()
        assert samples['tipwire_connection_lag_events{kind="sse"}'] >= 500
        assert samples['tipwire_connection_lag_bytes{kind="sse"}'] >= 500_000
        assert sum(samples[name] for name in states) == samples['tipwire_connections{kind="sse"}'] == 1
    finally:
        stream.close()


def test_refusals_are_there_before_the_first_and_are_counted(make_server):
    server = make_server()
    samples = server.samples()
    reasons = {name: value for name, value in samples.items() if name.startswith("tipwire_stream_refusals_total")}
    assert len(reasons) == 17 and set(reasons.values()) == {0}
    statuses = {name: value for name, value in samples.items() if name.startswith("tipwire_http_responses_total")}
    assert statuses['tipwire_http_responses_total{status="422"}'] == 0
    assert server.handshake("channel=firehose").status == 401
    assert server.post("/api/v1/pages", {"slug": "?"}).status == 422
    assert server.get("/api/v1/pages/none").status == 404
    after = server.samples()
    assert after['tipwire_stream_refusals_total{reason="key_missing"}'] == 1
    for status in ("422", "404"):
        assert after['tipwire_http_responses_total{status="%s"}' % status] == 1
    assert after["tipwire_http_response_duration_seconds_count"] > samples["tipwire_http_response_duration_seconds_count"]


def test_no_caller_can_make_a_label(make_server):
    server = make_server()
    server.page("labels")
    before = set(server.samples())
    for number in range(20):
        server.raw("GET", f"/nowhere/{number}%22%0A{{x=%22y%22}}")
        server.raw("BREW", f"/pot-{number}")
        server.handshake(f"auth=nope-{number}&channel=c{number}")
        server.hook(f"token=nope{number}&page=p{number}")
        server.tip("labels", displayName=f"name {number}", message='"}\n# TYPE x counter')
    new = {name for name in set(server.samples()) - before if not name.startswith("tipwire_log_oldest_event")}
    assert new == set()


def test_the_process_is_measured_as_the_kernel_sees_it(make_server):
    server = make_server()
    samples = server.samples()
    limits = pathlib.Path(f"/proc/{server.process.pid}/limits").read_text()
    assert samples["process_max_fds"] == int(re.search(r"Max open files\s+(\d+)", limits)[1])
    assert 0 < samples["process_resident_memory_bytes"] <= samples["process_virtual_memory_bytes"]
    assert samples["process_cpu_seconds_total"] > 0
    assert samples['tipwire_database_file_bytes{file="main"}'] == os.stat(server.data / "tipwire.db").st_size
    free = shutil.disk_usage(server.data).free
    assert abs(samples["tipwire_disk_free_bytes"] - free) < 0.2 * free
    assert samples["tipwire_draining"] == 0


def test_a_real_prometheus_scrapes_it(make_server, tmp_path):
    prometheus = shutil.which("prometheus")
    if not prometheus:
        pytest.skip("prometheus is not installed")
    target, port = free_port(), free_port()
    server = make_server("--metrics-port", str(target))
    server.tip(server.page())
    text = (PACKAGING / "prometheus/scrape.yml").read_text()
    (tmp_path / "scrape.yml").write_text(text.replace("127.0.0.1:9464", f"127.0.0.1:{target}").replace("15s", "1s"))
    shutil.copy(PACKAGING / "prometheus/alerts.yml", tmp_path)
    with open(tmp_path / "prometheus.log", "wb") as log:
        process = subprocess.Popen(
            [prometheus, f"--config.file={tmp_path}/scrape.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
             f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        def asked(query):
            try:
                answer = web.request(port, "GET", f"/api/v1/query?{web.query(query=query)}")
            except OSError:
                return None
            result = answer.json["data"]["result"] if answer.status == 200 else []
            return float(result[0]["value"][1]) if result else None
        eventually(lambda: asked('up{job="tipwire"}') == 1, "a scrape that succeeded", 30)
        assert asked("tipwire_tips_total") == 1
        assert asked("tipwire_build_info") == 1
        rules = web.request(port, "GET", "/api/v1/rules").json["data"]["groups"][0]["rules"]
        assert len(rules) >= 15
    finally:
        process.terminate()
        process.wait(15)
