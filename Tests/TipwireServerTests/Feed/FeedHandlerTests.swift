import NIOCore
import NIOEmbedded
import Testing
import TipwireCore
import TipwireWire

@testable import TipwireHub
@testable import TipwireServer

@Suite("A feed's bytes")
struct FeedHandlerTests {
    private let world: World

    init() async throws { world = try await World() }

    private func onFeed(
        start: Subscription.Start = .live, maxMessageBytes: Int = 65_536, _ body: (StreamBench) throws -> Void
    ) throws {
        try StreamBench.run(world, start: start, maxMessageBytes: maxMessageBytes) { bench in
            #expect(String(buffer: try bench.written()).hasPrefix("HANDSHAKE"))
            try body(bench)
        }
    }

    @Test("The handshake is the first thing that is written, and of a plain feed the only one")
    func handshake() throws {
        try StreamBench.run(world) { bench throws in
            #expect(try bench.written() == ByteBuffer(string: "HANDSHAKE"))
            #expect(bench.shard.statistics.connections == 1)
        }
    }

    @Test("With 'since=now' feed.resumed follows the handshake, with the head of the log")
    func since() throws {
        try StreamBench.run(world, start: .now) { bench throws in
            var expected = ByteBuffer(string: "HANDSHAKE")
            expected.writeImmutableBuffer(
                textFrame(#"{"type":"feed.resumed","payload":{"status":"resumed","cursor":"0badcafe-7"}}"#))
            #expect(try bench.written() == expected)
        }
    }

    @Test(
        "Every spelling of ping is answered with pong", arguments: ["ping", "PING", " Ping\r\n", #"{"type":"ping"}"#])
    func ping(text: String) throws {
        try onFeed { bench in
            try bench.send(.text, text)
            #expect(try bench.written() == ByteBuffer(bytes: [0x81, 4] + Array("pong".utf8)))
        }
    }

    @Test("An echo is the payload's own text, byte for byte")
    func echo() throws {
        try onFeed { bench in
            let payload = #"{"b":1.50,"a":[1e2, "é\u00e9"],"b":null}"#
            try bench.send(.text, #"{"type":"echo","payload":\#(payload)}"#)
            #expect(try bench.written() == textFrame(payload))
            try bench.send(.text, #"{"type":"echo"}"#)
            #expect(try bench.written() == ByteBuffer())
        }
    }

    @Test("A control ping is answered with its own payload")
    func controlPing() throws {
        try onFeed { bench in
            try bench.send(.ping, "tick")
            #expect(try bench.written() == ByteBuffer(bytes: [0x8A, 4] + Array("tick".utf8)))
        }
    }

    @Test("Everything else that keeps the protocol is passed over in silence")
    func ignored() throws {
        try onFeed { bench in
            try bench.send(.text, "hello")
            try bench.send(.text, #"{"type":"subscribe"}"#)
            try bench.send(.text, "")
            try bench.send(.binary, "\u{1}\u{2}")
            try bench.send(.pong, "unasked")
            #expect(try bench.written() == ByteBuffer())
            #expect(bench.closes.isEmpty)
            try bench.send(.text, "ping")
            #expect(try bench.written() == textFrame("pong"))
        }
    }

    @Test("Frames may come byte by byte, or many at once")
    func segments() throws {
        try onFeed { bench in
            let ping = WebSocketFrame.masked(opcode: .text, payload: ByteBuffer(string: "ping"), key: 99)
            for byte in ping.readableBytesView { try bench.channel.writeInbound(ByteBuffer(bytes: [byte])) }
            #expect(try bench.written() == textFrame("pong"))
            var three = ByteBuffer()
            for _ in 1...3 { three.writeImmutableBuffer(ping) }
            try bench.channel.writeInbound(three)
            #expect(try bench.written().readableBytes == 3 * textFrame("pong").readableBytes)
        }
    }

    @Test("An event of the page is written as it was encoded; another page's is not")
    func event() throws {
        try onFeed { bench throws in
            let mine = bench.tip(8, to: world.main)
            bench.shard.deliver([mine, bench.tip(9, to: world.other)], through: 9)
            let frame = PallyNotification.frame(
                for: mine.event, page: world.main, publicURL: "", epoch: StreamBench.epoch)
            #expect(try bench.written() == frame)
        }
    }

    @Test("A probe is a control ping, and none is sent to who takes nothing")
    func probe() throws {
        try onFeed { bench throws in
            let sink = bench.sink
            sink.probe()
            #expect(try bench.written() == ByteBuffer(bytes: [0x89, 0]))
            bench.setWritable(false)
            sink.probe()
            #expect(try bench.written() == ByteBuffer())
        }
    }

    @Test("A peer that takes nothing is not read from until it does")
    func writability() throws {
        try onFeed { bench in
            #expect(bench.autoRead == nil)
            bench.setWritable(false)
            #expect(bench.autoRead == false)
            bench.setWritable(true)
            #expect(bench.autoRead == true)
        }
    }

    @Test("A place among the streams is given back when the connection is gone")
    func permit() throws {
        var quota: StreamQuota?
        try onFeed { bench in
            quota = bench.quota
            #expect(bench.quota.count == 1)
        }
        #expect(quota?.count == 0)
    }

    @Test("A connection that ends takes its listener out of the fan-out")
    func inactive() throws {
        try onFeed { bench in
            bench.channel.close(promise: nil)
            bench.channel.embeddedEventLoop.run()
            #expect(bench.shard.statistics.connections == 0)
        }
    }
}
