"""The dashboard and the overlays in a real browser, as people see them."""

import re

from .waiting import eventually

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
# What the browser itself says of an answer that isn't 2xx, or of a server that is gone. Tests bring both about on purpose.
NETWORK = re.compile(r"Failed to load resource|net::ERR_|WebSocket connection to")


class Window:
    """One browser context: its own cookies, its own faults. At its end there must have been none."""

    def __init__(self, browser, server, viewport=DESKTOP, **options):
        self.server = server
        self.context = browser.new_context(viewport=viewport, **options)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.faults = []
        self.context.on("page", self._watch)

    def _watch(self, page):
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", self._console)
        page.set_default_timeout(15_000)

    def _console(self, message):
        if message.type in ("error", "warning") and not NETWORK.search(message.text):
            self.faults.append(f"{message.type}: {message.text}")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.context.close()
        if kind is None:
            assert self.faults == []

    def sign_in(self, account="admin"):
        """By a one-time link, as `tipwire account link` prints it."""
        answer = self.server.post(f"/api/v1/accounts/{account}/link")
        assert answer.status == 201, answer
        page = self.context.new_page()
        page.goto(answer.json["url"])
        page.wait_for_selector("#shell .account:not(:empty)", state="attached")
        return page

    def open(self, path):
        page = self.context.new_page()
        page.goto(self.server.url + path)
        return page

    def view(self, page, path, slug=None):
        """Another view of the dashboard, ready."""
        page.goto(f"{self.server.url}{path}" + (f"#/{slug}" if slug else ""))
        page.wait_for_selector("#shell .account:not(:empty)", state="attached")
        return page


def overlay_key(server, slug, **more):
    return server.key("overlay", pages=[slug], **more)


class Overlay:
    """An overlay document in a window, opened by a link as the dashboard makes it."""

    def __init__(self, window, slug, kind="alerts", screen="obs", key=None, **query):
        self.key = key or overlay_key(window.server, slug)
        self.slug = slug
        self.kind = kind
        self.screen = screen
        self.server = window.server
        more = "".join(f"&{name}={value}" for name, value in query.items())
        self.page = window.open(f"/overlay/{kind}?key={self.key}&screen={screen}{more}")
        self.wait_until_connected()

    def wait_until_connected(self):
        def is_there():
            screens = self.server.get(f"/api/v1/pages/{self.slug}/screens").json["data"]
            return any(
                each["screen"] == self.screen and each["kind"] == self.kind and each["isConnected"] for each in screens)

        eventually(is_there, f"the screen {self.screen} is connected", seconds=20)

    @property
    def text(self):
        return self.page.inner_text("body")

    def shows(self, text, timeout=15_000):
        self.page.wait_for_function("text => document.body.innerText.includes(text)", arg=text, timeout=timeout)


def receipts(server, slug, tip):
    return {each["screen"]: each for each in server.get(f"/api/v1/pages/{slug}/tips/{tip}").json["receipts"]}


def hostile_tip(**more):
    """Everything that a tipper may write and a page must bear."""
    name = ('<script>alert(1)</script>' + "שלום 👩‍👩‍👧‍👦 " * 9)[:100]
    message = ('<img src=x onerror=alert(2)> "quoted" & \u202egnp.exe\n' + "مرحبا " * 200)[:1000]
    return {"displayName": name, "message": message, "grossAmountInCents": 12345} | more


