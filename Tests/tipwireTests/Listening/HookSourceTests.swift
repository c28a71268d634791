import NIOConcurrencyHelpers
import Testing
import TipwireCore

@testable import tipwire

/// The client's half of the Event Hook against bytes written by hand.
@Suite struct HookSourceTests {
    private static let key = APIKey("tw_" + String(repeating: "a", count: 64))!

    private struct Outcome {
        let ending: ListeningEnding
        let shown: [String]
        let isOpened: Bool
        let request: String
    }

    private static func outcome(
        of answer: ScriptedServer.Answer, after position: String = "now", page: Slug? = nil,
        silence: Duration = HookSession.longestSilence,
        show: (@Sendable (HeardMessage) throws -> Void)? = nil
    ) async throws -> Outcome {
        let server = try await ScriptedServer.start { _, _ in answer }
        let address = try #require(ServerAddress("http://127.0.0.1:\(server.port)"))
        let shown = NIOLockedValueBox<[String]>([])
        let isOpened = NIOLockedValueBox(false)
        let ending = try await HookSource.with(address: address, key: key, page: page, silence: silence) { source in
            try await source.connect(after: position) {
                isOpened.withLockedValue { $0 = true }
            } show: { message in
                shown.withLockedValue { $0.append("\(message.cursor ?? "-") \(message.json)") }
                try show?(message)
            }
        }
        let request = try #require(server.requests.first)
        try await server.close()
        return Outcome(
            ending: ending, shown: shown.withLockedValue { $0 }, isOpened: isOpened.withLockedValue { $0 },
            request: request)
    }

    private static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"

    private static func chunk(_ text: String) -> String {
        String(text.utf8.count, radix: 16) + "\r\n" + text + "\r\n"
    }

    @Test("A stream is shown message by message up to its orderly end")
    func stream() async throws {
        let answer =
            Self.head + "Transfer-Encoding: chunked\r\n\r\n"
            + Self.chunk("id: e-1\ndata: {\"type\":\"connected\"}\n\nid: e-1\ndata: {\"type\":\"resumed\",\"sta")
            + Self.chunk("tus\":\"resumed\"}\n\n: keepalive\n\nid: e-2\ndata: {\"type\":\"x\"}\n\n")
            + Self.chunk("id: e-3\ndata: {\"type\":\"cut off\"}\n")
            + "0\r\n\r\n"
        let outcome = try await Self.outcome(of: .open(answer))
        #expect(outcome.shown == [#"e-1 {"type":"resumed","status":"resumed"}"#, #"e-2 {"type":"x"}"#])
        #expect(outcome.ending == .ended)
        #expect(outcome.isOpened)
    }

    @Test("The key goes into a header; without a position one is asked for, later it is the Last-Event-ID")
    func request() async throws {
        let first = try await Self.outcome(of: .last(Self.head + "\r\n"), page: Slug("demo"))
        #expect(first.request.hasPrefix("GET /api/tip-events/stream?page=demo&resume=true HTTP/1.1\r\n"))
        #expect(first.request.contains("Authorization: Bearer \(Self.key.reveal())\r\n"))
        #expect(first.request.contains("Accept: text/event-stream\r\n"))
        #expect(!first.request.contains("Last-Event-ID"))
        let later = try await Self.outcome(of: .last(Self.head + "\r\n"), after: "e-7")
        #expect(later.request.hasPrefix("GET /api/tip-events/stream HTTP/1.1\r\n"))
        #expect(later.request.contains("Last-Event-ID: e-7\r\n"))
    }

    @Test("A refusal brings its status, its reason and its Retry-After, and opens nothing")
    func refusal() async throws {
        let outcome = try await Self.outcome(
            of: .open(
                "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 7\r\n"
                    + "Content-Length: 20\r\n\r\n" + #"{"error":"too many"}"#))
        #expect(outcome.ending == .refused(status: 429, detail: "too many", retryAfterSeconds: 7))
        #expect(!outcome.isOpened)
    }

    @Test("An answer that isn't an event stream is a refusal, whatever its status")
    func otherType() async throws {
        let outcome = try await Self.outcome(
            of: .open("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\ndata: x\n\n"))
        #expect(outcome.ending == .refused(status: 200, detail: nil, retryAfterSeconds: nil))
        #expect(outcome.shown.isEmpty)
        #expect(!outcome.isOpened)
    }

    @Test("A stream that breaks off without its end is lost, and so is one that is silent")
    func broken() async throws {
        let cut = try await Self.outcome(
            of: .last(Self.head + "Transfer-Encoding: chunked\r\n\r\n" + Self.chunk("data: {\"type\":\"x\"}\n\n")))
        #expect(cut.ending == .lost)
        #expect(cut.shown == [#"- {"type":"x"}"#])
        let silent = try await Self.outcome(
            of: .open(Self.head + "Transfer-Encoding: chunked\r\n\r\n" + Self.chunk(": keepalive\n\n")),
            silence: .milliseconds(20))
        #expect(silent.ending == .silent("nothing came for 0.0 s"))
        #expect(silent.isOpened)
    }

    @Test("A refusal whose body never comes ends too")
    func stalledRefusal() async throws {
        let outcome = try await Self.outcome(
            of: .open(
                "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"),
            silence: .milliseconds(20))
        #expect(outcome.ending == .silent("nothing came for 0.0 s"))
    }

    @Test("What showing throws ends the connection and is thrown")
    func thrown() async throws {
        await #expect(throws: Failure("full")) {
            _ = try await Self.outcome(
                of: .open(Self.head + "Transfer-Encoding: chunked\r\n\r\n" + Self.chunk("data: {\"type\":\"x\"}\n\n"))
            ) { _ in throw Failure("full") }
        }
    }

    @Test("Where nobody listens, that is said")
    func unreachable() async throws {
        let server = try await ScriptedServer.start { _, _ in .last("") }
        try await server.close()
        let address = try #require(ServerAddress("http://127.0.0.1:\(server.port)"))
        let ending = try await HookSource.with(address: address, key: Self.key, page: nil) { source in
            try await source.connect(after: "now", opened: {}, show: { _ in })
        }
        #expect(ending == .unreachable(.refused))
    }
}
