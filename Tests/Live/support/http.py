"""HTTP by the standard library, one connection a request unless one is handed in."""

import http.client
import json
import re
from urllib.parse import quote, urlencode

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class Answer:
    """A response, read whole."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode("utf-8")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def content_type(self):
        return (self.headers.get("Content-Type") or "").split(";")[0].strip().lower()

    def __repr__(self):
        return f"<{self.status} {self.content_type} {self.body[:600]!r}>"


class Unsent(Exception):
    """The connection ended without an answer."""


def request(port, method, path, body=None, headers=None, timeout=15.0, connection=None, context=None):
    """One request, with a `context` over TLS. `body` may be bytes, or an iterable of bytes, which is sent in chunks."""
    kept = connection is not None
    if not kept:
        connection = (
            http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=context) if context
            else http.client.HTTPConnection("127.0.0.1", port, timeout=timeout))
    try:
        chunked = body is not None and not isinstance(body, bytes)
        connection.request(method, path, body=body, headers=headers or {}, encode_chunked=chunked)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read() if response.status != 101 else b"")
    finally:
        if not kept:
            connection.close()


def query(**parameters):
    """A query string of the parameters that are not None, escaped."""
    return urlencode({name: value for name, value in parameters.items() if value is not None}, quote_via=quote)


def problem(answer, status, *fields):
    """Asserts that an answer is an RFC 9457 problem of this status, naming at least these fields; returns the names."""
    assert answer.status == status, answer
    assert answer.content_type == "application/problem+json", answer
    document = answer.json
    assert document["status"] == status, document
    for member in ("type", "title"):
        assert isinstance(document[member], str) and document[member], document
    assert isinstance(document.get("detail", ""), str), document
    named = named_fields(document)
    missing = set(fields) - set(named)
    assert not missing, f"{missing} not named in {document}"
    return named


def named_fields(document):
    """The names of the bad fields, whatever form `errors` has: a list of objects or an object by field."""
    errors = document.get("errors") or []
    if isinstance(errors, dict):
        return list(errors)
    names = []
    for error in errors:
        if isinstance(error, str):
            names.append(error)
        else:
            names.append(error.get("field") or error.get("name") or error.get("pointer", "").lstrip("#/"))
    return names
