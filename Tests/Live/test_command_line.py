"""The `tipwire` command line against the real server, as a person at a terminal uses it."""

import re
import signal
import time

import pytest

from support.commandline import CommandLine
from support.server import fresh
from support.waiting import eventually


@pytest.fixture(scope="module")
def slug(server):
    return server.page()


def refused(outcome, *words):
    """Exit 1 with a message on standard error that has these words, and nothing else."""
    assert outcome.status == 1, outcome
    assert outcome.out == "", outcome
    for word in words:
        assert word in outcome.err, outcome
    assert len(outcome.err.strip().splitlines()) <= 5, outcome
    assert not re.search(r"Swift/|Fatal error|Optional\(|NIOCore|HTTPClientError|tw_[0-9a-f]{64}", outcome.err), outcome
    return outcome


# Pages, accounts, members


def test_pages_are_made_listed_shown_and_deleted(tipwire, server):
    slug = fresh("shop")
    tipwire.must("page", "create", slug, "--title", "My Shop", "--url", "https://example.com/s", "--currency", "EUR")
    listed = tipwire.must("page", "list").out
    assert slug in listed and "My Shop" in listed
    shown = tipwire.must("page", "show", slug).out
    for word in (slug, "My Shop", "https://example.com/s", "EUR"):
        assert word in shown
    page = tipwire.must("page", "show", slug, "--json").json
    assert page == server.get(f"/api/v1/pages/{slug}").json
    tipwire.must("page", "delete", slug)
    refused(tipwire.run("page", "show", slug), f"page '{slug}' does not exist")


def test_json_prints_the_apis_answer(tipwire, server, slug):
    assert tipwire.must("page", "list", "--json").json["data"]
    created = tipwire.must("page", "create", fresh("page"), "--json").json
    assert created == server.get(f"/api/v1/pages/{created['slug']}").json
    assert set(tipwire.must("tip", slug, "--amount", "1.00", "--json").json) >= {"tip", "events", "cursor"}
    assert set(tipwire.must("tips", slug, "--json").json) >= {"data", "next"}


def test_a_page_for_another_account_and_its_members(tipwire, server):
    owner, member, slug = fresh("owner"), fresh("member"), fresh("page")
    for name in (owner, member):
        tipwire.must("account", "create", name)
    listed = tipwire.must("account", "list").out
    assert owner in listed and member in listed
    tipwire.must("page", "create", slug, "--owner", owner)
    assert server.get(f"/api/v1/pages/{slug}").json["owner"] == owner
    key = server.key(account=member)
    assert server.get(f"/api/v1/pages/{slug}/tips", key=key).status == 404
    tipwire.must("page", "member", "add", slug, member)
    assert server.get(f"/api/v1/pages/{slug}/tips", key=key).status == 200
    tipwire.must("page", "member", "remove", slug, member)
    assert server.get(f"/api/v1/pages/{slug}/tips", key=key).status == 404


# Keys


def test_keys_are_made_listed_and_revoked(tipwire, server, slug):
    name = fresh("overlay-bot")
    made = tipwire.must(
        "key", "create", "--name", name, "--scope", "events:read", "--scope", "tips:write", "--page", slug,
        "--expires", "30d", "--json").json
    assert sorted(made["scopes"]) == ["events:read", "tips:write"] and made["pages"] == [slug]
    days = (time.mktime(time.strptime(made["expiresAt"][:19], "%Y-%m-%dT%H:%M:%S"))
            - time.mktime(time.strptime(made["createdAt"][:19], "%Y-%m-%dT%H:%M:%S"))) / 86400
    assert 29.9 < days < 30.1
    listed = tipwire.must("key", "list").out
    assert name in listed and made["prefix"] in listed and made["key"] not in listed
    with server.feed(made["key"], "activity-feed", slug) as feed:
        feed.says_nothing_but_pong()
        tipwire.must("key", "revoke", made["id"])
        assert feed.closed() == 1008


def test_a_new_key_is_printed_once_in_plain_text_and_works(tipwire, server):
    out = tipwire.must("key", "create", "--name", fresh("plain")).out
    keys = re.findall(r"tw_[0-9a-f]{64}", out)
    assert len(keys) == 1
    with server.feed(keys[0]) as feed:
        feed.says_nothing_but_pong()


# Tips


def test_a_tip_is_sent_listed_and_replayed(tipwire, server):
    slug = server.page()
    with server.feed(server.admin, "activity-feed", slug) as feed:
        tipwire.must("tip", slug, "--amount", "5.00", "--name", "J\u00e4mie", "--message", "Keep it up! \U0001f600", "--id", "the-tip")
        tip = feed.event()["payload"]["campaignTip"]
        assert (tip["grossAmountInCents"], tip["displayName"], tip["message"], tip["id"]) == (
            500, "J\u00e4mie", "Keep it up! \U0001f600", "the-tip")
        listed = tipwire.must("tips", slug).out
        assert "J\u00e4mie" in listed and "5.00" in listed and "the-tip" in listed
        tipwire.must("replay", slug, "the-tip")
        assert feed.tip_id() == "the-tip"
        tipwire.must("tip", slug, "--amount", "1.50", "--name", "Hidden", "--anonymous")
        tip = feed.event()["payload"]["campaignTip"]
        assert (tip["grossAmountInCents"], tip["displayName"]) == (150, "")


def test_tips_shows_as_many_as_asked_for_newest_first(tipwire, server):
    slug = server.page()
    for number in range(5):
        server.tip(slug, displayName=f"Person-{number}")
    listed = tipwire.must("tips", slug, "--limit", "2").out
    assert listed.index("Person-4") < listed.index("Person-3") and "Person-2" not in listed


@pytest.mark.parametrize("currency, amount, cents", [
    ("USD", "5.00", 500), ("USD", "0.01", 1), ("USD", "5", 500), ("USD", "1000000.00", 100_000_000), ("JPY", "500", 500),
    ("KWD", "1.234", 1234)])
def test_amounts_have_the_digits_of_their_currency(tipwire, server, currency, amount, cents):
    slug = server.page(currency=currency)
    answer = tipwire.must("tip", slug, "--amount", amount, "--json").json
    assert answer["tip"]["grossAmountInCents"] == cents
    if "." in amount or currency == "JPY":
        assert amount in tipwire.must("tips", slug).out.replace(",", "")


@pytest.mark.parametrize("currency, amount", [
    ("USD", "5.001"), ("USD", "5.000"), ("JPY", "5.0"), ("KWD", "1.2345"), ("USD", "five"), ("USD", "-5.00"), ("USD", ""),
    ("USD", "1e3"), ("USD", "0"), ("USD", "1000000.01"), ("USD", "99999999999999999999"), ("USD", "5,00")])
def test_an_amount_that_is_none_is_refused(tipwire, server, currency, amount):
    slug = server.page(currency=currency)
    outcome = tipwire.run("tip", slug, f"--amount={amount}")
    assert outcome.status in (1, 64) and outcome.err.strip() and not outcome.out, outcome
    assert server.log(slug) == []


def test_fifty_tips_at_a_hundred_a_second_all_arrive_with_progress(tipwire, server):
    slug = server.page()
    with server.feed(server.admin, "activity-feed", slug) as feed:
        began = time.monotonic()
        outcome = tipwire.must("tip", slug, "--amount", "2.00", "--count", "50", "--rate", "100")
        took = time.monotonic() - began
        identifiers = feed.tip_ids(50)
        feed.says_nothing_but_pong()
    assert len(set(identifiers)) == 50
    assert "50" in outcome.out + outcome.err
    assert 0.4 < took < 10.0, "at that rate"


def test_the_same_id_twice_is_told_and_other_content_refused(tipwire, server):
    slug = server.page()
    tipwire.must("tip", slug, "--amount", "5.00", "--id", "once")
    tipwire.must("tip", slug, "--amount", "5.00", "--id", "once")
    refused(tipwire.run("tip", slug, "--amount", "6.00", "--id", "once"), "id", "other content")
    assert len(server.log(slug)) == 1


# What goes wrong


@pytest.mark.parametrize("verb", [
    ["tip", "pally", "--amount", "5.00"], ["tips", "pally"], ["page", "show", "pally"], ["replay", "pally", "some-tip"]])
def test_an_unknown_page_is_named_with_the_way_to_make_it(tipwire, verb):
    refused(tipwire.run(*verb), "page 'pally' does not exist", "tipwire page create pally")


def test_a_tip_that_is_not_there_is_named(tipwire, slug):
    refused(tipwire.run("replay", slug, "no-such-tip"), "no-such-tip")


def test_a_taken_name_and_a_bad_field_are_told(tipwire, slug):
    refused(tipwire.run("page", "create", slug), "taken")
    bad_slug = tipwire.run("page", "create", "Not_A_Slug!")
    assert bad_slug.status in (1, 64) and "hyphens" in bad_slug.err and not bad_slug.out, bad_slug
    refused(tipwire.run("tip", slug, "--amount", "5.00", "--name", "n" * 101), "100")
    refused(tipwire.run("key", "revoke", "no-such-key"), "no-such-key")


def test_a_bad_key_is_told_and_not_shown(tipwire):
    bad = "tw_" + "7" * 64
    refused(tipwire.run("page", "list", TIPWIRE_KEY=bad), "key")
    refused(tipwire.run("page", "list", "--key", bad), "key")


def test_a_server_that_is_not_there_is_told(tipwire):
    refused(tipwire.run("page", "list", TIPWIRE_SERVER="http://127.0.0.1:1"), "127.0.0.1:1")


def test_something_that_is_no_tipwire_server_is_told(tipwire, server):
    for url in ("ftp://127.0.0.1", "nonsense", f"{server.url}/below"):
        outcome = tipwire.run("page", "list", "--server", url)
        assert outcome.status in (1, 64) and outcome.err.strip(), outcome


@pytest.mark.parametrize("arguments", [
    ["no-such-verb"], ["page"], ["tip"], ["page", "create"], ["tip", "slug"], ["key", "create"], ["page", "list", "--no-such"],
    ["tip", "slug", "--amount", "1.00", "--count", "many"], ["replay", "slug"], ["goal", "lst"], ["tip", "slug", "--amount", "-5"]])
def test_wrong_usage_is_status_64_with_a_usage_line(tipwire, arguments):
    outcome = tipwire.run(*arguments)
    if arguments == ["page"]:
        # A bare group may show its help.
        assert outcome.status in (0, 64), outcome
    else:
        assert outcome.status == 64 and "sage" in outcome.err and not outcome.out, outcome


def test_a_mistyped_command_is_answered_with_the_one_that_was_meant(tipwire):
    outcome = tipwire.run("tpi", "demo", "--amount", "5.00")
    assert outcome.status == 64 and "did you mean 'tip'?" in outcome.err and not outcome.out, outcome


@pytest.mark.parametrize("arguments", [
    [], ["serve"], ["page"], ["page", "create"], ["page", "member"], ["account"], ["key"], ["key", "create"], ["tip"], ["tips"],
    ["replay"], ["listen"]])
def test_help_is_there_for_every_verb(tipwire, arguments):
    outcome = tipwire.run(*arguments, "--help")
    assert outcome.status == 0 and "usage" in outcome.out.lower() and not outcome.err, outcome


def test_the_admin_key_of_the_data_folder_is_used_without_a_key(server, tmp_path):
    tipwire = CommandLine(server)
    del tipwire.env["TIPWIRE_KEY"]
    assert tipwire.must("page", "list", TIPWIRE_DATA=str(server.data)).status == 0
    (tmp_path / "tipwire-data").mkdir()
    (tmp_path / "tipwire-data/admin.key").write_text(server.admin + "\n")
    beside = CommandLine(server, cwd=tmp_path)
    del beside.env["TIPWIRE_KEY"]
    assert beside.must("page", "list").status == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    lost = CommandLine(server, cwd=empty)
    del lost.env["TIPWIRE_KEY"]
    refused(lost.run("page", "list"), "TIPWIRE_KEY")


def test_a_table_is_aligned_and_control_characters_of_tippers_never_reach_the_terminal(tipwire, server):
    slug = server.page()
    server.tip(slug, displayName="\u202eevil\u202c", message="line one\nline two")
    server.tip(slug, displayName="Plain", message="x")
    out = tipwire.must("tips", slug).out
    assert "\x1b" not in out
    rows = [line for line in out.splitlines() if "Plain" in line or "evil" in line]
    assert len(rows) == 2, out
    assert "line two" not in [line.strip() for line in out.splitlines()], "one row a tip"


# Listen


def test_listen_prints_one_readable_line_an_event(tipwire, server):
    slug = server.page()
    with tipwire.listen("--page", slug) as listener:
        # Until it listens nothing is printed for a tip: send until the first shows.
        number = 0

        def first():
            nonlocal number
            number += 1
            server.tip(slug, displayName=f"Warm-{number}")
            return listener.having("Warm-")

        eventually(first, "the first line", 15, every=0.2)
        server.tip(slug, displayName="J\u00e4mie", message="two\nlines \U0001f600", grossAmountInCents=1234)
        listener.wait_for_text("J\u00e4mie")
        line, = listener.having("J\u00e4mie")
        assert "12.34" in line and "\U0001f600" in line, line
        tip = server.tip(slug, displayName="Again")["tip"]["id"]
        listener.wait_for_text("Again")
        server.replay(slug, tip)
        listener.wait_for(lambda lines: len([line for line in lines if "Again" in line]) == 2, "the replay")
        listener.process.send_signal(signal.SIGINT)
        assert listener.process.wait(10) in (0, 130, -signal.SIGINT)


def test_listen_since_a_cursor_prints_what_was_missed(tipwire, server):
    slug = server.page()
    since = server.tip(slug, displayName="Seen")["cursor"]
    for number in range(3):
        server.tip(slug, displayName=f"Missed-{number}")
    with tipwire.listen("--page", slug, "--since", since) as listener:
        listener.wait_for_text("Missed-2")
        assert [len(listener.having(f"Missed-{number}")) for number in range(3)] == [1, 1, 1]
        assert not listener.having("Seen")


def test_listen_without_a_page_is_the_firehose(tipwire, server):
    one, two = server.page(), server.page()
    since = server.head(one)
    server.tip(one, displayName="To-One")
    server.tip(two, displayName="To-Two")
    with tipwire.listen("--since", since) as listener:
        listener.wait_for_text("To-Two")
        assert one in listener.having("To-One")[0] and two in listener.having("To-Two")[0]


def test_listen_survives_a_restart_and_misses_nothing(make_server):
    server = make_server()
    slug = server.page()
    tipwire = CommandLine(server)
    with tipwire.listen("--page", slug, "--since", server.head(slug)) as listener:
        server.tip(slug, displayName="Before-")
        listener.wait_for_text("Before-")
        for number in range(2):
            server.kill() if number else server.close()
            server.start()
            # It is away for some jittered while; these it must fetch from the log.
            for tip in range(5):
                server.tip(slug, displayName=f"Round-{number}-Tip-{tip}.")
            listener.wait_for_text(f"Round-{number}-Tip-4.", 30)
        names = ["Before-"] + [f"Round-{number}-Tip-{tip}." for number in range(2) for tip in range(5)]
        printed = [next(name for name in names if name in line) for line in listener.lines if any(n in line for n in names)]
        assert printed == names, "each once, in order"
        assert listener.process.poll() is None


def test_listen_ends_with_a_message_when_it_may_not(tipwire, server, slug):
    for arguments, env in ((["--page", "pally"], {}), ([], {"TIPWIRE_KEY": "tw_" + "8" * 64})):
        outcome = tipwire.run("listen", *arguments, timeout=20, **env)
        assert outcome.status == 1 and outcome.err.strip(), outcome
        assert "tw_" + "8" * 64 not in outcome.err


def test_listen_ends_when_its_key_is_revoked(server, slug):
    key = server.key_object()
    with CommandLine(server, key["key"]).listen("--page", slug, "--since", server.head(slug)) as listener:
        server.tip(slug, displayName="Heard")
        listener.wait_for_text("Heard")
        assert server.delete(f"/api/v1/keys/{key['id']}").status == 204
        assert listener.process.wait(20) == 1
        eventually(lambda: listener.errors, "a message")
