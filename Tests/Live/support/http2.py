"""One connection of HTTP/2, frame by frame, by hyper's `h2`."""

import json
import socket
import ssl

import h2.config
import h2.connection
import h2.events
import h2.settings


class Stream:
    """What has come on one stream."""

    def __init__(self):
        self.status, self.headers, self.body = None, {}, b""
        self.informational = []
        self.has_ended = False
        self.reset = None


class HTTP2:
    """A client's side. `window` is how much of each answer it takes unasked; more only with `grants`."""

    def __init__(self, server, window=1 << 20, grants=True, timeout=10.0):
        context = ssl.create_default_context()
        context.load_verify_locations(cadata=server.context.get_ca_certs(binary_form=True)[0])
        context.set_alpn_protocols(["h2", "http/1.1"])
        plain = socket.create_connection(("127.0.0.1", server.port), timeout)
        self.socket = context.wrap_socket(plain, server_hostname="127.0.0.1")
        assert self.socket.selected_alpn_protocol() == "h2"
        self.port, self.grants = server.port, grants
        # Nothing is checked on our side, so that the server's checks are seen.
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False))
        self.h2.local_settings = h2.settings.Settings(
            client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(1 << 24)
        self.streams, self._unread = {}, b""
        self.goaway = None
        self.has_ended = False
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def close(self):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def open(self, method, path, headers=(), body=None, ends=True):
        """Sends a request; returns the stream's number."""
        number = self.h2.get_next_available_stream_id()
        self.streams[number] = Stream()
        pseudo = [(":method", method), (":scheme", "https"), (":authority", f"127.0.0.1:{self.port}"), (":path", path)]
        self.h2.send_headers(number, pseudo + list(headers), end_stream=ends and body is None)
        if body is not None:
            self.h2.send_data(number, body, end_stream=ends)
        self.flush()
        return number

    def receive(self):
        """Takes what comes next; False at the end."""
        try:
            data = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            self.has_ended = True
            return False
        for event in self._events(data):
            stream = self.streams.get(getattr(event, "stream_id", None))
            match event:
                case h2.events.ResponseReceived():
                    headers = [(name.decode(), value.decode()) for name, value in event.headers]
                    stream.headers = dict(headers)
                    stream.status = int(stream.headers.pop(":status"))
                case h2.events.InformationalResponseReceived():
                    stream.informational.append(int(dict(event.headers)[b":status"]))
                case h2.events.DataReceived():
                    stream.body += event.data
                    if self.grants and event.flow_controlled_length:
                        self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded():
                    stream.has_ended = True
                case h2.events.StreamReset():
                    stream.reset = event.error_code
                case h2.events.ConnectionTerminated():
                    self.goaway = event
        self.flush_quietly()
        return True

    def _events(self, data):
        """Frame by frame. The library takes a GOAWAY for the end, behind which it reads nothing, though streams that are open
        go on to theirs (RFC 9113, 6.8)."""
        self._unread += data
        while len(self._unread) >= 9 and len(self._unread) >= (end := 9 + int.from_bytes(self._unread[:3], "big")):
            frame, self._unread = self._unread[:end], self._unread[end:]
            for event in self.h2.receive_data(frame):
                yield event
                if isinstance(event, h2.events.ConnectionTerminated):
                    self.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN

    def flush_quietly(self):
        try:
            self.flush()
        except OSError:
            pass

    def until(self, condition, what):
        """Takes what comes until the condition holds."""
        while not condition():
            assert self.receive(), f"the connection ended before {what}"

    def answer(self, number):
        """The whole answer of a stream."""
        stream = self.streams[number]
        self.until(lambda: stream.has_ended or stream.reset is not None, f"the end of stream {number}")
        return stream

    def call(self, method, path, headers=(), body=None):
        return self.answer(self.open(method, path, headers, body))

    def messages(self, number, count):
        """The first messages of an event stream."""
        stream = self.streams[number]
        self.until(lambda: stream.body.count(b"\n\n") >= count, f"{count} messages")
        blocks = [block for block in stream.body.decode().split("\n\n") if block and not block.startswith(":")]
        assert all(block.startswith("data: ") for block in blocks), blocks
        return [json.loads(block[6:]) for block in blocks]

    def rest(self):
        """Takes everything up to the end."""
        while self.receive():
            pass
