import NIOCore
import Testing
import TipwireCore
import TipwireHub
import TipwireWebhooks
import TipwireWire

@testable import TipwireServer

@Suite("EventSub by webhook, on a whole server", .timeLimit(.minutes(1)))
struct EventSubWebhookTests {
    private static let notFound = #"{"error":"not found","error_data":{}}"#

    private func create(_ server: TestServer, _ more: String, key: String? = nil) async throws -> Reply {
        try await server.call(
            "GET", "/api/eventsub/create?transport[method]=webhook" + more, key: key ?? server.admin,
            headers: "FUNPLACE-PROFILE-ID: \(server.main.id.rawValue)\r\n")
    }

    private func run(_ body: (TestServer, ReceiverDouble) async throws -> Void) async throws {
        try await ReceiverDouble.run { receiver in
            try await TestServer.run {
                $0.allowLoopback()
            } _: { server in
                try await body(server, receiver)
            }
        }
    }

    @Test("It is answered in the documented form, with its secret this once, and its messages repeat it without")
    func creation() async throws {
        try await run { server, receiver in
            let secret = "whsec_" + String(repeating: "QUJD", count: 8)
            let reply = try await create(
                server,
                "&transport%5Bcallback%5D=\(receiver.callback)&transport[secret]=\(secret)"
                    + "&condition[minimum_amount]=5.00"
            )
            #expect(reply.status == 200 && reply.json.names == ["success", "data"], "\(reply.body)")
            let data = try #require(reply.json["data"])
            #expect(data.names == ["connection_id", "transport", "condition", "type", "version", "created_at"])
            #expect(data["transport"]?.names == ["method", "callback", "secret"])
            #expect(data["transport"]?["callback"]?.text == receiver.callback)
            #expect(data["transport"]?["secret"]?.text == secret)
            try await server.tip("main", #"{"grossAmountInCents":499}"#)
            let tip = try await server.tip("main", #"{"grossAmountInCents":500,"displayName":"Ada","id":"a"}"#)
            let message = try await receiver.received(1)
            let body = try JSONValue.parse(message.body)
            #expect(body.names == ["type", "subscription", "data", "id"] && body["type"]?.text == "message")
            #expect(body["id"] == tip.json["cursor"] && body["data"]?["id"]?.text == "a")
            let subscription = try #require(body["subscription"])
            #expect(subscription.names == data.names && subscription["transport"]?.names == ["method", "callback"])
            for name in data.names where name != "transport" { #expect(subscription[name] == data[name], "\(name)") }
            let id = message.headers["webhook-id"]?.first ?? ""
            let time = Int64(message.headers["webhook-timestamp"]?.first ?? "") ?? 0
            let signature = WebhookSignature.header(
                id: id, timestamp: time, body: ByteBuffer(string: message.body), secrets: [WebhookSecret(secret)!])
            #expect(message.headers["webhook-signature"] == [signature])
            #expect(message.headers["content-type"] == ["application/json"])
        }
    }

    @Test(
        "What is wrong with it is named",
        arguments: [
            ("", "'transport[callback]'"), ("&transport[callback]=", "'transport[callback]'"),
            ("&transport[callback]=http://203.0.114.1/", "'transport[callback]'"),
            ("&transport[callback]=https://127.0.0.1/", "'loopback'"),
            ("&transport[callback]=https://203.0.114.1/&transport[secret]=x", "'transport[secret]'"),
            ("&transport[callback]=https://203.0.114.1/&type=x", "'type'"),
            ("&transport[callback]=https://203.0.114.1/&condition[x]=1", "'condition[x]'"),
        ])
    func refusals(more: String, named: String) async throws {
        try await TestServer.run { server in
            let reply = try await create(server, more)
            #expect(reply.status == 400 && reply.json["error"]?.text == "bad request")
            #expect(reply.json["error_data"]?.text?.contains(named) == true, "\(reply.body)")
            let list = try await server.call("GET", "/api/eventsub/list", key: server.admin)
            #expect(list.body == #"{"success":"ok","data":[]}"#)
        }
    }

    @Test("Both transports are listed together, each with its own state, and end by the same call")
    func list() async throws {
        try await TestServer.run { server in
            let profile = "FUNPLACE-PROFILE-ID: \(server.main.id.rawValue)\r\n"
            let socket = try await server.call(
                "GET", "/api/eventsub/create?transport[method]=websocket", key: server.admin, headers: profile)
            let webhook = try await create(server, "&transport[callback]=https://203.0.114.1/")
            let ids = try [socket, webhook].map { try #require($0.json["data"]?["connection_id"]?.text) }
            let disabled = try await server.call(
                "PATCH", "/api/v1/subscriptions/\(ids[1])", key: server.admin, json: #"{"enabled":false}"#)
            #expect(disabled.status == 200)
            let list = try await server.call("GET", "/api/eventsub/list", key: server.admin)
            let rows = try #require(list.json["data"]?.list)
            #expect(Set(rows.compactMap { $0["connection_id"]?.text }) == Set(ids))
            let row = try #require(rows.first { $0["connection_id"]?.text == ids[1] })
            #expect(
                row.names == [
                    "connection_id", "transport", "condition", "type", "version", "created_at", "state",
                    "disabled_reason",
                ])
            #expect(row["state"]?.text == "disabled" && row["disabled_reason"]?.text == "disabled by its owner")
            #expect(rows.first { $0["connection_id"]?.text == ids[0] }?["connected"]?.bool == false)
            let stranger = try await server.maker.key(try await server.maker.account("eve"), [.eventsub])
            let none = try await server.call("GET", "/api/eventsub/list", key: stranger)
            #expect(none.body == #"{"success":"ok","data":[]}"#)
            for (index, id) in ids.enumerated() {
                let path = "/api/eventsub/delete?connection_id=\(id)"
                let foreign = try await server.call("POST", path, key: stranger)
                #expect(foreign.status == 404 && foreign.body == Self.notFound)
                let method = ["GET", "DELETE"][index]
                let deleted = try await server.call(method, path, key: server.admin)
                #expect(deleted.body == #"{"success":"ok","data":{"connection_id":"\#(id)"}}"#)
                #expect(try await server.call(method, path, key: server.admin).status == 404)
            }
            #expect(server.parts.webhooks.subscriptions.list { _ in true }.isEmpty)
        }
    }

    @Test("Deliveries are told newest first, of a socket there are none")
    func deliveries() async throws {
        try await run { server, receiver in
            let made = try await create(server, "&transport[callback]=\(receiver.callback)")
            let id = try #require(made.json["data"]?["connection_id"]?.text)
            var cursors: [String] = []
            for _ in 0..<3 { cursors.append(try #require(try await server.tip().json["cursor"]?.text)) }
            _ = try await receiver.received(3)
            let path = "/api/eventsub/deliveries?connection_id="
            var rows: [JSONValue] = []
            repeat {
                try Task.checkCancellation()
                rows = try await server.call("GET", path + id, key: server.admin).json["data"]?.list ?? []
            } while rows.contains { $0["state"]?.text != "delivered" }
            #expect(rows.compactMap { $0["id"]?.text } == cursors.reversed())
            #expect(
                rows.allSatisfy {
                    $0.names == ["id", "type", "created_at", "attempts", "state", "status", "next_attempt_at"]
                })
            let two = try await server.call("GET", path + id + "&limit=2", key: server.admin)
            #expect(two.json["data"]?.list?.count == 2)
            let bad = try await server.call("GET", path + id + "&limit=0", key: server.admin)
            #expect(bad.status == 400 && bad.json["error_data"]?.text?.contains("'limit'") == true)
            let socket = try await server.call(
                "GET", "/api/eventsub/create?transport[method]=websocket", key: server.admin,
                headers: "FUNPLACE-PROFILE-ID: \(server.main.id.rawValue)\r\n")
            let socketID = try #require(socket.json["data"]?["connection_id"]?.text)
            let none = try await server.call("GET", path + socketID, key: server.admin)
            #expect(none.body == #"{"success":"ok","data":[]}"#)
            let unknown = try await server.call("GET", path + "x", key: server.admin)
            #expect(unknown.status == 404 && unknown.body == Self.notFound)
            let missing = try await server.call("GET", "/api/eventsub/deliveries", key: server.admin)
            #expect(missing.status == 400 && missing.json["error_data"]?.text == "missing 'connection_id'")
        }
    }

    @Test("What there is not is answered in the dialect's own form", arguments: ["", "x", "list/x", "Create"])
    func unknown(tail: String) async throws {
        try await TestServer.run { server in
            for key in [server.admin, nil] {
                let reply = try await server.call("GET", "/api/eventsub/\(tail)", key: key)
                #expect(reply.status == 404 && reply.body == Self.notFound, "\(reply.body)")
                #expect(reply.header("content-type") == "application/json")
            }
        }
    }
}
