"""`tipwire doctor`: what it looks at, and that it tells what is wrong with each."""

import os
import shutil
import socket
import subprocess

import pytest

from support.doctor import doctor, examine
from support.proxies import PATHS, free_port, installed, is_listening
from support.waiting import eventually


def test_nothing_is_wrong_with_a_server_that_runs_and_nothing_is_changed(server):
    slug = server.page()
    server.tip(slug)
    before = server.log(slug)
    report = examine(server, "--url", server.url)
    assert report.status == 0 and not report.problems, report
    said = " ".join(report.of("url", "ok"))
    assert "server-sent events come through at once" in said and "WebSockets come through at once" in said, report
    for subject in ("settings", "server", "database", "goals", "disk", "port", "url"):
        assert report.of(subject, "ok"), (subject, report)
    assert server.log(slug) == before


def test_what_it_can_not_read_or_use_is_a_usage_error(server):
    done = doctor("--url", "tips.example")
    assert done.status != 0 and "--url must be like" in done.said, done
    done = doctor("--data", server.data, "--prot", "1")
    assert done.status == 1 and "--port" in done.said, done


# The way to it


@pytest.fixture
def nginx(tmp_path):
    """Makes an nginx without TLS in front of a server, from the text of its location."""
    if not installed("nginx"):
        pytest.skip("nginx is not installed")
    made = []

    def make(location):
        port = free_port()
        folder = tmp_path / "nginx"
        folder.mkdir()
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(
            f"daemon off; user {'root' if os.getuid() == 0 else 'nobody'}; pid {folder}/pid; events {{}}\n"
            f"http {{ {temporary} access_log off;\n"
            f"server {{ listen 127.0.0.1:{port}; location / {{ {location} }} }} }}\n")
        made.append(subprocess.Popen(
            [installed("nginx"), "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"],
            stdin=subprocess.DEVNULL, env={"PATH": PATHS}))

        eventually(lambda: is_listening(port), "nginx to listen")
        return f"http://127.0.0.1:{port}"

    yield make
    for process in made:
        process.terminate()
        process.wait(10)


def test_a_proxy_that_holds_streams_back_is_found_out(server, nginx):
    server.page()
    url = nginx(f"proxy_pass {server.url}; proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;")
    report = examine(server, "--url", url)
    assert report.status == 1 and report.problems == {"url"}, report
    streams, sockets = report.of("url", "problem")
    assert "server-sent events are held back" in streams and "docs/proxies.md" in streams, report
    # Its configuration lacks the two lines that an upgrade needs.
    assert sockets.startswith("WebSockets don't come through: "), report
    assert report.of("url", "warning") == [f"links show {server.url}/{links(server)}; set server.publicURL to {url}"]


def links(server):
    return server.get("/api/v1/pages?limit=1").json["data"][0]["url"].removeprefix(f"{server.url}/")


def test_a_proxy_that_passes_all_on_is_praised(server, nginx):
    server.page()
    url = nginx(
        f"proxy_pass {server.url}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
        "proxy_set_header Connection upgrade; proxy_buffering off;")
    report = examine(server, "--url", url)
    assert report.status == 0 and len(report.of("url", "ok")) == 3, report


def test_an_address_that_is_not_this_server_is_told_as_such(server, make_server, nginx):
    server.page()
    gone = examine(server, "--url", f"http://127.0.0.1:{free_port()}")
    assert gone.problems == {"url"} and "nobody listens at" in gone.said, gone
    foreign = examine(server, "--url", nginx("return 200 hello;"))
    assert foreign.problems == {"url"} and "not as Tipwire does" in foreign.said, foreign
    other = make_server()
    refused = examine(server, "--url", other.url)
    assert refused.problems == {"url"} and "admin.key" in refused.said and server.admin not in refused.said, refused


def test_the_key_for_streams_may_come_from_a_file_and_without_one_it_is_said(server, tmp_path):
    server.page()
    file = tmp_path / "key"
    file.write_text(server.key("manage", "events:read"))
    assert examine(server, "--url", server.url, "--key-file", file).status == 0
    empty = doctor("--data", tmp_path, "--port", "0", "--url", server.url)
    assert "no key found" in empty.said and "url" in empty.problems, empty


def test_a_server_without_a_page_has_no_stream_to_try(make_server):
    server = make_server()
    report = examine(server, "--url", server.url)
    assert report.status == 0 and report.of("url", "warning") == ["there is no page yet, so no stream could be tried"]


# The machine


def test_ports_are_free_taken_or_somebody_else_s(make_server):
    server = make_server()
    assert examine(server).of("port", "ok") == [f"{server.port} is the running server's"]
    elsewhere = doctor("--data", server.data, "--port", free_port())
    (warning,) = elsewhere.of("port", "warning")
    assert elsewhere.status == 0 and "other settings" in warning and "--port" in warning, elsewhere
    with socket.socket() as other:
        # Somebody listens there, and it is not this server.
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = doctor("--data", server.data, "--port", other.getsockname()[1])
        assert f"listens on 127.0.0.1:{server.port}, and" in taken.of("port", "warning")[0], taken
    swapped = doctor("--data", server.data, "--port", free_port(), "--metrics-port", server.port)
    assert "has no port for metrics" in swapped.of("port", "warning")[1], swapped
    wide = doctor("--data", server.data, "--port", server.port, "--host", "0.0.0.0")
    assert f"say 0.0.0.0:{server.port}" in wide.of("port", "warning")[0], wide
    server.close()
    assert (server.data / "tipwire.lock").read_bytes() == b""
    assert examine(server).of("port", "ok") == [f"{server.port} is free"]
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", server.port))
        holder.listen()
        taken = examine(server)
        assert taken.problems == {"port"} and "in use" in taken.of("port", "problem")[0], taken
        metrics = doctor("--data", server.data, "--port", free_port(), "--metrics-port", server.port)
        assert metrics.problems == {"port"}, metrics


def test_certificates_are_held_against_their_keys_and_the_calendar(make_server, certificate, tmp_path):
    server = make_server(certificate=certificate)
    files = ["--tls-certificate", certificate.certificate, "--tls-key", certificate.key]
    assert "renew it" in examine(server, *files).of("certificate", "warning")[0]
    wrong = examine(server, "--tls-certificate", certificate.certificate, "--tls-key", certificate.certificate)
    assert wrong.status == 1 and wrong.problems == {"settings"} and "tls.key" in wrong.said, wrong

    # One that has ended takes a little authority to make.
    (tmp_path / "ca.conf").write_text(
        "[ca]\ndefault_ca=a\n[a]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n"
        "[p]\ncommonName=supplied\n")
    (tmp_path / "index").touch()
    (tmp_path / "serial").write_text("01\n")
    for command in (
            ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=old",
             "-keyout", "old.key", "-out", "old.csr"],
            ["ca", "-batch", "-config", "ca.conf", "-selfsign", "-keyfile", "old.key", "-in", "old.csr", "-out",
             "old.pem", "-notext", "-startdate", "20200101000000Z", "-enddate", "20200201000000Z"]):
        subprocess.run(["openssl", *command], cwd=tmp_path, check=True, capture_output=True)
    old = examine(server, "--tls-certificate", tmp_path / "old.pem", "--tls-key", tmp_path / "old.key")
    assert old.problems == {"certificate"} and "2020-02-01" in old.said, old


def test_a_disk_without_room_is_a_problem_and_one_that_may_fill_a_warning(make_server, small_disk):
    server = make_server()
    server.close()
    shutil.copytree(server.data, small_disk / "data")
    report = doctor("--data", small_disk / "data", "--port", server.port)
    assert report.problems == {"disk"} and "make room" in report.of("disk", "problem")[0], report
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    report = doctor("--data", small_disk / "data", "--port", server.port)
    assert report.status == 0 and "retention.bytes" in report.of("disk", "warning")[0], report
    report = doctor("--data", small_disk / "data", "--port", server.port, "--retention-bytes", 100_000_000)
    assert report.status == 0 and report.of("disk", "ok"), report
