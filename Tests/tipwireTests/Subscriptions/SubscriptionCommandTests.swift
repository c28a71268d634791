import ArgumentParser
import Foundation
import Testing

@testable import tipwire

/// The verbs against a server written by hand: what they ask, and what they make of the answer.
@Suite struct SubscriptionCommandTests {
    private static let id = "1-2-1700000000:3-0123456789abcdef"
    private static let subscription = """
        {"connection_id":"\(id)","transport":{"method":"webhook","callback":"https://h/x","secret":"whsec_AAAA"},\
        "condition":null,"type":"alerts.notifications","version":"1","created_at":1700000000,"page":"demo",\
        "state":"enabled","pending":0,"dead":0}
        """

    private static func delivery(_ members: String) -> String {
        #"{"id":"test-1","type":"alerts.notifications","created_at":1700000000,\#(members)}"#
    }

    private struct Sent {
        /// Method and target of each request.
        let lines: [String]
        let bodies: [String]
    }

    /// Runs `tipwire subscription` with `arguments`; answers are given in order, the last one again and again.
    private static func sent(by arguments: [String], answers: [(status: Int, body: String)]) async throws -> Sent {
        let server = try await ScriptedServer.start { number, _ in
            let (status, body) = answers[min(number, answers.count - 1)]
            return .open("HTTP/1.1 \(status) X\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        }
        let whole =
            ["subscription"] + arguments
            + ["--server", "http://127.0.0.1:\(server.port)", "--key", "tw_" + String(repeating: "a", count: 64)]
        var command = try #require(try Tipwire.parseAsRoot(whole) as? any AsyncParsableCommand)
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await command.run())
        } catch {
            outcome = .failure(error)
        }
        let requests = server.requests
        try await server.close()
        try outcome.get()
        return Sent(
            lines: requests.map { String($0.prefix { $0 != "\r\n" }.dropLast(" HTTP/1.1".count)) },
            bodies: requests.map { String($0[($0.firstRange(of: "\r\n\r\n")?.upperBound ?? $0.endIndex)...]) })
    }

    private static let address = "/api/v1/subscriptions/1-2-1700000000%3A3-0123456789abcdef"

    @Test(
        "Each verb is one call, with the id escaped",
        arguments: [
            (["show", id], "GET \(address)", "", subscription),
            (["enable", id], "PATCH \(address)", #"{"enabled":true}"#, subscription),
            (["disable", id], "PATCH \(address)", #"{"enabled":false}"#, subscription),
            (["delete", id], "DELETE \(address)", "", ""),
            (["list"], "GET /api/v1/subscriptions?limit=1000", "", #"{"data":[],"next":null}"#),
            (
                ["create", "Demo", "https://h/x"], "POST /api/v1/subscriptions",
                #"{"callback":"https:\/\/h\/x","page":"demo"}"#, subscription
            ),
            (
                ["rotate", id], "POST \(address)/secret/rotate", "",
                #"{"connection_id":"1","secret":"whsec_AAAA","previous_expires_at":1700086400}"#
            ),
            (
                ["rotate", id, "--now"], "POST \(address)/secret/rotate", #"{"expire_previous":true}"#,
                #"{"connection_id":"1","secret":"whsec_AAAA","previous_expires_at":1700000000}"#
            ),
            (["deliveries", id], "GET \(address)/deliveries?limit=50", "", #"{"data":[],"next":null}"#),
            (
                ["deliveries", id, "--limit", "7", "--state", "dead"],
                "GET \(address)/deliveries?limit=7&state=dead", "", #"{"data":[],"next":null}"#
            ),
            (
                ["deliveries", id, "8f3a1c07-42"], "GET \(address)/deliveries/8f3a1c07-42", "",
                delivery(#""attempts":0,"state":"dead""#)
            ),
            (["retry", id], "POST \(address)/retry", "", #"{"retried":3,"state":"enabled"}"#),
            (
                [
                    "retry", id, "--from", "2026-07-01T15:00:00+02:00", "--to", "2026-07-02T00:00:00Z", "--status",
                    "500",
                ],
                "POST \(address)/retry?from=2026-07-01T13%3A00%3A00.000Z&to=2026-07-02T00%3A00%3A00.000Z&status=500",
                "", #"{"retried":0,"state":"enabled"}"#
            ),
            (
                ["retry", id, "8f3a1c07-42"], "POST \(address)/deliveries/8f3a1c07-42/retry", "",
                delivery(#""attempts":1,"state":"pending""#)
            ),
        ])
    func calls(_ arguments: [String], _ line: String, _ body: String, _ answer: String) async throws {
        let sent = try await Self.sent(by: arguments, answers: [(200, answer)])
        #expect(sent.lines == [line])
        #expect(try Self.json(sent.bodies[0]) == Self.json(body))
    }

    /// Whatever the order of its members.
    private static func json(_ text: String) throws -> NSDictionary? {
        text.isEmpty ? nil : try JSONSerialization.jsonObject(with: Data(text.utf8)) as? NSDictionary
    }

    @Test("Type, condition and secret of a new webhook go into its body, the secret out of a file")
    func create() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try Data("whsec_BBBB\n".utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let options = ["--type", "alerts.notifications", "--minimum-amount", "5.00", "--secret-file", file.path]
        let sent = try await Self.sent(
            by: ["create", "demo", "https://h/x"] + options, answers: [(201, Self.subscription)])
        #expect(
            try Self.json(sent.bodies[0])
                == Self.json(
                    #"{"page":"demo","callback":"https://h/x","type":"alerts.notifications","#
                        + #""condition":{"minimum_amount":"5.00"},"secret":"whsec_BBBB"}"#))
        let rotated = try await Self.sent(
            by: ["rotate", Self.id, "--secret-file", file.path],
            answers: [(200, #"{"secret":"whsec_BBBB","previous_expires_at":1700086400}"#)])
        #expect(try Self.json(rotated.bodies[0]) == Self.json(#"{"secret":"whsec_BBBB"}"#))
    }

    @Test("A test is followed until its first attempt has ended")
    func test() async throws {
        let waiting = Self.delivery(#""attempts":0,"state":"pending","outcome":null"#)
        let done = Self.delivery(#""attempts":1,"state":"delivered","status":200,"outcome":"answered 200""#)
        let sent = try await Self.sent(by: ["test", Self.id], answers: [(202, waiting), (200, waiting), (200, done)])
        let look = "GET \(Self.address)/deliveries/test-1"
        #expect(sent.lines == ["POST \(Self.address)/test", look, look])
    }

    @Test("A test that isn't delivered is a failure, also with JSON", arguments: [[], ["--json"]])
    func failedTest(_ options: [String]) async throws {
        let failed = Self.delivery(#""attempts":1,"state":"pending","status":500,"outcome":"answered 500""#)
        await #expect(throws: Failure("not delivered: answered 500")) {
            _ = try await Self.sent(by: ["test", Self.id] + options, answers: [(202, failed)])
        }
    }

    @Test("Patience with a delivery that nobody attempts comes to an end")
    func patience() async throws {
        let waiting = Self.delivery(#""attempts":0,"state":"pending""#)
        let server = try await ScriptedServer.start { _, _ in
            .open("HTTP/1.1 200 OK\r\nContent-Length: \(waiting.utf8.count)\r\n\r\n\(waiting)")
        }
        let client = try ManagementClient(
            address: #require(ServerAddress("http://127.0.0.1:\(server.port)")),
            key: .find(option: "tw_" + String(repeating: "a", count: 64), environment: [:]))
        let watch = DeliveryWatch(client: client, request: APIRequest(.get, "x"), patience: .zero)
        #expect(try await !watch.end().delivery.isTried)
        #expect(server.requests.count == 1)
        await client.close()
        try await server.close()
    }

    @Test("Of a delivery that isn't there, it is found out whether its webhook is")
    func missing() async throws {
        let problem = #"{"title":"Not Found","status":404}"#
        await #expect(throws: Failure("there is no webhook '\(Self.id)'; list them with: tipwire subscription list")) {
            _ = try await Self.sent(by: ["deliveries", Self.id, "e-1"], answers: [(404, problem)])
        }
        await #expect(
            throws: Failure(
                "webhook '\(Self.id)' has no delivery 'e-1'; list its deliveries with: "
                    + "tipwire subscription deliveries \(Self.id)")
        ) {
            _ = try await Self.sent(
                by: ["retry", Self.id, "e-1"], answers: [(404, problem), (200, Self.subscription)])
        }
    }

    @Test("What the server doesn't take is told by field")
    func refused() async throws {
        let problem = """
            {"title":"t","status":422,"errors":[{"field":"callback","detail":"must be https (webhooks.allowHTTP)"}]}
            """
        await #expect(throws: Failure("callback: must be https (webhooks.allowHTTP)")) {
            _ = try await Self.sent(by: ["create", "demo", "http://h"], answers: [(422, problem)])
        }
    }

    @Test(
        "What can be told before asking the server is told as a mistake of usage",
        arguments: [
            ["create", "demo"], ["create", "Not a slug", "https://h"],
            ["create", "demo", "https://h", "--minimum-amount", "-5"], ["show", ""], ["rotate"],
            ["deliveries", "i", "--limit", "0"], ["deliveries", "i", "--state", "lost"], ["deliveries", "i", ""],
            ["deliveries", "i", "d", "--limit", "5"], ["deliveries", "i", "d", "--state", "dead"],
            ["retry", "i", "d", "--status", "dead"], ["retry", "i", "d", "--from", "2026-07-01T15:00:00Z"],
            ["retry", "i", "--from", "yesterday"], ["retry", "i", "--to", "2026-07-01"],
            ["retry", "i", "--status", "5xx"], ["retry", "i", "--status", "099"], ["retry", "i", "--status", "+50"],
            ["retry", "i", "--from", "2026-07-02T00:00:00Z", "--to", "2026-07-01T00:00:00Z"],
        ])
    func usage(_ arguments: [String]) {
        #expect { _ = try Tipwire.parseAsRoot(["subscription"] + arguments) } throws: { error in
            Tipwire.exitCode(for: error) == .validationFailure
        }
    }
}
