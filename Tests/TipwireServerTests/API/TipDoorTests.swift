import NIOCore
import NIOHTTP1
import Testing
import TipwireCore
import TipwireHub

@testable import TipwireServer

@Suite("The short way for a tip")
struct TipDoorTests {
    /// A door, a key that may and the request that it takes.
    private func withDoor(_ body: (TipDoor, TestServer, HTTPRequestHead) async throws -> Void) async throws {
        try await TestServer.run { server in
            let parts = server.parts
            let door = TipDoor(
                directory: parts.directory, authenticator: parts.authenticator, intake: parts.intake,
                position: parts.position, clock: parts.clock, responses: ResponseCounts(), logger: World.quiet)
            let key = try await server.maker.key(server.administrator, [.tipsWrite])
            try await body(
                door, server,
                HTTPRequestHead(
                    version: .http1_1, method: .POST, uri: "/api/v1/pages/main/tips",
                    headers: [
                        "Host": "x", "authorization": "Bearer \(key)", "Content-Type": "application/json",
                        "CONTENT-LENGTH": "26", "User-Agent": "test",
                    ]))
        }
    }

    private typealias Change = (inout HTTPRequestHead) -> Void

    @Test("The common form of the request is admitted, others and all mistakes are left to the routes")
    func admission() async throws {
        try await withDoor { door, server, good in
            let visit = try #require(door.admit(good))
            #expect(visit.slug == server.main.slug && visit.length == 26 && visit.idempotencyKey == nil)
            let reader = try await server.maker.key(server.administrator, [.eventsRead])
            let others: [(String, Change)] = [
                ("another method", { $0.method = .PUT }),
                ("HTTP/1.0", { $0.version = .http1_0 }),
                ("HTTP/2", { $0.version = .http2 }),
                ("a query", { $0.uri += "?a=b" }),
                ("a batch", { $0.uri += ":batch" }),
                ("one tip", { $0.uri += "/1" }),
                ("an encoded slug", { $0.uri = "/api/v1/pages/m%61in/tips" }),
                ("no slug", { $0.uri = "/api/v1/pages//tips" }),
                ("no room for a slug", { $0.uri = "/api/v1/pages/tips" }),
                ("an unknown page", { $0.uri = "/api/v1/pages/nowhere/tips" }),
                ("no key", { $0.headers.remove(name: "authorization") }),
                ("an unknown key", { $0.headers.replaceOrAdd(name: "authorization", value: "Bearer nonsense") }),
                ("another scheme", { $0.headers.replaceOrAdd(name: "authorization", value: "Basic abc") }),
                (
                    "a key without the scope",
                    { $0.headers.replaceOrAdd(name: "authorization", value: "Bearer \(reader)") }
                ),
                ("two keys", { $0.headers.add(name: "Authorization", value: "Bearer x") }),
                ("no media type", { $0.headers.remove(name: "content-type") }),
                ("text", { $0.headers.replaceOrAdd(name: "content-type", value: "text/plain") }),
                ("two media types", { $0.headers.add(name: "content-type", value: "application/json") }),
                ("no length", { $0.headers.remove(name: "content-length") }),
                (
                    "too long a body",
                    { $0.headers.replaceOrAdd(name: "content-length", value: "\(Limits.requestBytes + 1)") }
                ),
                ("chunks", { $0.headers.add(name: "Transfer-Encoding", value: "chunked") }),
                ("a wait for the word", { $0.headers.add(name: "Expect", value: "100-continue") }),
                ("another protocol", { $0.headers.add(name: "Upgrade", value: "websocket") }),
                ("a bad idempotency key", { $0.headers.add(name: "Idempotency-Key", value: "a b") }),
                (
                    "two idempotency keys",
                    {
                        $0.headers.add(name: "Idempotency-Key", value: "a")
                        $0.headers.add(name: "Idempotency-Key", value: "b")
                    }
                ),
            ]
            for (name, change) in others {
                var head = good
                change(&head)
                #expect(door.admit(head) == nil, "\(name)")
            }
        }
    }

    @Test("What the intake refuses is told in the words of the route")
    func refusals() async throws {
        try await TestServer.run {
            $0.configuration.intake.maxPending = 0
        } _: { server in
            let path = "/api/v1/pages/main/tips"
            let tip = #"{"grossAmountInCents":500}"#
            let short = try await server.call("POST", path, key: server.admin, json: tip)
            let long = try await server.call("POST", path + "?way=long", key: server.admin, json: tip)
            #expect(short.status == 503 && short.header("retry-after") == "1")
            #expect(short.status == long.status && short.body == long.body)
            #expect(server.parts.position.bounds.head == 0)
        }
    }

    @Test("A body that is no good tip, or a caller who has lost the right, is handed back with nothing done")
    func handedBack() async throws {
        try await withDoor { door, server, good in
            let bodies = ["", "{", "[]", "{}", #"{"grossAmountInCents":0}"#, #"{"grossAmountInCents":500,"x":1}"#]
            for text in bodies {
                var head = good
                head.headers.replaceOrAdd(name: "content-length", value: "\(text.utf8.count)")
                let visit = try #require(door.admit(head))
                #expect(!door.receive(ByteBuffer(string: text), of: visit) { _ in Issue.record("answered") }, "\(text)")
            }
            let visit = try #require(door.admit(good))
            let tip = ByteBuffer(string: #"{"grossAmountInCents":500}"#)
            #expect(!door.receive(tip.getSlice(at: 0, length: 25)!, of: visit) { _ in Issue.record("answered") })
            guard case .key(let id) = visit.principal.credential else { return }
            _ = try await server.parts.directory.revokeKey(id)
            #expect(!door.receive(tip, of: visit) { _ in Issue.record("answered") })
            #expect(server.parts.position.bounds.head == 0)
        }
    }
}

extension TipDoor.Visit: Equatable {
    public static func == (one: TipDoor.Visit, other: TipDoor.Visit) -> Bool {
        one.slug == other.slug && one.principal == other.principal
    }
}
