import Foundation
import NIOConcurrencyHelpers
import Testing
import TipwireCore

@testable import tipwire

@Suite struct ListenerTests {
    /// Connections that were written beforehand.
    private struct Script: ListeningSource {
        struct Connection {
            var messages: [HeardMessage] = []
            let ending: ListeningEnding
        }

        let connections: [Connection]
        let positions = NIOLockedValueBox<[String]>([])

        func connect(
            after position: String, opened: @escaping @Sendable () -> Void,
            show: @escaping @Sendable (HeardMessage) async throws -> Void
        ) async throws -> ListeningEnding {
            let number = positions.withLockedValue { positions in
                positions.append(position)
                return positions.count - 1
            }
            opened()
            for message in connections[number].messages { try await show(message) }
            return connections[number].ending
        }
    }

    private struct Printed {
        let answers: String
        let notes: String
        let positions: [String]
        let failure: Failure?
    }

    private static func printed(_ connections: [Script.Connection], printsJSON: Bool) async throws -> Printed {
        let (answers, notes) = (Pipe(), Pipe())
        let script = Script(connections: connections)
        let client = try ManagementClient(
            address: #require(ServerAddress("http://127.0.0.1:1")),
            key: .find(option: "tw_" + String(repeating: "a", count: 64), environment: [:]))
        let listener = Listener(
            client: client, source: script, page: Slug("demo"), since: "now", printsJSON: printsJSON,
            answers: TextOutput(descriptor: answers.fileHandleForWriting.fileDescriptor),
            notes: TextOutput(descriptor: notes.fileHandleForWriting.fileDescriptor))
        let failure = await #expect(throws: Failure.self) { try await listener.run() }
        await client.close()
        try answers.fileHandleForWriting.close()
        try notes.fileHandleForWriting.close()
        return Printed(
            answers: String(decoding: try answers.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self),
            notes: String(decoding: try notes.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self),
            positions: script.positions.withLockedValue { $0 }, failure: failure)
    }

    private static func beginning(_ status: String?, _ cursor: String?) -> HeardMessage {
        HeardMessage(content: .beginning(status: status), cursor: cursor, json: "{}")
    }

    private static func unknown(_ cursor: String?, json: String) -> HeardMessage {
        HeardMessage(content: .unknown(type: "later\u{7}"), cursor: cursor, json: json)
    }

    private static let final = ListeningEnding.refused(status: 401, detail: nil, retryAfterSeconds: nil)

    @Test("Each connection begins where the one before was, until the server refuses for good")
    func positions() async throws {
        let printed = try await Self.printed(
            [
                .init(messages: [Self.beginning("resumed", "e-1"), Self.unknown("e-2", json: "{}")], ending: .ended),
                .init(messages: [Self.beginning("gap", "e-5"), Self.unknown(nil, json: "{}")], ending: .lost),
                .init(ending: Self.final),
            ], printsJSON: false)
        #expect(printed.positions == ["now", "e-2", "e-5"])
        #expect(printed.failure?.message.contains("(401)") == true)
        #expect(printed.answers.isEmpty)
        let notes = printed.notes.split(separator: "\n")
        #expect(notes.count == 6)
        #expect(notes[0] == "connected")
        #expect(notes[1] == "event: later\\u{7}")
        #expect(notes[2].hasPrefix("the server ended the stream, again in 0."))
        #expect(notes[3].hasPrefix("gap: "))
        #expect(notes[5].hasPrefix("connection lost, again in "))
    }

    @Test("With JSON each message is one line as it came, and what is said goes elsewhere")
    func json() async throws {
        let printed = try await Self.printed(
            [
                .init(
                    messages: [
                        Self.beginning("resumed", "e-1"),
                        Self.unknown("e-2", json: "{\"type\":\"later\",\r\n\"n\": 1.0,\n\"c\":\"\u{9B}\"}"),
                    ], ending: Self.final)
            ], printsJSON: true)
        #expect(printed.answers == "{\"type\":\"later\", \"n\": 1.0, \"c\":\"\\u009b\"}\n")
        #expect(printed.notes == "connected\n")
    }

    @Test("Another subscription says what may be missing")
    func renewal() async throws {
        let renewal = HeardMessage(content: .renewal, cursor: nil, json: "")
        let printed = try await Self.printed(
            [.init(ending: .subscriptionOver("it\u{7} ended")), .init(messages: [renewal], ending: Self.final)],
            printsJSON: true)
        #expect(printed.answers.isEmpty)
        let notes = printed.notes.split(separator: "\n")
        #expect(notes.count == 2)
        #expect(notes[0].hasPrefix("the subscription is over (it\\u{7} ended), again in 0."))
        #expect(notes[1] == "a new subscription; what came since the one before ended may be missing")
    }

    /// Cancels whoever listens to it.
    private struct Cancelling: ListeningSource {
        func connect(
            after position: String, opened: @escaping @Sendable () -> Void,
            show: @escaping @Sendable (HeardMessage) async throws -> Void
        ) async throws -> ListeningEnding {
            withUnsafeCurrentTask { $0?.cancel() }
            return .lost
        }
    }

    @Test("A listener that is cancelled says nothing about its connection")
    func cancelled() async throws {
        let notes = Pipe()
        let client = try ManagementClient(
            address: #require(ServerAddress("http://127.0.0.1:1")),
            key: .find(option: "tw_" + String(repeating: "a", count: 64), environment: [:]))
        let listener = Listener(
            client: client, source: Cancelling(), page: nil, since: "now", printsJSON: false,
            notes: TextOutput(descriptor: notes.fileHandleForWriting.fileDescriptor))
        let running = Task { try await listener.run() }
        let result = await running.result
        #expect(throws: CancellationError.self) { try result.get() }
        await client.close()
        try notes.fileHandleForWriting.close()
        #expect(try (notes.fileHandleForReading.readToEnd() ?? Data()).isEmpty)
    }

    @Test("The first connection says connected, later ones resumed; losses are always told")
    func words() {
        #expect(Listener.words(status: "resumed", isFirst: true) == "connected")
        #expect(Listener.words(status: "resumed", isFirst: false) == "resumed")
        #expect(Listener.words(status: "gap", isFirst: true).hasPrefix("gap: "))
        #expect(Listener.words(status: "reset", isFirst: false).hasPrefix("reset: the server's log is another one"))
        #expect(
            Listener.words(status: "reset", isFirst: true)
                == "reset: the cursor means nothing to this server's log; going on from now")
        #expect(Listener.words(status: nil, isFirst: true) == "connected")
        #expect(Listener.words(status: nil, isFirst: false).contains("missing"))
    }

    @Test(
        "A position is what can travel in a header",
        arguments: [
            ("e-1", true), ("now", true), ("", false),
            ("a b", false), ("a\r\nX: y", false), ("é", false), ("\u{7F}", false),
        ])
    func usable(_ text: String, _ isUsable: Bool) {
        #expect(ListeningPosition.isUsable(text) == isUsable)
    }
}
