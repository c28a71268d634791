import NIOCore
import NIOEmbedded
import Testing
import TipwireCore
import TipwireWire

@testable import TipwireHub
@testable import TipwireServer

@Suite("How a feed ends")
struct FeedClosingTests {
    private let world: World

    init() async throws { world = try await World() }

    private func onFeed(maxMessageBytes: Int = 65_536, _ body: (StreamBench) throws -> Void) throws {
        try StreamBench.run(world, maxMessageBytes: maxMessageBytes) { bench in
            _ = try bench.written()
            try body(bench)
        }
    }

    /// The peer's side stays open for a while, so that our last frame isn't lost, and then no longer.
    private func expectLinger(_ bench: StreamBench) {
        #expect(bench.closes == [.output])
        #expect(bench.autoRead == true, "reading goes on, or our close turns into a reset")
        #expect(bench.shard.statistics.connections == 0)
        bench.channel.embeddedEventLoop.advanceTime(by: .milliseconds(4_999))
        #expect(bench.closes == [.output])
        bench.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        #expect(bench.closes == [.output, .all])
    }

    @Test("The peer's close is echoed with its code, and our side ends")
    func handshake() throws {
        try onFeed { bench in
            try bench.send(.close, ByteBuffer(bytes: [0x03, 0xE8] + Array("bye".utf8)))
            #expect(try bench.written() == closeFrame(1000))
            expectLinger(bench)
        }
    }

    @Test("A close without a code is answered without one")
    func bareClose() throws {
        try onFeed { bench in
            try bench.send(.close, "")
            #expect(try bench.written() == ByteBuffer(bytes: [0x88, 0]))
            expectLinger(bench)
        }
    }

    @Test(
        "A breach is answered with its code, and the end",
        arguments: [
            ([0x81, 0x04, 0x70, 0x69, 0x6E, 0x67], 1002),  // unmasked
            ([0xC1, 0x80, 0, 0, 0, 0], 1002),  // a reserved bit
            ([0x83, 0x80, 0, 0, 0, 0], 1002),  // a reserved opcode
            ([0x80, 0x80, 0, 0, 0, 0], 1002),  // a continuation of nothing
            ([0x09, 0x80, 0, 0, 0, 0], 1002),  // a fragmented ping
            ([0x88, 0x81, 0, 0, 0, 0, 1], 1002),  // half a close code
            ([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xED], 1002),  // 1005 must not travel
            ([0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28], 1007),  // not UTF-8
            ([0x81, 0xFE, 0x04, 0x01], 1009),  // 1,025 bytes announced, none sent
            ([0x82, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0], 1009),
        ] as [([UInt8], UInt16)])
    func violations(bytes: [UInt8], code: UInt16) throws {
        try onFeed(maxMessageBytes: 1_024) { bench in
            try bench.channel.writeInbound(ByteBuffer(bytes: bytes))
            let frame = try bench.written()
            #expect(Array(frame.readableBytesView.prefix(1)) == [0x88])
            #expect(frame.getInteger(at: 2, as: UInt16.self) == code)
            // Whatever still comes is taken and means nothing.
            try bench.send(.text, "ping")
            #expect(try bench.written() == ByteBuffer())
            expectLinger(bench)
        }
    }

    private static let endings: [(EndReason, UInt16, String)] = [
        (.keyRevoked, 1008, "the key was revoked"),
        (.sessionEnded, 1008, "signed out"),
        (.keyExpired, 1008, "the key has expired"),
        (.accessLost, 1008, "the page is no longer open to this key"),
        (.closedByOwner, 1008, "closed by the owner"),
        (.idle, 1001, "idle for too long; send ping each 60 seconds"),
        (.slow("too slow: nothing taken for 30 seconds"), 1013, "too slow: nothing taken for 30 seconds"),
    ]

    @Test("Each reason of ours has its close frame, which is the last word", arguments: endings)
    func reasons(reason: EndReason, code: UInt16, text: String) throws {
        try onFeed { bench in
            #expect(bench.shard.end(reason) { _ in true } == 1)
            #expect(try bench.written() == closeFrame(code, text))
            #expect(code < 4000, "a real client never comes back after a code of its own")
            try bench.send(.text, "ping")
            try bench.send(.ping, "tick")
            #expect(try bench.written() == ByteBuffer())
            #expect(bench.closes.isEmpty)
            // The peer answers: our side ends at once, the whole when the peer has gone or the limit is reached.
            try bench.send(.close, ByteBuffer(bytes: [UInt8(code >> 8), UInt8(code & 0xFF)]))
            #expect(try bench.written() == ByteBuffer())
            expectLinger(bench)
        }
    }

    @Test("A peer that doesn't answer our close is cut after 5 seconds, even when it takes nothing")
    func unanswered() throws {
        try onFeed { bench in
            bench.setWritable(false)
            _ = bench.shard.end(.keyRevoked) { _ in true }
            #expect(bench.autoRead == true)
            bench.setWritable(false)
            #expect(bench.autoRead == true)
            bench.channel.embeddedEventLoop.advanceTime(by: .milliseconds(4_999))
            #expect(bench.closes.isEmpty)
            bench.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
            #expect(bench.closes == [.all])
        }
    }

    @Test("The shutdown is 1012, and waits a second for the answer")
    func quiesce() throws {
        try onFeed { bench throws in
            bench.shutDown()
            #expect(try bench.written() == closeFrame(1012, "the server is shutting down"))
            #expect(bench.shard.statistics.connections == 0)
            bench.channel.embeddedEventLoop.advanceTime(by: .milliseconds(998))
            #expect(bench.closes.isEmpty)
            bench.channel.embeddedEventLoop.advanceTime(by: .milliseconds(2))
            #expect(bench.closes == [.all])
        }
    }

    @Test("Until its turn in the shutdown a feed gets its events, and answers")
    func waitingForTheTurn() throws {
        try onFeed { bench throws in
            bench.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
            let tip = bench.tip(8, to: world.main)
            bench.shard.deliver([tip], through: 8)
            let event = PallyNotification.frame(
                for: tip.event, page: world.main, publicURL: "", epoch: StreamBench.epoch)
            #expect(try bench.written() == event)
            try bench.send(.text, "ping")
            #expect(try bench.written() == textFrame("pong"))
            bench.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
            #expect(try bench.written() == closeFrame(1012, "the server is shutting down"))
        }
    }

    @Test("A feed that ends before its turn in the shutdown is told one reason, the first")
    func endedBeforeTheTurn() throws {
        try onFeed { bench throws in
            bench.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
            _ = bench.shard.end(.keyRevoked) { _ in true }
            bench.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
            #expect(try bench.written() == closeFrame(1008, "the key was revoked"))
        }
    }

    @Test("There is one close frame, whatever else happens")
    func once() throws {
        try onFeed { bench in
            _ = bench.shard.end(.idle) { _ in true }
            _ = try bench.written()
            bench.shutDown()
            try bench.channel.writeInbound(ByteBuffer(bytes: [0x81, 0x00]))
            #expect(try bench.written() == ByteBuffer())
            #expect(bench.closes == [.output])
        }
    }

    @Test("A peer that ends its side without a close frame is gone")
    func inputClosed() throws {
        try onFeed { bench throws in
            bench.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            #expect(bench.closes == [.all])
            bench.channel.embeddedEventLoop.run()
            #expect(bench.shard.statistics.connections == 0)
            #expect(try bench.written() == ByteBuffer())
        }
    }

    @Test("A broken connection is closed and said nothing to")
    func error() throws {
        try onFeed { bench throws in
            bench.channel.pipeline.fireErrorCaught(ChannelError.inputClosed)
            #expect(bench.closes == [.all])
            #expect(try bench.written() == ByteBuffer())
        }
    }
}
