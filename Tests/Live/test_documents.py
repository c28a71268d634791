"""OpenAPI and AsyncAPI, held against the real server: valid, complete, and what comes over the wire is as they say."""

import json
import pathlib
import subprocess
import sys

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from support.eventsub import EventSubSocket, subscribe
from support.server import ROOT
from support.webhooks import webhook

EXAMPLES = ROOT / "docs/protocol/examples"
DRAFT = jsonschema.Draft202012Validator


class AsyncAPI:
    """A document and the means to hold messages against it."""

    def __init__(self, document):
        self.document = document

    def resolve(self, reference):
        value = self.document
        for part in reference.removeprefix("#/").split("/"):
            value = value[part.replace("~1", "/")]
        return value

    def faults(self, schema, value):
        """What is wrong with `value` by a schema of `components`."""
        whole = {"$ref": f"#/components/schemas/{schema}", "components": self.document["components"]}
        return [fault.message for fault in DRAFT(whole).iter_errors(value)]

    def message(self, name, value):
        """Holds a message of the wire against the one of this name."""
        schema = self.document["components"]["messages"][name]["payload"]["$ref"].rsplit("/", 1)[1]
        assert self.faults(schema, value) == [], (name, value)
        return value


@pytest.fixture(scope="module")
def asyncapi(server):
    answer = server.get("/asyncapi.json", key=None)
    assert answer.status == 200
    return AsyncAPI(answer.json)


@pytest.fixture(scope="module")
def openapi(server):
    answer = server.get("/openapi.json", key=None)
    assert answer.status == 200
    return answer.json


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for element in value:
            yield from references(element)


# The documents by themselves


def test_openapi_is_valid(openapi):
    assert openapi["openapi"].startswith("3.1.")
    assert [fault.message for fault in OpenAPIV31SpecValidator(openapi).iter_errors()] == []


def test_openapi_has_nothing_that_isnt_used_and_every_call_is_described(openapi):
    used = set(references(openapi))
    for kind in ("schemas", "parameters", "responses"):
        unused = [name for name in openapi["components"][kind] if f"#/components/{kind}/{name}" not in used]
        assert unused == [] or set(unused) <= {"EventSubProblem"}, kind
    tags = {tag["name"] for tag in openapi["tags"]}
    seen = set()
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"] and operation["tags"][0] in tags, (method, path)
            assert operation["operationId"] not in seen
            seen.add(operation["operationId"])


def test_asyncapi_is_whole(asyncapi):
    """By the rules of AsyncAPI 3.0 that a reader depends on."""
    document = asyncapi.document
    assert document["asyncapi"] == "3.0.0" and document["info"]["title"] and document["info"]["version"]
    for reference in references(document):
        assert asyncapi.resolve(reference), reference
    for name, channel in document["channels"].items():
        assert channel["messages"] and "address" in channel, name
        for server in channel.get("servers", []):
            assert asyncapi.resolve(server["$ref"])["protocol"] in ("ws", "http"), name
    for name, operation in document["operations"].items():
        assert operation["action"] in ("send", "receive"), name
        channel = operation["channel"]["$ref"]
        for message in operation["messages"] + operation.get("reply", {}).get("messages", []):
            assert message["$ref"].startswith(f"{channel}/messages/"), name
    carried = {message["$ref"] for channel in document["channels"].values() for message in channel["messages"].values()}
    assert carried == {f"#/components/messages/{name}" for name in document["components"]["messages"]}
    for schema in document["components"]["schemas"].values():
        DRAFT.check_schema(schema)


def test_the_examples_are_as_their_schemas_say(asyncapi):
    for name, message in asyncapi.document["components"]["messages"].items():
        for example in message.get("examples", []):
            asyncapi.message(name, example["payload"])
    documented = {
        "event-hook-tip-received-anonymous": "hookTipReceived", "pally-campaigntip-notify": "pallyNotification",
        "pally-feed-resumed-reset": "pallyResumed", "pally-feed-resumed-resumed": "pallyResumed"}
    for file, name in documented.items():
        asyncapi.message(name, json.loads((EXAMPLES / f"{file}.json").read_text()))
    for file, schema in (("eventsub-alert", "Alert"), ("eventsub-goals-chain", "GoalChain"),
                         ("eventsub-goals-completed", "GoalCompleted"), ("eventsub-goals-queue", "GoalQueue"),
                         ("eventsub-goals-progress", "GoalProgress")):
        assert asyncapi.faults(schema, json.loads((EXAMPLES / f"{file}.json").read_text())) == [], file


def test_a_message_that_is_otherwise_is_a_fault(asyncapi):
    """So that the tests below can fail."""
    notification = json.loads((EXAMPLES / "pally-campaigntip-notify.json").read_text())
    del notification["payload"]["campaignTip"]["message"]
    assert asyncapi.faults("PallyNotification", notification)
    assert asyncapi.faults("HookConnected", {"type": "connected", "more": 1})
    assert asyncapi.faults("GoalQueue", {"active_goal": None, "goal_count": "1", "completed_goal_count": 0})


def test_the_rendered_documents_are_current(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/render-documents", tmp_path], text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for name in ("openapi.md", "asyncapi.md"):
        assert (tmp_path / name).read_text() == (ROOT / "docs/reference" / name).read_text(), \
            f"docs/reference/{name} is old: run scripts/render-documents docs/reference"


# The real server's messages


def cause(server, slug):
    """Everything that can happen on a page: tips named and not, goals completed in a chain, a replay."""
    for amount in (300, 200, 5000):
        server.goal(slug, amount)
    tip = server.tip(slug, displayName="Ada", message="Hello", grossAmountInCents=100)["tip"]["id"]
    server.tip(slug, grossAmountInCents=600)
    server.replay(slug, tip)


def test_the_pally_feed(server, asyncapi):
    slug = server.page()
    cause(server, slug)
    with server.feed(server.admin, "activity-feed", slug, since="nonsense") as feed:
        asyncapi.message("pallyResumed", feed.json())
        cause(server, slug)
        for _ in range(3):
            asyncapi.message("pallyNotification", feed.json())
        for ping in ("ping", '{"type":"ping"}'):
            feed.send(ping)
            asyncapi.message("pallyPong", feed.text())
        asyncapi.message("pallyPing", " PING ")
        echo = {"type": "echo", "payload": [1, None]}
        feed.send(json.dumps(asyncapi.message("pallyEcho", echo)))
        assert feed.json() == echo["payload"]


def test_the_event_hook(server, asyncapi):
    slug = server.page()
    named = {"connected": "hookConnected", "resumed": "hookResumed", "tip:received": "hookTipReceived",
             "tip:goal-completed": "hookGoalCompleted", "tip:overflow-chain": "hookOverflowChain",
             "tip:queue-updated": "hookQueueUpdated"}
    with server.stream(server.admin, slug) as stream:
        asyncapi.message("hookConnected", stream.message())
        cause(server, slug)
        seen = {"connected"}
        while "tip:overflow-chain" not in seen:
            message = stream.message()
            asyncapi.message(named[message["type"]], message)
            seen.add(message["type"])
    with server.stream(server.admin, slug, resume="true") as stream:
        for kind in ("hookConnected", "hookResumed"):
            _, message = stream.identified()
            asyncapi.message(kind, message)
    assert seen == set(named) - {"resumed"}


TYPES = {"alerts.notifications": "Alert", "goals.completed": "GoalCompleted", "goals.chain": "GoalChain",
         "goals.queue": "GoalQueue", "goals.progress": "GoalProgress"}


@pytest.mark.parametrize("type", TYPES)
def test_eventsub_sockets(server, asyncapi, type):
    page = server.page_object()
    data = subscribe(server, server.admin, type, profile=page["profileId"])
    assert asyncapi.faults("SubscriptionData", data) == []
    with EventSubSocket(server, data) as socket:
        socket.send("PING")
        asyncapi.message("eventsubPong", socket.text())
        cause(server, page["slug"])
        message = asyncapi.message("eventsubMessage", socket.message())
        assert asyncapi.faults(TYPES[type], message["data"]) == []
        with EventSubSocket(server, data) as other:
            asyncapi.message("eventsubDisconnect", other.json())


def test_webhooks(make_server, receiver, asyncapi):
    server = make_server("--webhooks-allow-http", "true", "--webhooks-allowed-networks", "127.0.0.0/8")
    slug = server.page()
    endpoint = receiver.endpoint()
    webhook(server, slug, endpoint)
    server.tip(slug)
    (request,) = endpoint.take(1)
    message = asyncapi.message("webhookMessage", request.json)
    headers = {name.lower(): value for name, value in dict(request.headers).items()}
    assert asyncapi.faults("WebhookHeaders", headers) == [] and headers["webhook-id"] == message["id"]


# The real server's calls


CHECKS = ("not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
          "response_headers_conformance,negative_data_rejection,ignored_auth,unsupported_method")

# The documents promise what must hold for any data; a seed keeps one failure from being another the next time.
SEED = 1


def test_schemathesis_finds_no_difference(make_server, tmp_path):
    """Every call, with data that fits the document and data that doesn't; what is answered must be what it says."""
    server = make_server("--auth-max-failures-per-minute", "0", "--webhooks-allow-http", "true",
                         "--webhooks-allowed-networks", "127.0.0.0/8")
    slug = server.page("demo")
    goal = server.goal(slug, 500)["id"]
    made = server.post("/api/v1/subscriptions", {"page": slug, "callback": "http://127.0.0.1:1/"})
    assert made.status == 201, made
    server.tip(slug, id="order-1042")
    delivery = server.log(slug)[-1]["cursor"]
    program = pathlib.Path(sys.executable).with_name("schemathesis")
    # What is there to be found, so that calls get past 404.
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(f"""
[[operations]]
include-tag = "Webhooks"
parameters = {{ "path.id" = "{made.json["connection_id"]}", "path.delivery" = "{delivery}" }}

[[operations]]
include-tag = "Goals"
parameters = {{ "path.slug" = "demo", "path.id" = "{goal}" }}
""")
    # Left out: what would end the run's own key, page, goal and webhook, what never ends, and what is for browsers.
    excluded = [word for name in ("eventHook", "ready", "revokeKey", "deletePage", "removeGoal", "deleteSubscription")
                for word in ("--exclude-operation-id", name)]
    # One worker: Hypothesis moves Python's recursion limit for all threads, and a parse in another one ends in a SystemError.
    done = subprocess.run(
        [program, f"--config-file={settings}", "run", f"{server.url}/openapi.json",
         "--header", f"Authorization: Bearer {server.key('admin')}", "--checks", CHECKS,
         "--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", str(SEED), "--workers", "1",
         *excluded, "--exclude-tag", "Dashboard", "--request-timeout", "10", "--no-color"],
        text=True, capture_output=True, timeout=240, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert server.get("/ready", key=None).status == 200
