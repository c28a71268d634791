"""A web page on an origin of its own, opened in the Chromium that is installed."""

import http.server
import json
import pathlib
import threading

from playwright.sync_api import TimeoutError


class Origin:
    """Serves the overlay page. Its two names, 127.0.0.1 and localhost, are two origins to a browser."""

    def __init__(self):
        folder = str(pathlib.Path(__file__).parent)

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=folder)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def name(self, host="127.0.0.1"):
        return f"http://{host}:{self.port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


class Overlay:
    """The page, opened in a browser."""

    def __init__(self, browser, origin):
        self.page = browser.new_page()
        self.page.goto(f"{origin}/overlay.html")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.page.close()

    def listen(self, url):
        self.page.evaluate("url => listen(url)", url)

    def follow(self, url):
        """Opens a WebSocket."""
        self.page.evaluate("url => follow(url)", url)

    def hears_by(self, count, stream, feed, tip):
        """Opens so many streams, and a WebSocket beside them; `tip` makes a tip, which each must tell of."""
        for _ in range(count):
            self.listen(stream)
        assert [message for _, message in self.messages(count)] == [{"type": "connected"}] * count
        self.follow(feed)
        self.wait_for("told.some((one) => one.following)", "the feed to open")
        sent = tip()
        assert [message["tipId"] for _, message in self.messages(2 * count)[count:]] == [sent["tip"]["id"]] * count
        self.wait_for("told.some((one) => one.feed)", "the tip on the feed")

    def wait_for(self, condition, what, seconds=15.0):
        """Waits for a condition in JavaScript, and says what was told if it isn't met."""
        try:
            self.page.wait_for_function(condition, timeout=seconds * 1000)
        except TimeoutError:
            raise AssertionError(f"{what}: not within {seconds} s; told: {self.told[-20:]}") from None

    @property
    def told(self):
        return self.page.evaluate("told")

    def messages(self, count, seconds=15.0):
        """All that `onmessage` got so far, as (id, message), once it is `count` or more."""
        self.wait_for(f"messages().length >= {count}", f"{count} messages", seconds)
        return [(one["id"], json.loads(one["message"])) for one in self.page.evaluate("messages()")]
