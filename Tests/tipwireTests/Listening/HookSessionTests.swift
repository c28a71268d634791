import NIOCore
import Testing

@testable import tipwire

@Suite struct HookSessionTests {
    private static let start = ContinuousClock.now

    /// What a session makes of a stream, as words.
    private static func actions(_ stream: String) -> [String] {
        var session = HookSession(at: start)
        session.received(ByteBuffer(string: stream))
        var words: [String] = []
        while let action = session.next(at: start) {
            switch action {
            case .show(let message):
                let content =
                    switch message.content {
                    case .beginning(let status): "beginning \(status ?? "without a position")"
                    case .renewal: "renewal"
                    case .event: "event"
                    case .unknown(let type): "unknown \(type)"
                    }
                words.append("\(content) @\(message.cursor ?? "-") \(message.json)")
            case .end(let ending): return words + ["\(ending)"]
            }
        }
        return words
    }

    private static let queue = #"{"type":"tip:queue-updated","activeGoal":null,"goalCount":0,"completedGoalCount":0}"#

    @Test("The position that is told with `connected` is shown with the word on how well it was met")
    func resumed() {
        let stream = """
            id: e-4
            data: {"type":"connected"}

            id: e-4
            data: {"type":"resumed","status":"gap"}

            : keepalive

            id: e-5
            data: \(Self.queue)

            id: e-6
            data: {"type":"tip:later"}


            """
        #expect(
            Self.actions(stream) == [
                #"beginning gap @e-4 {"type":"resumed","status":"gap"}"#, "event @e-5 \(Self.queue)",
                #"unknown tip:later @e-6 {"type":"tip:later"}"#,
            ])
    }

    @Test("A server without positions is told apart from one with them")
    func withoutPosition() {
        #expect(
            Self.actions("data: {\"type\":\"connected\"}\n\ndata: \(Self.queue)\n\n") == [
                #"beginning without a position @- {"type":"connected"}"#, "event @- \(Self.queue)",
            ])
    }

    @Test("What is no message is passed over, and an id that can't be sent back is no position")
    func nonsense() {
        #expect(
            Self.actions("data: hello\n\nid: a b\ndata: \(Self.queue)\n\nid: é\ndata: \(Self.queue)\n\n")
                == ["event @- \(Self.queue)", "event @- \(Self.queue)"])
    }

    @Test("A message in many pieces is one message, and is shown with its last one")
    func pieces() {
        var session = HookSession(at: Self.start)
        let bytes = Array("id: e-1\ndata: \(Self.queue)\n\n".utf8)
        for byte in bytes.dropLast() {
            session.received(ByteBuffer(bytes: [byte]))
            #expect(session.next(at: Self.start) == nil)
        }
        session.received(ByteBuffer(bytes: bytes.suffix(1)))
        guard case .show(let message) = session.next(at: Self.start) else {
            Issue.record("not shown")
            return
        }
        #expect(message.json == Self.queue)
        #expect(message.cursor == "e-1")
    }

    @Test("A message over the limit ends the connection for good")
    func oversized() {
        let words = Self.actions(
            "data: \(Self.queue)\n\ndata: \(String(repeating: "x", count: HookSession.messageBytes))\n\n")
        #expect(words == ["event @- \(Self.queue)", "\(ListeningEnding.oversized(bytes: HookSession.messageBytes))"])
    }

    @Test("Silence is measured from the last byte, a comment's too, and only while nothing is being shown")
    func silence() {
        var session = HookSession(at: Self.start, silence: .seconds(45))
        func at(_ seconds: Int) -> ContinuousClock.Instant { Self.start + .seconds(seconds) }
        #expect(session.patienceEnds(at: at(1)) == at(45))
        #expect(session.patienceEnded(at: at(44)) == nil)
        session.received(ByteBuffer(string: ": keepalive\n\n"))
        #expect(session.next(at: at(40)) == nil)
        #expect(session.patienceEnds(at: at(45)) == at(85))
        #expect(session.patienceEnded(at: at(84)) == nil)
        #expect(session.patienceEnded(at: at(85)) == .silent("nothing came for 45.0 s"))
        session.received(ByteBuffer(string: "data: \(Self.queue)\n\n"))
        #expect(session.next(at: at(86)) != nil)
        // The terminal takes its time.
        #expect(session.patienceEnded(at: at(900)) == nil)
        #expect(session.patienceEnds(at: at(900)) == at(945))
        #expect(session.next(at: at(901)) == nil)
        #expect(session.patienceEnds(at: at(902)) == at(946))
    }
}
