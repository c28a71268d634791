import NIOCore
import Testing
import TipwireCore
import TipwireHub
import TipwireWire

@testable import TipwireServer

@Suite("EventSub by WebSocket, on a whole server", .timeLimit(.minutes(1)))
struct EventSubServingTests {
    private let create = "/api/eventsub/create?transport[method]=websocket"

    private func subscribe(_ server: TestServer, _ more: String = "", key: String? = nil) async throws -> JSONValue {
        let reply = try await server.call(
            "GET", create + more, key: key ?? server.admin,
            headers: "FUNPLACE-PROFILE-ID: \(server.main.id.rawValue)\r\n")
        try #require(reply.status == 200, "\(reply.body)")
        return try #require(reply.json["data"])
    }

    private func connect(_ server: TestServer, _ id: String) async throws -> Wire {
        let wire = try await server.connect()
        try await wire.send(Handshake.request("/?connection_id=\(id)"))
        #expect(try await wire.text(through: "\r\n\r\n") == Handshake.answer)
        return wire
    }

    private func id(_ data: JSONValue) throws -> String { try #require(data["connection_id"]?.text) }

    @Test("What can be subscribed to is told without a key, each field of each body with what it means")
    func catalogue() async throws {
        try await TestServer.run { server in
            let reply = try await server.call("GET", "/api/eventsub/getEventsubs")
            #expect(reply.status == 200 && reply.header("cache-control") == "no-store")
            #expect(reply.json["success"]?.text == "ok")
            let types = try #require(reply.json["data"]?.list)
            #expect(types.compactMap { $0["type"]?.text } == EventSubType.allCases.map(\.rawValue))
            #expect(types.allSatisfy { $0.names == ["type", "version", "condition", "body"] })
            #expect(types[0]["condition"]?.names == ["minimum_amount"])
            let alert = [
                "id", "kind", "nickname", "message", "amount", "curr", "created_at", "anonymous", "goal_id", "replay",
            ]
            #expect(types[0]["body"]?.names == alert)
        }
    }

    @Test("A subscription is answered in the documented form, made with GET or POST, in any spelling")
    func creation() async throws {
        try await TestServer.run { server in
            let data = try await subscribe(server, "&condition%5Bminimum_amount%5D=5.00")
            let names = [
                "connection_id", "you_can_connect_within", "transport", "condition", "type", "version", "created_at",
            ]
            #expect(data.names == names)
            #expect(data["you_can_connect_within"]?.integer == 120 && data["version"]?.text == "1")
            #expect(data["transport"]?.names == ["method"] && data["condition"]?["minimum_amount"]?.text == "5.00")
            let shape = #/\d+-\d+-(\d+):\d+-[0-9a-f]{16}/#
            let match = try #require(try id(data).wholeMatch(of: shape))
            #expect(Int(match.1) == data["created_at"]?.integer)
            let form = "transport%5Bmethod%5D=websocket&type=goals.queue&version=1"
            let profile = "FUNPLACE-PROFILE-ID: \(server.main.id.rawValue)\r\n"
            let wire = try await server.connect()
            try await wire.send(
                "POST /api/eventsub/create HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(server.admin)\r\n\(profile)"
                    + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: \(form.utf8.count)\r\n\r\n\(form)"
            )
            let reply = try await wire.reply()
            #expect(reply.status == 200 && reply.json["data"]?["type"]?.text == "goals.queue")
            #expect(reply.json["data"]?["condition"] == .null)
        }
    }

    @Test("Refusals have the documented bodies")
    func refusals() async throws {
        try await TestServer.run { server in
            let reader = try await server.maker.key(server.administrator, [.eventsRead])
            let creator = try await server.maker.key(server.administrator, [.eventsubCreate], pages: [server.main])
            let unauthorized = #"{"error":"unauthorized","error_data":{}}"#
            #expect(try await server.call("GET", create).body == unauthorized)
            #expect(try await server.call("GET", create, key: reader).body == unauthorized)
            #expect(try await server.call("GET", create, key: creator).status == 200)
            let foreign = "FUNPLACE-PROFILE-ID: \(server.side.id.rawValue)\r\n"
            let stranger = try await server.call("GET", create, key: creator, headers: foreign)
            #expect(stranger.status == 401 && stranger.body == unauthorized)
            #expect(try await server.call("GET", "/api/eventsub/list", key: creator).status == 401)
            for (more, named) in [
                ("&type=nope", "'type'"), ("&version=2", "'version'"), ("&condition[x]=1", "'condition[x]'"),
                ("&condition[minimum_amount=5.00", "'condition[minimum_amount'"),
                ("&condition[minimum_amount]=5.001", "'condition[minimum_amount]'"),
                ("&condition[minimum_amount]=-1", "'condition[minimum_amount]'"),
            ] {
                let reply = try await server.call("GET", create + more, key: creator)
                #expect(reply.status == 400 && reply.json["error"]?.text == "bad request")
                #expect(reply.json["error_data"]?.text?.contains(named) == true, "\(reply.body)")
            }
            let method = try await server.call("GET", "/api/eventsub/create?transport[method]=x", key: creator)
            #expect(method.json["error_data"]?.text == "invalid 'transport[method]' value")
            let header = try await server.call("GET", create, key: creator, headers: "FUNPLACE-PROFILE-ID: main\r\n")
            #expect(header.status == 400 && header.json["error_data"]?.text?.contains("FUNPLACE-PROFILE-ID") == true)
            let many = try await server.call("GET", create, key: server.admin)
            #expect(many.status == 400, "an account with two pages must say which")
            let gone = try await server.call("DELETE", "/api/eventsub/delete?connection_id=x", key: server.admin)
            #expect(gone.status == 404 && gone.body == #"{"error":"not found","error_data":{}}"#)
        }
    }

    @Test("A socket answers PING, and gets messages with its subscription unchanged and an id for each event")
    func messages() async throws {
        try await TestServer.run { server in
            let data = try await subscribe(server, "&condition[minimum_amount]=5")
            let wire = try await connect(server, try id(data))
            try await wire.sendText(" ping\r\n")
            #expect(try await wire.frame().text == "PONG")
            try await server.tip("main", #"{"grossAmountInCents":499,"id":"small"}"#)
            try await server.tip("side", #"{"grossAmountInCents":900,"id":"elsewhere"}"#)
            let tip = try await server.tip("main", #"{"grossAmountInCents":500,"displayName":"Ada","id":"a"}"#)
            let message = try await wire.frame().json
            #expect(message.names == ["type", "subscription", "data", "id"] && message["type"]?.text == "message")
            #expect(message["subscription"] == data)
            #expect(message["id"] == tip.json["cursor"])
            let body = message["data"]
            #expect(body?["id"]?.text == "a" && body?["amount"]?.text == "5.00" && body?["curr"]?.text == "USD")
            #expect(body?["kind"]?.text == "donation" && body?["replay"]?.bool == false && body?["goal_id"] == .null)
            _ = try await server.call("POST", "/api/v1/pages/main/tips/a/replay", key: server.admin)
            let replay = try await wire.frame().json
            #expect(replay["data"]?["replay"]?.bool == true && replay["data"]?["id"]?.text == "a")
            #expect(replay["id"] != message["id"])
        }
    }

    @Test("A dropped socket comes back by its id and gets what happened meanwhile, once and in order")
    func reconnect() async throws {
        try await TestServer.run { server in
            let id = try id(try await subscribe(server))
            try await server.tip("main", #"{"grossAmountInCents":1,"id":"before"}"#)
            let first = try await connect(server, id)
            #expect(try await first.frame().json["data"]?["id"]?.text == "before")
            await first.close()
            for index in 0..<5 { try await server.tip("main", #"{"grossAmountInCents":1,"id":"t\#(index)"}"#) }
            let second = try await connect(server, id)
            for index in 0..<5 { #expect(try await second.frame().json["data"]?["id"]?.text == "t\(index)") }
            try await server.tip("main", #"{"grossAmountInCents":1,"id":"live"}"#)
            #expect(try await second.frame().json["data"]?["id"]?.text == "live")
        }
    }

    @Test("An unknown id, and one that has a living socket, is told why and closed with 1008")
    func farewell() async throws {
        try await TestServer.run { server in
            let unknown = try await connect(server, "1-1-1700000000:1-0123456789abcdef")
            let told = try await unknown.frame().json
            #expect(told["type"]?.text == "disconnect" && told["data"]?["msg"]?.text?.contains("unknown") == true)
            #expect(try await unknown.frame().closeCode == 1008)
            let id = try id(try await subscribe(server))
            let owner = try await connect(server, id)
            let rival = try await server.connect()
            try await rival.send(Handshake.request("/?connection_id=\(id)"))
            // The owner is asked for a sign of life, and gives it.
            #expect(try await owner.frame().opcode == 9)
            try await owner.send(.pong, ByteBuffer())
            #expect(try await rival.text(through: "\r\n\r\n") == Handshake.answer)
            #expect(try await rival.frame().json["data"]?["msg"]?.text?.contains("connected already") == true)
            #expect(try await rival.frame().closeCode == 1008)
            try await server.tip()
            #expect(try await owner.frame().json["type"]?.text == "message")
        }
    }

    @Test("A socket that shows no life makes room for its owner's next one")
    func takeOver() async throws {
        try await TestServer.run { server in
            let id = try id(try await subscribe(server))
            let dead = try await connect(server, id)
            try await server.tip("main", #"{"grossAmountInCents":1,"id":"swallowed"}"#)
            let next = try await connect(server, id)
            _ = await dead.rest()
            try await server.tip("main", #"{"grossAmountInCents":1,"id":"live"}"#)
            // Who had to wait is asked whether it is still there. What went to the dead socket is not lost with it.
            #expect(try await next.frame().opcode == 9)
            #expect(try await next.frame().json["data"]?["id"]?.text == "swallowed")
            #expect(try await next.frame().json["data"]?["id"]?.text == "live")
        }
    }

    @Test("A subscription ends with its key, with a delete, and is told so")
    func ends() async throws {
        try await TestServer.run { server in
            let key = try await server.maker.keyAndID(server.administrator, [.eventsub], pages: [server.main])
            let revoked = try await connect(server, try id(try await subscribe(server, key: key.text)))
            #expect(try await server.call("DELETE", "/api/v1/keys/\(key.id)", key: server.admin).status == 204)
            #expect(try await revoked.frame().json["data"]?["msg"]?.text == "the key was revoked")
            #expect(try await revoked.frame().closeCode == 1008)

            let id = try id(try await subscribe(server))
            let deleted = try await connect(server, id)
            let list = try await server.call("GET", "/api/eventsub/list", key: server.admin)
            #expect(list.json["data"]?.list?.count == 1 && list.json["data"]?.list?[0]["connected"]?.bool == true)
            let reply = try await server.call("GET", "/api/eventsub/delete?connection_id=\(id)", key: server.admin)
            #expect(reply.body == #"{"success":"ok","data":{"connection_id":"\#(id)"}}"#)
            #expect(try await deleted.frame().json["data"]?["msg"]?.text == "the subscription has ended")
            #expect(try await deleted.frame().closeCode == 1008)
            let again = try await connect(server, id)
            #expect(try await again.frame().json["type"]?.text == "disconnect")
        }
    }

    @Test("A shutdown is told, and then closed with 1012")
    func shutdown() async throws {
        try await TestServer.run { server in
            let wire = try await connect(server, try id(try await subscribe(server)))
            await server.drain()
            #expect(try await wire.frame().json["type"]?.text == "disconnect")
            #expect(try await wire.frame().closeCode == 1012)
        }
    }

    @Test("Profiles are the pages that a key's account owns or helps with")
    func profiles() async throws {
        try await TestServer.run { server in
            let bob = try await server.maker.account("bob")
            try await server.parts.directory.addMember(bob.id, to: server.side.id)
            let key = try await server.maker.key(bob)
            let reply = try await server.call("GET", "/api/v1/user/profiles/get", key: key)
            #expect(
                reply.body
                    == #"{"success":"ok","data":[{"funprofile_id":\#(server.side.id.rawValue),"role":"manager"}]}"#)
            let own = try await server.call("GET", "/api/v1/user/profiles/get", key: server.admin)
            #expect(own.json["data"]?.list?.compactMap { $0["role"]?.text } == ["owner", "owner"])
            let none = try await server.call("GET", "/api/v1/user/profiles/get")
            #expect(none.status == 401 && none.json["error"]?.text == "unauthorized")
        }
    }

    @Test("HEAD makes and ends nothing")
    func head() async throws {
        try await TestServer.run { server in
            let profile = "FUNPLACE-PROFILE-ID: \(server.main.id.rawValue)\r\n"
            let made = try await server.call("HEAD", create, key: server.admin, headers: profile)
            #expect(made.status == 405 && server.parts.sockets.count == 0)
            let id = try id(try await subscribe(server))
            let ended = try await server.call("HEAD", "/api/eventsub/delete?connection_id=\(id)", key: server.admin)
            #expect(ended.status == 405 && server.parts.sockets.count == 1)
        }
    }

    @Test("Limits are 429 with a time to come back")
    func limits() async throws {
        try await TestServer.run {
            $0.configuration.eventsub.maxPerKey = 2
            $0.configuration.eventsub.maxCreationsPerMinute = 4
        } _: { server in
            let profile = "FUNPLACE-PROFILE-ID: \(server.main.id.rawValue)\r\n"
            var statuses: [Int] = []
            for _ in 0..<5 {
                let reply = try await server.call("GET", create, key: server.admin, headers: profile)
                statuses.append(reply.status)
                if reply.status == 429 {
                    #expect(reply.body == #"{"error":"too many requests","error_data":{}}"#)
                    #expect(Int(reply.header("retry-after") ?? "") ?? 0 > 0)
                }
            }
            #expect(statuses == [200, 200, 429, 429, 429])
        }
    }
}
