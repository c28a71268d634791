import NIOCore
import Testing
import TipwireCore
import TipwireTestSupport

@testable import TipwireWire

/// The cases of web-platform-tests' `eventsource` suite, in bytes, and what that suite leaves out.
///
/// Each is fed whole, byte by byte and cut at random.
@Suite struct EventStreamParserTests {
    typealias Message = EventStreamParser.Message

    private static let limit = 4_096

    @Test(arguments: EventStreamSample.all)
    func `a stream gives its messages, however it is cut`(sample: EventStreamSample) throws {
        var chance = TestSeed()
        let cuts: [Chunking] = [.whole, .bytewise] + (0..<20).map { _ in .random(seed: chance.next()) }
        for cut in cuts {
            let outcome = Self.outcome(sample.stream, cut)
            #expect(outcome.messages == sample.messages, "\(cut), \(chance)")
            #expect(!outcome.isOversized)
            #expect(outcome.parser.retryMilliseconds == sample.retry, "\(cut), \(chance)")
            if let id = sample.lastEventID { #expect(outcome.parser.lastEventID == id, "\(cut), \(chance)") }
        }
    }

    struct Outcome {
        var parser: EventStreamParser
        var messages: [Message] = []
        var isOversized = false
    }

    private static func outcome(_ stream: [UInt8], _ cut: Chunking, limit: Int = limit) -> Outcome {
        var outcome = Outcome(parser: EventStreamParser(limit: limit))
        for var chunk in cut.cut(stream) {
            do {
                while let message = try outcome.parser.next(&chunk) { outcome.messages.append(message) }
                #expect(chunk.readableBytes == 0)
            } catch {
                outcome.isOversized = true
                break
            }
        }
        return outcome
    }

    @Test func `a message is given out with its last byte, not with the next one`() throws {
        for end in ["\n\n", "\r\r", "\n\r", "\r\n\r"] {
            var parser = EventStreamParser(limit: Self.limit)
            var bytes = ByteBuffer(string: "data:x" + end)
            #expect(try parser.next(&bytes) == Message(data: "x"))
        }
    }

    @Test func `the id of the stream before stands until there is a new one`() throws {
        var parser = EventStreamParser(limit: Self.limit, lastEventID: "e-41")
        var bytes = ByteBuffer(string: "data:a\n\nid:e-42\ndata:b\n\n")
        #expect(parser.lastEventID == "e-41")
        #expect(try parser.next(&bytes) == Message(data: "a", lastEventID: "e-41"))
        #expect(try parser.next(&bytes) == Message(data: "b", lastEventID: "e-42"))
        #expect(parser.lastEventID == "e-42")
    }

    @Test func `what this server writes is read again`() throws {
        var bytes = ServerSentEvent.message(EventHookMessage.connected, id: nil)
        bytes.writeImmutableBuffer(ServerSentEvent.keepalive)
        bytes.writeImmutableBuffer(ServerSentEvent.message(EventHookMessage.resumed(.gap), id: "3f9a1c2e-42"))
        var parser = EventStreamParser(limit: Self.limit)
        #expect(try parser.next(&bytes) == Message(data: #"{"type":"connected"}"#))
        #expect(
            try parser.next(&bytes)
                == Message(data: #"{"type":"resumed","status":"gap"}"#, lastEventID: "3f9a1c2e-42"))
        #expect(try parser.next(&bytes) == nil)
    }

    @Test(arguments: [
        ("text/event-stream", true), ("TEXT/Event-Stream", true), ("text/event-stream;", true),
        ("text/event-stream; charset=utf-8", true), (" text/event-stream ;charset=windows-1252", true),
        ("text/event-stream;bogus", true), ("text/plain", false), ("", false), ("text/event-streams", false),
        ("text/x-bogus", false), ("x-text/event-stream", false), ("text/event-stream charset=utf-8", false),
        ("application/json; x=text/event-stream", false),
    ])
    func `format-mime: only the type itself counts, not its parameters`(contentType: String, isEventStream: Bool) {
        #expect(EventStreamParser.isEventStream(contentType: contentType) == isEventStream)
    }
}

// MARK: The limit

extension EventStreamParserTests {
    @Test(arguments: [
        ("data:0123456789abcde", true), ("data:0123456789abcdef", false), (":0123456789abcdefghi", true),
        (":0123456789abcdefghij", false), ("0123456789abcdefghijk", false),
        // Data that is held counts with its line feed, a type by itself.
        ("data:01234\ndata:012345678", true), ("data:01234\ndata:0123456789", false),
        ("event:abc\ndata:0123456789ab", true), ("event:abc\ndata:0123456789abc", false),
    ])
    func `a message may be as long as the limit and not longer`(block: String, isTaken: Bool) {
        let stream = Array(("data:1\n\n" + block + "\n\ndata:2\n\n").utf8)
        var chance = TestSeed()
        for cut in [.whole, .bytewise, .random(seed: chance.next())] as [Chunking] {
            let outcome = Self.outcome(stream, cut, limit: 20)
            #expect(outcome.isOversized != isTaken, "\(cut)")
            #expect(outcome.messages.first == Message(data: "1"))
            #expect((outcome.messages.last == Message(data: "2")) == isTaken)
        }
    }

    @Test func `many small blocks and comments never add up to the limit`() {
        let stream = Array(String(repeating: ": keepalive\n\ndata:x\nid:1\nretry:5\n\n", count: 100).utf8)
        let outcome = Self.outcome(stream, .whole, limit: 20)
        #expect(!outcome.isOversized)
        #expect(outcome.messages.count == 100)
    }

    @Test func `after it nothing is read any more, and the position is that of the last whole message`() throws {
        var parser = EventStreamParser(limit: 20)
        var bytes = ByteBuffer(string: "id:1\ndata:1\n\nid:2\ndata:0123456789abcdef\n\ndata:3\n\n")
        #expect(try parser.next(&bytes) == Message(data: "1", lastEventID: "1"))
        #expect(throws: EventStreamParser.Oversized(limit: 20)) { try parser.next(&bytes) }
        var more = ByteBuffer(string: "\n\ndata:4\n\n")
        #expect(throws: EventStreamParser.Oversized(limit: 20)) { try parser.next(&more) }
        #expect(parser.lastEventID == "1")
    }
}

// MARK: Chance

extension EventStreamParserTests {
    @Test func `streams of chance read as by the standard's own steps, however they are cut`() {
        var chance = TestSeed()
        for _ in 0..<400 {
            let stream = Self.stream(using: &chance)
            let expected = EventStreamModel.messages(of: stream)
            for cut in [.whole, .bytewise, .random(seed: chance.next()), .random(seed: chance.next())] as [Chunking] {
                let outcome = Self.outcome(stream, cut, limit: 65_536)
                #expect(outcome.messages == expected, "\(cut), \(chance)")
            }
        }
    }

    @Test func `streams of chance pass a small limit at the same place, however they are cut`() {
        var chance = TestSeed()
        for _ in 0..<400 {
            let stream = Self.stream(using: &chance)
            let whole = Self.outcome(stream, .whole, limit: 24)
            for cut in [.bytewise, .random(seed: chance.next()), .random(seed: chance.next())] as [Chunking] {
                let outcome = Self.outcome(stream, cut, limit: 24)
                #expect(outcome.messages == whole.messages, "\(cut), \(chance)")
                #expect(outcome.isOversized == whole.isOversized, "\(cut), \(chance)")
                #expect(outcome.parser.lastEventID == whole.parser.lastEventID, "\(cut), \(chance)")
            }
        }
    }

    private static func stream(using chance: inout TestSeed) -> [UInt8] {
        let pieces: [[UInt8]] =
            [
                "data", "event", "id", "retry", ":", ": ", "\n", "\r", "\r\n", "\n\n", "\r\r", "data:x\n", "id:7\n",
                " ", "é😀",
            ]
            .map { Array($0.utf8) }
            + [[0], [0xEF, 0xBB, 0xBF], [0xE2, 0x82], [0xF0, 0x9F], [0xED, 0xA0], [0x80], [0xFF], [0xC3]]
        return (0..<Int.random(in: 0...60, using: &chance)).flatMap { _ in pieces.randomElement(using: &chance)! }
    }
}
