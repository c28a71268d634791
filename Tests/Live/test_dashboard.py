"""The dashboard as people use it: in a real browser, at a desk and on a phone, against the real server."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from support.browser import DESKTOP, PHONE, Overlay, Window, hostile_tip, receipts
from support.feed import Feed
from support.http import query
from support.server import fresh
from support.waiting import eventually
from support.webhooks import ALLOWED

VIEWS = ["/", "/goals", "/charts", "/overlays", "/keys", "/webhooks", "/listeners", "/try", "/settings"]


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def window(request, chromium, server):
    with Window(chromium, server, viewport=request.param) as window:
        yield window


@pytest.fixture
def desk(chromium, server):
    with Window(chromium, server) as window:
        yield window


def live(window, slug):
    return window.view(window.sign_in(), "/", slug)


def opened(page, tool):
    """Opens one of the tools beside the tips, if it is closed."""
    summary = page.locator("summary", has_text=tool)
    if not summary.evaluate("e => e.parentElement.open"):
        summary.click()


# MARK: Coming in


def test_a_link_signs_in_once_and_leaves_no_code_behind(server, desk):
    server.page(fresh("first"))
    link = server.post("/api/v1/accounts/admin/link").json["url"]
    page = desk.context.new_page()
    page.goto(link)
    expect(page.locator("#account")).to_have_text("admin")
    assert "code" not in page.url
    cookie = desk.context.cookies()[0]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    with Window(desk.context.browser, server) as other:
        again = other.context.new_page()
        again.goto(link)
        expect(again.get_by_role("heading", name="Sign in to Tipwire")).to_be_visible()
    # To the browser that it let in it is a way in still.
    page.goto(link)
    expect(page.locator("#account")).to_have_text("admin")


def test_a_link_on_another_sites_page_asks_before_it_signs_anyone_in(server, desk):
    server.page(fresh("lure"))
    link = server.post("/api/v1/accounts/admin/link").json["url"]
    page = desk.context.new_page()
    lure = f"<a href='{link}'>Free overlays</a>"
    page.route("http://lure.test/", lambda route: route.fulfill(body=lure, content_type="text/html"))
    page.goto("http://lure.test/")
    page.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Sign in with this link?")).to_be_visible()
    assert desk.context.cookies() == []
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#account")).to_have_text("admin")
    assert "code" not in page.url


def test_a_password_is_set_and_signs_in_and_signing_out_ends_everything(server, desk, chromium):
    name = server.account(fresh("person"))
    page = desk.view(desk.sign_in(name), "/settings")
    form = page.locator("#password-form")
    form.locator("input[type=password]").last.fill("correct horse battery")
    for field in form.locator("input[type=password]:visible").all():
        if not field.input_value():
            field.fill("correct horse battery")
    form.get_by_role("button").last.click()
    with Window(chromium, server) as other:
        door = other.open("/")

        def enter(password):
            door.get_by_label("Account").fill(name)
            door.get_by_label("Password").fill(password)
            door.get_by_role("button", name="Sign in").click()

        def is_set():
            return server.raw(
                "POST", "/api/v1/session", b'{"account":"%s","password":"correct horse battery"}' % name.encode(),
                {"Content-Type": "application/json", "Origin": server.url}).status == 204

        eventually(is_set, "the password is set")
        enter("wrong horse battery")
        expect(door.locator("#refused")).to_be_visible()
        enter("correct horse battery")
        expect(door.locator("#account")).to_have_text(name)
        page.locator("#sign-out-form button").first.click()
        dialog = page.locator("dialog[open]")
        if dialog.count():
            dialog.get_by_role("button").last.click()
        eventually(
            lambda: door.evaluate("fetch('/api/v1/session').then(answer => answer.status)") == 401,
            "the other browser is signed out")


def test_the_first_visit_is_guided(make_server, chromium):
    server = make_server()
    with Window(chromium, server) as window:
        page = window.sign_in()
        page.get_by_label("Title").fill("Ada’s stream")
        expect(page.get_by_label("Slug")).to_have_value("adas-stream")
        page.get_by_role("button", name="Make page").click()
        page.locator("#first-make-key").click()
        expect(page.locator("#first-key-text")).to_contain_text("tw_")
        key = page.locator("#first-key-text").inner_text()
        assert server.get("/api/v1/pages/adas-stream/tips", key=key).status == 200
        page.locator(".first-panel[data-step=key] .first-on").click()
        page.locator("#first-send").click()
        expect(page.locator("#tips")).to_contain_text("Ada")
        page.locator("#first-arrived").click()
        page.locator("#first-make-link").click()
        expect(page.locator("#first-link-text")).to_contain_text("key=tw_")
        link = page.locator("#first-link-text").inner_text()
        overlay = window.context.new_page()
        overlay.goto(link)
        eventually(
            lambda: any(e["isConnected"] for e in server.get("/api/v1/pages/adas-stream/screens").json["data"]),
            "the alert box of the guide's link is connected")


# MARK: Live


def test_tips_come_in_are_shown_again_and_refunded(server, window):
    slug = server.page(fresh("live"))
    server.goal(slug, 10_000, "Microphone")
    page = live(window, slug)
    server.tip(slug, displayName="Grace", message="Hello", id="one")
    row = page.locator("#tips > li", has_text="Grace")
    expect(row).to_be_visible()
    row.get_by_role("button", name=re.compile("Replay")).first.click()
    eventually(lambda: any(e["type"] == "tip.replayed" for e in server.log(slug)), "the replay is in the log")
    row.click()
    details = page.locator("#details")
    expect(details).to_be_visible()
    expect(details).to_contain_text("Microphone")
    expect(details.locator("#details-missed")).to_be_visible()
    details.locator("#details-refund").click()
    expect(page.locator("#refund-goals")).to_have_text("“Microphone” loses $5.00.")
    page.locator("dialog[open]").last.get_by_role("button", name=re.compile("Refund")).last.click()
    eventually(lambda: server.get(f"/api/v1/pages/{slug}/tips/one").json["refundedAt"], "the tip is refunded")
    assert server.goals(slug)[0]["progressInCents"] == 0


def test_what_a_tipper_writes_is_text_everywhere(server, window):
    slug = server.page(fresh("hostile"), title="<script>alert(0)</script>")
    server.goal(slug, 99_999, "<img src=x onerror=alert(1)>")
    server.tip(slug, **hostile_tip(id="bad"))
    page = window.sign_in()
    for path in VIEWS:
        window.view(page, path, slug)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.querySelectorAll('main script, main img[src=x]').length") == 0, path
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path
    window.view(page, "/", slug)
    expect(page.locator("#tips")).to_contain_text("<script>alert(1)</script>")
    page.locator("#tips > li").first.click()
    expect(page.locator("#details")).to_contain_text('<img src=x onerror=alert(2)>')


def test_a_tip_is_sent_by_hand_and_a_wrong_amount_is_explained(server, window):
    slug = server.page(fresh("hand"))
    page = live(window, slug)
    opened(page, "Send a tip")
    form = page.locator("#test-tip")
    for amount, answer in (("0", "Enter more than 0."), ("five", "like 5 or 4.50"), ("1234567", "$1,000,000.00 at most")):
        form.locator("[name=amount]").fill(amount)
        form.get_by_role("button", name="Send tip").click()
        expect(form.locator(".answer")).to_contain_text(answer)
    form.locator("[name=name]").fill("Grace")
    form.locator("[name=amount]").fill("12,5")
    form.get_by_role("button", name="Send tip").click()
    expect(page.locator("#tips > li")).to_contain_text("$12.50")
    expect(form.locator(".answer")).to_have_text("Sent $12.50 from Grace.")
    expect(form.locator("[name=name]")).to_have_value("")
    tips = server.get(f"/api/v1/pages/{slug}/tips").json["data"]
    assert [tip["grossAmountInCents"] for tip in tips] == [1250]


def test_search_and_least_amount(server, desk):
    slug = server.page(fresh("search"))
    server.batch(slug, [{"displayName": f"Tipper {n}", "grossAmountInCents": 100 * n} for n in range(1, 31)])
    page = live(desk, slug)
    expect(page.locator("#tips > li").first).to_be_visible()
    page.locator("#filter [name=text]").fill("tipper 3")
    expect(page.locator("#tips > li")).to_have_count(2)
    server.tip(slug, displayName="Tipper 31", id="match")
    expect(page.locator("#tips > li")).to_have_count(3)
    server.tip(slug, displayName="Nobody", id="other")
    page.locator("#filter [name=text]").fill("zzz")
    expect(page.locator("#no-match")).to_be_visible()
    page.locator("#no-match-clear").click()
    page.locator("#filter [name=least]").fill("30")
    expect(page.locator("#tips > li")).to_have_count(1)
    with page.expect_download() as download:
        page.locator("#export").click()
    text = open(download.value.path(), encoding="utf-8-sig").read()
    assert len(text.splitlines()) == 2 and "Tipper 30" in text


def test_twenty_thousand_tips_scroll(server, desk):
    slug = server.page(fresh("many"))
    for start in range(0, 20_000, 1_000):
        server.batch(slug, [
            {"displayName": f"Tipper {start + n}", "grossAmountInCents": 100, "message": "m" * (n % 90)}
            for n in range(1_000)])
    page = live(desk, slug)
    expect(page.locator("#tips > li").first).to_be_visible()
    for _ in range(12):
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        page.wait_for_timeout(150)
    loaded = eventually(
        lambda: page.evaluate("Number(document.querySelector('#tips > li:last-of-type')?.ariaPosInSet ?? 0)"),
        "the list says how far it goes")
    assert loaded > 400
    # However many are loaded, the document holds a few screenfuls.
    assert page.locator("#tips > li").count() < 400
    server.tip(slug, displayName="The newest", id="newest")
    expect(page.locator("#new-tips")).to_be_visible()
    page.locator("#new-tips").click()
    expect(page.locator("#tips > li").first).to_contain_text("The newest")


def test_nothing_is_missing_after_the_server_was_killed(make_server, chromium):
    server = make_server()
    with Window(chromium, server) as window:
        slug = server.page("killed")
        page = live(window, slug)
        server.tip(slug, displayName="Before", id="before")
        expect(page.locator("#tips")).to_contain_text("Before")
        server.kill()
        server.start()
        server.tip(slug, displayName="Between", id="between")
        expect(page.locator("#tips")).to_contain_text("Between", timeout=40_000)
        server.tip(slug, displayName="After", id="after")
        expect(page.locator("#tips")).to_contain_text("After", timeout=40_000)
        assert page.locator("#tips > li").count() == 3


# MARK: Alerts


def test_alerts_are_tried_paused_and_their_receipts_seen(server, desk):
    slug = server.page(fresh("control"))
    page = live(desk, slug)
    expect(page.locator("#no-alerts")).to_be_visible()
    overlay = Overlay(desk, slug, duration=1)
    expect(page.locator("#no-alerts")).to_be_hidden(timeout=20_000)
    opened(page, "Alerts")
    page.locator("#test-alert").click()
    expect(page.locator("#alerts-answer")).to_contain_text("1")
    overlay.shows("Ada")
    assert server.log(slug) == []
    page.locator("#muted").click()
    expect(page.locator("#alerts-muted")).to_be_visible()
    page.locator("#paused").click()
    expect(page.locator("#alerts-paused")).to_be_visible()
    server.tip(slug, displayName="Later", id="later")
    eventually(lambda: "obs" in receipts(server, slug, "later"), "it was received")
    page.locator("#paused").click()
    overlay.shows("Later")
    page.bring_to_front()
    expect(page.locator("#tips > li", has_text="Later")).to_contain_text(re.compile("shown", re.I), timeout=20_000)


def test_a_link_for_obs_is_built_and_works(server, desk):
    slug = server.page(fresh("builder"))
    page = desk.view(desk.sign_in(), "/overlays", slug)
    expect(page.locator("#warning")).to_be_visible()
    page.locator("#make [name=screen]").fill("obs-main")
    page.get_by_role("button", name="Make link").click()
    link = page.locator("#link")
    expect(link).to_be_visible()
    page.locator("#reveal").click()
    url = link.input_value()
    assert "/overlay/alerts?" in url and "screen=obs-main" in url
    overlay = desk.context.new_page()
    overlay.goto(url)
    page.bring_to_front()
    expect(page.locator("#screens")).to_contain_text("obs-main", timeout=20_000)
    page.locator("#test").get_by_role("button", name="Send test alert").click()
    overlay.wait_for_function("() => document.body.innerText.includes('Ada')")


# MARK: Goals and charts


def test_goals_are_added_moved_by_keys_removed_and_brought_back(server, window):
    slug = server.page(fresh("goals"))
    page = window.view(window.sign_in(), "/goals", slug)
    for name, amount in (("Microphone", "100"), ("Camera", "250.50")):
        # Without goals it opens by itself, and stays open for the next one.
        page.locator("#add [name=description]").fill(name)
        page.locator("#add [name=amount]").fill(amount)
        page.locator("#add").get_by_role("button", name="Add goal").click()
        expect(page.locator("#queue")).to_contain_text(name)
    assert [(g["description"], g["amountInCents"]) for g in server.goals(slug)] == [
        ("Microphone", 10_000), ("Camera", 25_050)]
    grip = page.locator("#queue .goal", has_text="Camera").locator(".grip")
    grip.focus()
    for key in ("Space", "ArrowUp", "Space"):
        page.keyboard.press(key)
    eventually(lambda: [g["description"] for g in server.goals(slug)] == ["Camera", "Microphone"], "the order is kept")
    page.locator("#queue .goal", has_text="Microphone").locator(".remove").click()
    page.locator("#toasts").get_by_role("button", name=re.compile("Undo")).click()
    expect(page.locator("#queue")).to_contain_text("Microphone")
    server.tip(slug, grossAmountInCents=30_000)
    expect(page.locator("#done")).to_contain_text("1")
    expect(page.locator("#queue .goal", has_text="Microphone")).to_contain_text("49.50")
    assert len(server.goals(slug)) == 2


def test_charts_say_what_came_in_and_can_be_taken_away(server, desk):
    slug = server.page(fresh("charts"))
    page = desk.view(desk.sign_in(), "/charts", slug)
    expect(page.locator("#empty")).to_be_visible()
    server.goal(slug, 1_000, "Reached")
    server.batch(slug, [{"displayName": "=SUM(A1)", "grossAmountInCents": 1_000}] * 3)
    page.reload()
    expect(page.locator("#plot-time svg")).to_be_visible()
    expect(page.locator("#plot-top")).to_contain_text("=SUM(A1)")
    expect(page.locator("#history")).to_contain_text("Reached")
    page.locator("#over-time .as-table summary").click()
    expect(page.locator("#time-total")).to_contain_text("30.00")
    with page.expect_download() as download:
        page.locator("[data-export=supporters]").click()
    text = open(download.value.path(), encoding="utf-8-sig").read()
    assert "'=SUM(A1)" in text


# MARK: Programs


def test_a_key_is_made_shown_once_and_revoked_at_once(server, window):
    slug = server.page(fresh("keys"))
    page = window.view(window.sign_in(), "/keys", slug)
    name = fresh("bot")
    page.locator("#new-key").click()
    page.locator("#make [name=name]").fill(name)
    page.get_by_role("button", name="Make key").click()
    expect(page.locator("#made-key")).to_contain_text("tw_")
    key = page.locator("#made-key").inner_text()
    with Feed(server.port, query(auth=key, channel="firehose")) as feed:
        page.locator("#made-done").click()
        assert key not in page.content()
        page.locator("#keys tr", has_text=name).get_by_role("button", name=re.compile("Revoke")).click()
        page.locator("#revoking").get_by_role("button", name="Revoke key").click()
        expect(page.locator("#keys tr", has_text=name)).to_have_count(0)
        assert feed.closed() == 1008
    assert server.get("/api/v1/pages", key=key).status == 401


def test_a_webhook_is_made_tried_and_its_deliveries_are_seen(make_server, make_receiver, chromium):
    endpoint = make_receiver().endpoint()
    server = make_server(*ALLOWED)
    with Window(chromium, server) as window:
        slug = server.page("hooks")
        page = window.view(window.sign_in(), "/webhooks", slug)
        page.locator("#new-hook").click()
        page.locator("#making [name=callback]").fill(endpoint.url)
        page.locator("#making").get_by_role("button", name="Make webhook").click()
        expect(page.locator("#secret-text")).to_contain_text("whsec_")
        endpoint.trusts(page.locator("#secret-text").inner_text())
        server.tip(slug, displayName="Grace")
        page.locator("#secret-done").click()
        if not page.locator("#detail").is_visible():
            page.locator("#hooks a").first.click()
        expect(page.locator("#detail")).to_contain_text(re.compile("delivered", re.I), timeout=20_000)


def test_a_listener_is_seen_and_cut(server, window):
    slug = server.page(fresh("listeners"))
    key = server.key(pages=[slug], name=fresh("listener"))
    with server.feed(key, "activity-feed", slug) as feed:
        page = window.view(window.sign_in(), "/listeners", slug)
        row = page.locator("#listeners tr", has_text="listener-")
        expect(row.first).to_be_visible()
        row.first.get_by_role("button", name=re.compile("Cut")).click()
        page.locator("#cutting").get_by_role("button", name=re.compile("Cut")).click()
        assert feed.closed() == 1008


def test_the_console_speaks_each_dialect(server, desk):
    slug = server.page(fresh("console"))
    page = desk.view(desk.sign_in(), "/try", slug)
    page.locator("#make-key").click()
    expect(page.locator("#connect [name=key]")).not_to_have_value("")
    for dialect in ("activity", "firehose", "eventsub", "hook"):
        page.locator(f"#connect [name=dialect][value={dialect}]").check()
        page.locator("#open").click()
        expect(page.locator("#state")).to_contain_text(re.compile("connected|live|open", re.I))
        name = fresh("Tipper")
        page.locator("#tip [name=name]").fill(name)
        page.get_by_role("button", name="Send tip").click()
        expect(page.locator("#line-list")).to_contain_text(name)
        page.locator("#close").click()


def test_settings_of_a_page_and_its_members(server, window):
    slug = server.page(fresh("settings"))
    friend = server.account(fresh("friend"))
    page = window.view(window.sign_in(), "/settings", slug)
    title = page.locator("#page-form [name=title]")
    title.fill("A new title")
    page.locator("#page-form").get_by_role("button").last.click()
    eventually(lambda: server.get(f"/api/v1/pages/{slug}").json["title"] == "A new title", "the title is kept")
    page.locator("#member-form input").first.fill(friend)
    page.locator("#member-form button").first.click()
    expect(page.locator("#members")).to_contain_text(friend)
    assert server.get(f"/api/v1/pages/{slug}").json["members"] == [friend]
    public = window.open(f"/p/{slug}")
    expect(public.get_by_role("heading", name="A new title")).to_be_visible()


# MARK: For everyone


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_views_are_accessible(server, chromium, scheme, viewport):
    slug = server.page(fresh("axe"))
    server.goal(slug, 5_000, "Microphone")
    server.batch(slug, [{"displayName": f"Tipper {n}", "grossAmountInCents": 700 * n} for n in range(1, 9)])
    with Window(chromium, server, viewport=viewport, color_scheme=scheme, reduced_motion="reduce") as window:
        page = window.sign_in()
        for path in [*VIEWS, f"/p/{slug}"]:
            if path.startswith("/p/"):
                page.goto(server.url + path)
            else:
                window.view(page, path, slug)
            page.wait_for_load_state("networkidle")
            found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
            assert [(rule["id"], [node["html"] for node in rule["nodes"]][:3]) for rule in found] == [], path


def test_a_view_is_light(server, desk):
    slug = server.page(fresh("light"))
    page = desk.sign_in()
    sizes = {}

    def count(response):
        sizes[response.url] = len(response.body()) if response.ok else 0

    for path in VIEWS:
        sizes.clear()
        page.on("response", count)
        window_view = desk.view(page, path, slug)
        window_view.wait_for_load_state("networkidle")
        page.remove_listener("response", count)
        assert sum(sizes.values()) < 300_000, (path, sizes)
    paints = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime)")
    assert paints, "something was painted"
