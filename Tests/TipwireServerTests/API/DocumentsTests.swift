import Foundation
import HTTPTypes
import Testing

@testable import TipwireServer

@Suite("The API's documents", .timeLimit(.minutes(1)))
struct DocumentsTests {
    private static func object(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    /// What browsers load and no program calls.
    private static func isForBrowsers(_ path: String) -> Bool {
        path == "/login" || path == "/p/{slug}" || path.hasPrefix("/assets/")
            || (Asset.views.map(\.key) + Asset.overlays.map(\.key)).contains(path)
    }

    @Test("OpenAPI has every route of the router, and no other")
    func routes() async throws {
        try await TestServer.run { server in
            let routes = server.parts.router().routes
                .filter { $0.method != .head && !Self.isForBrowsers($0.path) }
                .map { "\($0.method.rawValue) \($0.path)" }
            let document = try Self.object(try await server.call("GET", "/openapi.json").body)
            var described: [String] = []
            for (path, operations) in try #require(document["paths"] as? [String: [String: [String: Any]]]) {
                // Streams are no business of the router.
                for (method, operation) in operations where operation["x-stream"] == nil {
                    described.append("\(method.uppercased()) \(path)")
                }
            }
            #expect(described.sorted() == Set(routes).sorted())
            let info = try #require(document["info"] as? [String: Any])
            #expect(info["version"] as? String == TipwireVersion.text)
        }
    }

    @Test("Documents need no key, and who has one is spared it", arguments: ["/openapi.json", "/asyncapi.json"])
    func tags(path: String) async throws {
        try await TestServer.run { server in
            let first = try await server.call("GET", path)
            #expect(first.status == 200 && first.header("content-type") == "application/json")
            let tag = try #require(first.header("etag"))
            let again = try await server.call("GET", path, headers: "If-None-Match: \(tag)\r\n")
            #expect(again.status == 304 && again.body.isEmpty)
            let other = try await server.call("GET", path, headers: "If-None-Match: \"other\"\r\n")
            #expect(other.status == 200 && other.body == first.body)
        }
    }

    @Test("AsyncAPI names the address that users reach the server by")
    func address() async throws {
        try await TestServer.run { server in
            let document = try Self.object(try await server.call("GET", "/asyncapi.json").body)
            let servers = try #require(document["servers"] as? [String: [String: String]])
            #expect(servers["sockets"]?["host"] == "127.0.0.1:\(server.front.port)")
            #expect(servers["sockets"]?["protocol"] == "ws" && servers["streams"]?["protocol"] == "http")
        }
        try await TestServer.run {
            $0.configuration.server.publicURL = "https://tips.example/live"
        } _: { server in
            let document = try Self.object(try await server.call("GET", "/asyncapi.json").body)
            let servers = try #require(document["servers"] as? [String: [String: String]])
            #expect(servers["sockets"]?["protocol"] == "wss" && servers["streams"]?["protocol"] == "https")
            #expect(servers["sockets"]?["host"] == "tips.example" && servers["sockets"]?["pathname"] == "/live")
        }
    }
}
