"""Taking tips in: what a good one is answered, what a bad one is told, and that nothing of a bad one stays."""

import concurrent.futures
import datetime
import json

import pytest

from support.http import TIME, problem
from support.rawsocket import RawSocket
from support.server import fresh

# Shapes may grow ("keep them, add to them"), so members are asked for with `>=`.
TIP_MEMBERS = {
    "id", "page", "displayName", "message", "grossAmountInCents", "processingFeeInCents", "netAmountInCents", "currency",
    "isAnonymous", "createdAt", "processedAt", "refundedAt"}
FACE = "\U0001f600"


@pytest.fixture(scope="module")
def slug(server):
    """A page for the tests that don't count what it has."""
    return server.page()


@pytest.fixture
def stores_nothing(server, slug):
    """The log's head must be the same after the test: no refused request leaves anything."""
    before = server.head(slug)
    yield
    assert server.head(slug) == before, "a refused request left something in the log"


def post(server, slug, body, **headers):
    return server.post(f"/api/v1/pages/{slug}/tips", body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def post_batch(server, slug, tips, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.post(f"/api/v1/pages/{slug}/tips:batch", {"tips": tips}, headers=headers)


def in_minutes(minutes):
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


# A good tip


def test_a_tip_is_answered_with_201_and_the_documented_shape(server, slug):
    answer = post(server, slug, {
        "displayName": "Jamie", "grossAmountInCents": 500, "processingFeeInCents": 45, "message": "Keep it up!",
        "isAnonymous": False, "id": fresh("tip"), "createdAt": "2024-03-13T18:02:33.743Z"})
    assert answer.status == 201 and answer.content_type == "application/json", answer
    assert set(answer.json) >= {"tip", "events", "cursor"}
    tip, (event,) = answer.json["tip"], answer.json["events"]
    assert set(tip) >= TIP_MEMBERS
    assert tip["page"] == slug and tip["currency"] == "USD" and tip["refundedAt"] is None
    assert (tip["grossAmountInCents"], tip["processingFeeInCents"], tip["netAmountInCents"]) == (500, 45, 455)
    assert tip["createdAt"] == "2024-03-13T18:02:33.743Z" and TIME.fullmatch(tip["processedAt"])
    assert set(event) >= {"cursor", "type", "page", "time", "data"}
    assert (event["type"], event["page"], event["time"]) == ("tip.received", slug, tip["processedAt"])
    assert event["cursor"] == answer.json["cursor"]
    assert event["data"] == tip | {"goalId": None, "goalProgress": None, "goalTarget": None}
    assert server.log(slug)[-1] == event
    one = server.get(f"/api/v1/pages/{slug}/tips/{tip['id']}")
    assert one.status == 200 and tip.items() <= one.json.items(), one


def test_null_for_an_optional_member_counts_as_absent(server, slug):
    optional = ("displayName", "processingFeeInCents", "message", "isAnonymous", "id", "createdAt")
    tip = server.tip(slug, **dict.fromkeys(optional))["tip"]
    assert (tip["displayName"], tip["message"], tip["processingFeeInCents"]) == ("", "", 0)
    assert tip["id"] and tip["createdAt"] == tip["processedAt"]


@pytest.mark.parametrize("given, kept", [
    ("2024-03-13T18:02:33.743Z", "2024-03-13T18:02:33.743Z"), ("2024-03-13T18:02:33Z", "2024-03-13T18:02:33.000Z"),
    ("2000-01-01T00:00:00.000Z", "2000-01-01T00:00:00.000Z"), ("2024-02-29T23:59:59.9Z", "2024-02-29T23:59:59.900Z"),
    ("2024-03-13T20:02:33.743+02:00", "2024-03-13T18:02:33.743Z"),
])
def test_the_callers_time_is_kept_with_three_fraction_digits_in_utc(server, slug, given, kept):
    assert server.tip(slug, createdAt=given)["tip"]["createdAt"] == kept


def test_the_slug_in_an_address_is_read_in_any_case(server, slug):
    assert server.tip(slug.upper())["tip"]["page"] == slug


# Limits, each at and one over


@pytest.mark.parametrize("fields", [
    {"grossAmountInCents": 1}, {"grossAmountInCents": 100_000_000},
    {"processingFeeInCents": 0}, {"processingFeeInCents": 500},
    {"displayName": "n" * 100}, {"displayName": FACE * 100}, {"displayName": "e\u0301" * 50},
    {"message": "m" * 1000}, {"message": FACE * 1000}, {"message": "e\u0301" * 500}, {"message": "a\nb\n"},
    {"id": "Aa0_.:-"}, {"id": "."},
    {"createdAt": "2000-01-01T00:00:00.000Z"},
], ids=lambda fields: "-".join(f"{name}={str(value)[:12]!a}" for name, value in fields.items()))
def test_a_tip_at_its_limit_is_taken(server, slug, fields):
    tip = server.tip(slug, **fields)["tip"]
    assert fields.items() <= tip.items()


def test_an_id_may_have_64_characters_and_a_time_may_lie_four_minutes_ahead(server, slug):
    server.tip(slug, id=fresh("i" * 60)[:64].ljust(64, "-"), createdAt=in_minutes(4))
    assert post(server, slug, {"grossAmountInCents": 1}, Idempotency_Key=fresh("k" * 50).ljust(64, "_")).status == 201


@pytest.mark.parametrize("field, value", [
    ("grossAmountInCents", 0), ("grossAmountInCents", -1), ("grossAmountInCents", 100_000_001),
    ("grossAmountInCents", 10**19), ("grossAmountInCents", 10**40), ("grossAmountInCents", 1.5),
    ("grossAmountInCents", 1e300), ("grossAmountInCents", "500"), ("grossAmountInCents", True), ("grossAmountInCents", None),
    ("grossAmountInCents", [500]), ("grossAmountInCents", {}),
    ("processingFeeInCents", -1), ("processingFeeInCents", 501), ("processingFeeInCents", "0"), ("processingFeeInCents", 0.5),
    ("processingFeeInCents", False),
    ("displayName", "n" * 101), ("displayName", FACE * 101), ("displayName", "e\u0301" * 51), ("displayName", 5),
    ("displayName", ["n"]), ("displayName", "a\u0000b"), ("displayName", "a\u0007"), ("displayName", "\u009f"),
    ("message", "m" * 1001), ("message", FACE * 1001), ("message", "e\u0301" * 501), ("message", {"text": "hi"}),
    ("message", True), ("message", "\u0000"), ("message", "a\tb"), ("message", "a\r\nb"), ("message", "\u001b[31m"),
    ("message", "\u007f"), ("message", "\u0085"),
    ("isAnonymous", "true"), ("isAnonymous", 1), ("isAnonymous", []),
    ("id", ""), ("id", "i" * 65), ("id", "a b"), ("id", "a/b"), ("id", "\u00e9"), ("id", "a\n"), ("id", 7), ("id", True),
    ("createdAt", "1999-12-31T23:59:59.999Z"), ("createdAt", "9999-12-31T23:59:59.999Z"), ("createdAt", "yesterday"),
    ("createdAt", "2024-02-30T00:00:00Z"), ("createdAt", "2024-03-13"), ("createdAt", "2024-03-13T25:00:00Z"),
    ("createdAt", ""), ("createdAt", 1710352953), ("createdAt", "2024-03-13T18:02:33.743"),
    ("nickname", "x"), ("GrossAmountInCents", 5), ("", 1), ("cursor", None),
], ids=lambda value: repr(value)[:24])
def test_a_tip_beyond_a_limit_is_refused_with_the_field_named(server, slug, stores_nothing, field, value):
    body = {"grossAmountInCents": 500} | {field: value}
    answer = post(server, slug, body)
    assert problem(answer, 422) == [field], answer


def test_a_time_six_minutes_ahead_is_refused(server, slug, stores_nothing):
    problem(post(server, slug, {"grossAmountInCents": 1, "createdAt": in_minutes(6)}), 422, "createdAt")


def test_a_missing_amount_is_named(server, slug, stores_nothing):
    assert problem(post(server, slug, {}), 422) == ["grossAmountInCents"]


def test_every_bad_field_is_named_at_once(server, slug, stores_nothing):
    named = problem(post(server, slug, {
        "grossAmountInCents": 0, "displayName": 5, "message": "m" * 1001, "isAnonymous": "no", "id": "a b",
        "createdAt": "yesterday", "wat": 1, "why": None, "processingFeeInCents": -1}), 422)
    assert sorted(named) == sorted([
        "grossAmountInCents", "displayName", "message", "isAnonymous", "id", "createdAt", "wat", "why",
        "processingFeeInCents"])


def test_lengths_count_scalars_not_what_the_eye_counts(server, slug):
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"  # One picture, seven scalars.
    assert server.tip(slug, displayName=family * 14)["tip"]["displayName"] == family * 14
    problem(post(server, slug, {"grossAmountInCents": 1, "displayName": family * 15}), 422, "displayName")


def test_numbers_may_be_spelt_in_any_json_way_that_is_whole_or_are_refused_never_rounded(server, slug):
    for spelt in ("5e2", "500.0", "5E+2"):
        answer = post(server, slug, b'{"grossAmountInCents":' + spelt.encode() + b"}")
        assert answer.status in (201, 422), answer
        if answer.status == 201:
            assert answer.json["tip"]["grossAmountInCents"] == 500
            assert b'"grossAmountInCents":500,' in answer.body.replace(b" ", b"")


# Bad requests


@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b"nope", b"{'grossAmountInCents':5}", b'{"grossAmountInCents":5}x', b'{"grossAmountInCents":5,}',
    b'{"grossAmountInCents":05}', b'{"grossAmountInCents":NaN}', b'{"grossAmountInCents":5,"message":"\xff"}',
    b'{"grossAmountInCents":5,"message":"\x07"}', b'{"grossAmountInCents":5 "message":""}', b"\x00", b"[" * 60000,
])
def test_what_is_not_json_is_400(server, slug, stores_nothing, body):
    problem(post(server, slug, body), 400)


def test_half_a_surrogate_pair_is_refused(server, slug, stores_nothing):
    answer = post(server, slug, rb'{"grossAmountInCents":5,"message":"\ud83d"}')
    assert answer.status in (400, 422), answer


@pytest.mark.parametrize("body", [b"[]", b"5", b'"tip"', b"null", b"true"])
def test_json_that_is_no_object_is_refused(server, slug, stores_nothing, body):
    answer = post(server, slug, body)
    assert answer.status in (400, 422) and answer.content_type == "application/problem+json", answer


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json", ""])
def test_another_content_type_is_415(server, slug, stores_nothing, content_type):
    answer = post(server, slug, b'{"grossAmountInCents":5}', Content_Type=content_type)
    problem(answer, 415)


def test_no_content_type_at_all_is_415(server, slug, stores_nothing):
    headers = {"Authorization": f"Bearer {server.admin}"}
    problem(server.raw("POST", f"/api/v1/pages/{slug}/tips", b'{"grossAmountInCents":5}', headers), 415)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"])
def test_json_with_parameters_and_in_any_case_is_taken(server, slug, content_type):
    assert post(server, slug, b'{"grossAmountInCents":5}', Content_Type=content_type).status == 201


def test_a_body_of_64_kib_is_taken_and_one_byte_more_is_413(server, slug):
    tip = b'{"grossAmountInCents":5}'
    assert post(server, slug, tip.ljust(65536)).status == 201
    before = server.head(slug)
    problem(post(server, slug, tip.ljust(65537)), 413)
    assert server.head(slug) == before


def test_a_chunked_body_is_held_to_the_same_limit(server, slug):
    tip = b'{"grossAmountInCents":5}'
    path = f"/api/v1/pages/{slug}/tips"
    headers = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}

    def chunks(size):
        body = tip.ljust(size)
        return iter([body[start:start + 8000] for start in range(0, size, 8000)])

    headers["Authorization"] = f"Bearer {server.admin}"
    assert server.raw("POST", path, chunks(65536), headers).status == 201
    before = server.head(slug)
    problem(server.raw("POST", path, chunks(65537), headers), 413)
    assert server.head(slug) == before


@pytest.mark.parametrize("suffix, length", [("tips", 65537), ("tips", 10**12), ("tips:batch", (8 << 20) + 1)])
def test_an_announced_body_that_is_too_large_is_refused_before_it_is_sent(server, slug, stores_nothing, suffix, length):
    with RawSocket(server.port) as socket:
        socket.send((
            f"POST /api/v1/pages/{slug}/{suffix} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.admin}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n").encode() + b"{")
        assert socket.head()[0] == 413


@pytest.mark.parametrize("path", ["/api/v1/pages/{nobody}/tips", "/api/v1/pages/{nobody}/tips:batch", "/api/v1/pages/a%20b/tips"])
def test_a_tip_to_no_page_is_404(server, slug, stores_nothing, path):
    problem(server.post(path.format(nobody=fresh("nobody")), {"grossAmountInCents": 5}), 404)


def test_an_unknown_address_is_404_and_a_problem_too(server):
    problem(server.get("/api/v1/nope"), 404)
    problem(server.get("/api/v1/pages/nope"), 404)


@pytest.mark.parametrize("suffix", ["tips", "tips:batch"])
def test_a_tip_without_a_key_is_401(server, slug, stores_nothing, suffix):
    answer = server.post(f"/api/v1/pages/{slug}/{suffix}", {"grossAmountInCents": 5}, key=None)
    problem(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


# Idempotency


def test_the_same_id_with_the_same_content_is_200_with_the_first_answer_and_no_new_event(server, slug):
    body = {"id": fresh("tip"), "displayName": "Jamie", "grossAmountInCents": 500, "message": ""}
    first = post(server, slug, body)
    head = server.head(slug)
    assert first.status == 201
    same = [
        body, {"id": body["id"], "displayName": "Jamie", "grossAmountInCents": 500},
        body | {"processingFeeInCents": 0, "isAnonymous": False, "createdAt": None}]
    for again in same:
        answer = post(server, slug, again)
        assert answer.status == 200 and answer.json == first.json, answer
    assert server.head(slug) == head


@pytest.mark.parametrize("change", [
    {"grossAmountInCents": 501}, {"displayName": "Jamy"}, {"message": "hi"}, {"processingFeeInCents": 1}, {"isAnonymous": True},
])
def test_the_same_id_with_other_content_is_409(server, slug, change):
    body = {"id": fresh("tip"), "displayName": "Jamie", "grossAmountInCents": 500}
    assert post(server, slug, body).status == 201
    head = server.head(slug)
    problem(post(server, slug, body | change), 409)
    assert server.head(slug) == head


def test_of_an_anonymous_tip_the_name_is_not_compared(server, slug):
    body = {"id": fresh("tip"), "grossAmountInCents": 500, "isAnonymous": True}
    first = post(server, slug, body | {"displayName": "Jamie"})
    for other in ({"displayName": "Kim"}, {}, {"displayName": " ", "isAnonymous": False}):
        again = post(server, slug, body | other)
        assert again.status == 200 and again.json == first.json, again


def test_an_id_belongs_to_its_page_alone(server, slug):
    other = server.page()
    identifier = fresh("tip")
    assert post(server, slug, {"id": identifier, "grossAmountInCents": 1}).status == 201
    assert post(server, other, {"id": identifier, "grossAmountInCents": 2}).status == 201


def test_an_idempotency_key_does_the_same_for_callers_without_an_id(server, slug):
    key = fresh("key")
    first = post(server, slug, {"grossAmountInCents": 700, "displayName": "Jamie"}, Idempotency_Key=key)
    assert first.status == 201
    head = server.head(slug)
    again = post(server, slug, {"grossAmountInCents": 700, "displayName": "Jamie", "message": None}, Idempotency_Key=key)
    assert again.status == 200 and again.json == first.json, again
    problem(post(server, slug, {"grossAmountInCents": 701, "displayName": "Jamie"}, Idempotency_Key=key), 409)
    assert server.head(slug) == head
    assert post(server, server.page(), {"grossAmountInCents": 701}, Idempotency_Key=key).status == 201, "another page's"


def test_an_idempotency_key_stands_beside_an_id_and_for_the_same_tip(server, slug):
    key, identifier = fresh("key"), fresh("tip")
    first = post(server, slug, {"grossAmountInCents": 5, "id": identifier}, Idempotency_Key=key)
    assert first.status == 201
    again = post(server, slug, {"grossAmountInCents": 5, "id": identifier}, Idempotency_Key=key)
    assert again.status == 200 and again.json == first.json
    head = server.head(slug)
    assert post(server, slug, {"grossAmountInCents": 5, "id": fresh("tip")}, Idempotency_Key=key).status in (200, 409)
    assert server.head(slug) == head


@pytest.mark.parametrize("key", ["k" * 65, "a b", "a/b", "\u00e9"])
def test_a_malformed_idempotency_key_is_refused(server, slug, stores_nothing, key):
    problem(post(server, slug, {"grossAmountInCents": 1}, Idempotency_Key=key), 422)


def test_of_many_callers_at_once_with_one_id_exactly_one_makes_the_tip(server, slug):
    body = {"id": fresh("tip"), "grossAmountInCents": 500, "displayName": "Race"}
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: post(server, slug, body), range(24)))
    assert sorted(answer.status for answer in answers) == [200] * 23 + [201]
    assert len({answer.body for answer in answers}) == 1
    assert [event["data"]["id"] for event in server.log(slug)].count(body["id"]) == 1


def test_of_many_contents_at_once_under_one_id_exactly_one_wins(server, slug):
    identifier = fresh("tip")
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: post(server, slug, {"id": identifier, "grossAmountInCents": n}), range(1, 25)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 23


# Batches


def test_a_batch_is_answered_in_order_and_stands_in_the_log_in_order(server):
    slug = server.page()
    tips = [{"grossAmountInCents": number, "id": f"b{number}"} for number in range(1, 51)]
    answer = post_batch(server, slug, tips)
    assert answer.status == 201 and set(answer.json) >= {"results"}, answer
    results = answer.json["results"]
    assert all(set(result) >= {"tip", "events", "cursor"} for result in results)
    assert [result["tip"]["id"] for result in results] == [tip["id"] for tip in tips]
    assert [event["cursor"] for event in server.log(slug)] == [result["cursor"] for result in results]


def test_repeats_inside_a_batch_are_answered_as_their_first(server):
    slug = server.page()
    old = server.tip(slug, id="old")
    answer = post_batch(server, slug, [
        {"id": "a", "grossAmountInCents": 1}, {"id": "old", "grossAmountInCents": 500}, {"id": "b", "grossAmountInCents": 2},
        {"id": "a", "grossAmountInCents": 1}, {"grossAmountInCents": 3}, {"grossAmountInCents": 3}])
    assert answer.status == 201, answer
    results = answer.json["results"]
    assert results[1] == old and results[3] == results[0]
    assert results[4]["tip"]["id"] != results[5]["tip"]["id"], "tips without an id are tips of their own"
    assert len(server.log(slug)) == 5


def test_a_batch_of_nothing_but_repeats_is_200(server):
    slug = server.page()
    tips = [{"id": "a", "grossAmountInCents": 1}, {"id": "b", "grossAmountInCents": 2}]
    first = post_batch(server, slug, tips)
    again = post_batch(server, slug, tips)
    assert (first.status, again.status) == (201, 200) and again.json == first.json
    assert len(server.log(slug)) == 2


def test_a_bad_tip_of_a_batch_is_named_by_its_place_and_nothing_is_stored(server, slug, stores_nothing):
    named = problem(post_batch(server, slug, [
        {"grossAmountInCents": 1}, {"grossAmountInCents": 0, "displayName": "n" * 101}, {"grossAmountInCents": 1, "wat": 1},
        {"grossAmountInCents": "1"}, {}]), 422)
    assert sorted(named) == sorted([
        "tips/1/grossAmountInCents", "tips/1/displayName", "tips/2/wat", "tips/3/grossAmountInCents",
        "tips/4/grossAmountInCents"])


def test_a_conflict_in_a_batch_is_named_by_its_place_and_nothing_is_stored(server):
    slug = server.page()
    server.tip(slug, id="taken")
    head = server.head(slug)
    fresh_tip = {"id": "new", "grossAmountInCents": 1}
    problem(post_batch(server, slug, [fresh_tip, {"id": "taken", "grossAmountInCents": 1}]), 409, "tips/1/id")
    problem(post_batch(server, slug, [fresh_tip, {"id": "new", "grossAmountInCents": 2}]), 409, "tips/1/id")
    assert server.head(slug) == head
    assert server.get(f"/api/v1/pages/{slug}/tips/new").status == 404


def test_an_idempotency_key_does_not_go_with_a_batch(server, slug, stores_nothing):
    problem(post_batch(server, slug, [{"grossAmountInCents": 1}], Idempotency_Key=fresh("key")), 422)


def test_a_batch_of_1000_is_taken_and_one_of_1001_is_not(server):
    slug = server.page()
    assert len(post_batch(server, slug, [{"grossAmountInCents": 1}] * 1000).json["results"]) == 1000
    problem(post_batch(server, slug, [{"grossAmountInCents": 1}] * 1001), 422, "tips")
    assert len(server.log(slug)) == 1000


@pytest.mark.parametrize("body, field", [
    ({}, "tips"), ({"tips": None}, "tips"), ({"tips": {}}, "tips"), ({"tips": "no"}, "tips"),
    ({"tips": [{"grossAmountInCents": 1}], "more": 1}, "more"), ({"tips": [1]}, "tips/0"), ({"tips": [None]}, "tips/0"),
])
def test_a_batch_of_the_wrong_shape_is_refused_with_the_member_named(server, slug, stores_nothing, body, field):
    problem(server.post(f"/api/v1/pages/{slug}/tips:batch", body), 422, field)


def test_a_batch_of_8_mib_is_taken_and_one_byte_more_is_413(server, slug):
    body = json.dumps({"tips": [{"grossAmountInCents": 1}]}).encode()
    path = f"/api/v1/pages/{slug}/tips:batch"
    assert server.post(path, body.ljust(8 << 20)).status == 201
    before = server.head(slug)
    try:
        problem(server.post(path, body.ljust((8 << 20) + 1)), 413)
    except (BrokenPipeError, ConnectionResetError):
        pass  # It may answer and hang up before the last byte is sent.
    assert server.head(slug) == before


# Lists


def test_tips_are_listed_newest_first_and_paged_to_the_end_while_more_come_in(server):
    slug = server.page()
    posted = [result["tip"]["id"] for result in server.batch(slug, [{"grossAmountInCents": 1}] * 23)]
    listed, after, pages = [], None, 0
    while True:
        path = f"/api/v1/pages/{slug}/tips?limit=5" + (f"&after={after}" if after else "")
        answer = server.get(path)
        assert answer.status == 200 and set(answer.json) >= {"data", "next"}, answer
        assert all(set(tip) >= TIP_MEMBERS for tip in answer.json["data"])
        listed += [tip["id"] for tip in answer.json["data"]]
        pages += 1
        server.tip(slug)
        after = answer.json["next"]
        if after is None:
            break
        assert len(answer.json["data"]) == 5 and pages < 10
    assert listed == posted[::-1]


def test_a_list_has_50_rows_by_default(server):
    slug = server.page()
    server.batch(slug, [{"grossAmountInCents": 1}] * 51)
    answer = server.get(f"/api/v1/pages/{slug}/tips").json
    assert len(answer["data"]) == 50 and answer["next"]
    assert len(server.get(f"/api/v1/pages/{slug}/tips?limit=1000").json["data"]) == 51
    assert len(server.get(f"/api/v1/pages/{slug}/tips?limit=1").json["data"]) == 1


def test_the_log_is_paged_to_its_end_oldest_first(server):
    slug, other = server.page(), server.page()
    posted = []
    for _ in range(7):
        posted += [result["cursor"] for result in server.batch(slug, [{"grossAmountInCents": 1}] * 3)]
        server.batch(other, [{"grossAmountInCents": 1}] * 3)
    for limit in (1, 4, 21, 1000):
        assert [event["cursor"] for event in server.log(slug, limit=limit)] == posted
    tail = server.get(f"/api/v1/pages/{slug}/events?since={posted[-1]}").json
    assert tail["data"] == [] and tail["status"] == "resumed" and tail["next"], "never null: the next call's since"
    cursor = server.tip(slug)["cursor"]
    assert [event["cursor"] for event in server.log(slug, tail["next"])] == [cursor]


@pytest.mark.parametrize("path, name", [("accounts", "name"), ("pages", "slug"), ("keys", "id")])
def test_every_list_is_paged_to_its_end_without_a_gap_or_a_repeat(server, path, name):
    for _ in range(3):
        {"accounts": server.account, "pages": server.page, "keys": server.key}[path]()
    whole = [row[name] for row in server.get(f"/api/v1/{path}?limit=1000").json["data"]]
    paged, after = [], None
    while True:
        answer = server.get(f"/api/v1/{path}?limit=7" + (f"&after={after}" if after else "")).json
        paged += [row[name] for row in answer["data"]]
        assert len(answer["data"]) <= 7 and len(paged) <= len(whole) + 7
        if (after := answer["next"]) is None:
            break
    assert paged == whole and len(set(whole)) == len(whole) >= 4


@pytest.mark.parametrize("path", ["pages", "keys", "accounts", "pages/{slug}/tips"])
def test_a_position_in_a_list_that_is_none_is_no_server_error(server, slug, path):
    for after in ("nonsense", "-1", "99999999999999999999", "%00", "%ff"):
        answer = server.get(f"/api/v1/{path.format(slug=slug)}?after={after}")
        assert answer.status in (200, 400, 422), answer


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "1.5", "99999999999999999999"])
@pytest.mark.parametrize("path", ["pages", "keys", "accounts", "connections", "pages/{slug}/tips", "pages/{slug}/events"])
def test_a_limit_out_of_range_is_422(server, slug, path, limit):
    problem(server.get(f"/api/v1/{path.format(slug=slug)}?limit={limit}"), 422, "limit")


# Pages and accounts


def test_a_page_has_the_documented_shape(server):
    account = server.account()
    slug = fresh("page")
    answer = server.post("/api/v1/pages", {
        "slug": slug.upper(), "title": "T" * 200, "url": "https://example.com/" + "u" * 1980, "currency": "JPY",
        "owner": account})
    assert answer.status == 201, answer
    page = answer.json
    assert set(page) >= {"id", "slug", "title", "url", "currency", "profileId", "owner", "createdAt"}
    assert (page["slug"], page["currency"], page["owner"]) == (slug, "JPY", account)
    assert isinstance(page["profileId"], int) and TIME.fullmatch(page["createdAt"])
    assert server.get(f"/api/v1/pages/{slug}").json == page
    assert server.tip(slug)["tip"]["currency"] == "JPY"
    problem(server.post("/api/v1/pages", {"slug": slug}), 409)


@pytest.mark.parametrize("body, field", [
    ({}, "slug"), ({"slug": ""}, "slug"), ({"slug": "-a"}, "slug"), ({"slug": "a_b"}, "slug"), ({"slug": "a" * 65}, "slug"),
    ({"slug": "\u00e9"}, "slug"), ({"slug": 5}, "slug"), ({"slug": "\u212a"}, "slug"),
    ({"title": "T" * 201}, "title"), ({"title": "a\u0000"}, "title"), ({"title": 5}, "title"),
    ({"url": "ftp://example.com"}, "url"), ({"url": "example.com"}, "url"), ({"url": "javascript:alert(1)"}, "url"),
    ({"url": "https://example.com/" + "u" * 1981}, "url"), ({"url": "https://"}, "url"),
    ({"currency": "usd$"}, "currency"), ({"currency": "XXXX"}, "currency"), ({"currency": 5}, "currency"),
    ({"owner": "no such account"}, "owner"), ({"colour": "red"}, "colour"),
], ids=lambda value: repr(value)[:30] if isinstance(value, dict) else value)
def test_a_bad_page_is_refused_with_the_field_named(server, body, field):
    body = ({"slug": fresh("page")} if field != "slug" else {}) | body
    assert problem(server.post("/api/v1/pages", body), 422) == [field]
    if field != "slug":
        assert server.get(f"/api/v1/pages/{body['slug']}").status == 404


def test_a_page_slug_of_64_characters_is_taken(server):
    slug = fresh("s" * 50).ljust(64, "0")
    assert server.page(slug) == slug


@pytest.mark.parametrize("body, field", [
    ({}, "name"), ({"name": ""}, "name"), ({"name": "a b"}, "name"), ({"name": "a" * 65}, "name"), ({"name": 5}, "name"),
    ({"name": "ok", "rank": 1}, "rank"),
])
def test_a_bad_account_is_refused_with_the_field_named(server, body, field):
    problem(server.post("/api/v1/accounts", body), 422, field)


def test_an_account_has_the_documented_shape(server):
    name = fresh("account")
    answer = server.post("/api/v1/accounts", {"name": name})
    assert answer.status == 201 and set(answer.json) >= {"id", "name", "createdAt"}, answer
    assert answer.json["name"] == name
    problem(server.post("/api/v1/accounts", {"name": name}), 409)
    assert name in [row["name"] for row in server.get("/api/v1/accounts?limit=1000").json["data"]]


@pytest.mark.parametrize("body, field", [
    ({"title": "T" * 201}, "title"), ({"url": "nonsense"}, "url"), ({"currency": "nope"}, "currency"), ({"wat": 1}, "wat"),
    ({"title": 5}, "title"), ({"currency": "JPY"}, "currency")])
def test_a_bad_change_of_a_page_is_refused_and_changes_nothing(server, slug, body, field):
    server.tip(slug)
    before = server.get(f"/api/v1/pages/{slug}").json
    answer = server.call("PATCH", f"/api/v1/pages/{slug}", body)
    # Tips in one currency forbid another: a conflict with what is there, or a bad field.
    assert answer.status in ((409, 422) if body == {"currency": "JPY"} else (422,)), answer
    problem(answer, answer.status, *([] if answer.status == 409 else [field]))
    assert server.get(f"/api/v1/pages/{slug}").json == before


def test_a_changed_page_shows_in_the_next_event(server):
    slug = server.page(title="Before")
    with server.feed(server.admin, "activity-feed", slug) as feed:
        server.tip(slug)
        assert feed.event()["payload"]["page"]["title"] == "Before"
        changed = server.call("PATCH", f"/api/v1/pages/{slug}", {"title": "After", "url": "https://example.com/a"})
        assert changed.status == 200 and changed.json["title"] == "After", changed
        server.tip(slug)
        page = feed.event()["payload"]["page"]
        assert (page["title"], page["url"]) == ("After", "https://example.com/a")


# Over the whole


def test_a_full_intake_says_503_with_a_time_and_stores_nothing_of_what_it_refused(make_server):
    server = make_server("--intake-max-pending", "1000", log_level="info")
    slug = server.page()
    bodies = [json.dumps({"tips": [{"grossAmountInCents": 1}] * 1000}).encode()] * 12
    stored, refused = 0, 0
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for _ in range(5):
            for answer in pool.map(lambda body: server.post(f"/api/v1/pages/{slug}/tips:batch", body), bodies):
                assert answer.status in (201, 503), answer
                if answer.status == 503:
                    problem(answer, 503)
                    assert int(answer.headers["Retry-After"]) > 0
                    refused += 1
                else:
                    stored += 1000
            if refused:
                break
    assert refused and stored, (refused, stored)
    assert len(server.log(slug)) == stored


def test_a_kept_alive_connection_serves_good_and_bad_requests_in_turn(server, slug):
    connection = server.connection()
    try:
        for _ in range(5):
            for body, status in ((b'{"grossAmountInCents":5}', 201), (b"{", 400), (b'{"grossAmountInCents":0}', 422)):
                answer = server.post(f"/api/v1/pages/{slug}/tips", body, connection=connection)
                assert answer.status == status, answer
                assert connection.sock is not None, "an ordinary refusal is no reason to hang up"
    finally:
        connection.close()


def test_times_never_go_back_in_the_log(server, slug):
    times = [event["time"] for event in server.log(slug)]
    assert times == sorted(times) and all(map(TIME.fullmatch, times))
