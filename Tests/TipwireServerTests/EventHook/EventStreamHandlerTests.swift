import NIOCore
import NIOEmbedded
import Testing
import TipwireCore
import TipwireWire

@testable import TipwireHub
@testable import TipwireServer

@Suite("A stream of server-sent events, in bytes")
struct EventStreamHandlerTests {
    private let world: World

    init() async throws { world = try await World() }

    private func onStream(
        _ framing: StreamFraming = .chunked, start: Subscription.Start = .live, _ body: (StreamBench) throws -> Void
    ) throws {
        try StreamBench.run(world, form: .serverSentEvents(framing), start: start, body)
    }

    private func text(_ bench: StreamBench) throws -> String { String(buffer: try bench.written()) }

    /// One chunk.
    private func chunk(_ content: String) -> String { "\(String(content.utf8.count, radix: 16))\r\n\(content)\r\n" }

    private let connected = "data: {\"type\":\"connected\"}\n\n"

    private func received(_ sequence: Int64) -> String {
        "data: {\"type\":\"tip:received\",\"tipId\":\"t\(sequence)\",\"amount\":500,\"displayName\":\"Ada\","
            + "\"message\":null,\"isAnonymous\":false,\"goalId\":null,\"goalProgress\":null,\"goalTarget\":null,"
            + "\"timestamp\":\"2026-01-31T12:00:00.000Z\"}\n\n"
    }

    @Test("The head is followed by connected, in a chunk of its own")
    func opening() throws {
        try onStream { bench throws in
            #expect(try text(bench) == "HANDSHAKE" + chunk(connected))
            #expect(bench.shard.statistics.sse.connections == 1 && bench.shard.statistics.feed.connections == 0)
        }
    }

    @Test("With a position connected and resumed come together, both with the id that the stream begins after")
    func resumed() throws {
        try onStream(start: .now) { bench throws in
            let first = "id: 0badcafe-7\n" + connected
            let second = "id: 0badcafe-7\ndata: {\"type\":\"resumed\",\"status\":\"resumed\"}\n\n"
            #expect(try text(bench) == "HANDSHAKE" + chunk(first) + chunk(second))
            bench.shard.deliver([bench.tip(8, to: world.main)], through: 8)
            #expect(try text(bench) == chunk("id: 0badcafe-8\n" + received(8)))
        }
    }

    @Test("An event of the page is one chunk, another page's is nothing, and several come in one write")
    func events() throws {
        try onStream { bench throws in
            _ = try bench.written()
            bench.shard.deliver([bench.tip(8, to: world.main), bench.tip(9, to: world.other)], through: 9)
            #expect(try text(bench) == chunk(received(8)))
            bench.shard.deliver([bench.tip(10, to: world.main), bench.tip(11, to: world.main)], through: 11)
            let both = try bench.channel.readOutbound(as: ByteBuffer.self)
            #expect(both.map { String(buffer: $0) } == chunk(received(10)) + chunk(received(11)))
            #expect(bench.shard.statistics.sse.deliveries == 3)
        }
    }

    @Test("Without chunks the content goes out as it is, and ends with the connection")
    func plain() throws {
        try onStream(.plain) { bench throws in
            #expect(try text(bench) == "HANDSHAKE" + connected)
            bench.shard.deliver([bench.tip(8, to: world.main)], through: 8)
            #expect(try text(bench) == received(8))
            bench.shutDown()
            #expect(try text(bench).isEmpty)
            #expect(bench.closes == [.output])
        }
    }

    @Test("A sign of life is a comment, and none is sent to who takes nothing")
    func keepalive() throws {
        try onStream { bench throws in
            _ = try bench.written()
            let sink = bench.sink
            sink.probe()
            #expect(try text(bench) == chunk(": keepalive\n\n"))
            bench.setWritable(false)
            sink.probe()
            #expect(try text(bench).isEmpty)
        }
    }

    @Test("Nothing that a client sends has an answer or an effect")
    func inbound() throws {
        try onStream { bench throws in
            _ = try bench.written()
            try bench.channel.writeInbound(ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"))
            #expect(try text(bench).isEmpty && bench.closes.isEmpty)
            bench.shard.deliver([bench.tip(8, to: world.main)], through: 8)
            #expect(try text(bench) == chunk(received(8)))
        }
    }

    @Test(
        "The server's end is a clean end of the body, then of our side, and of the connection a little later",
        arguments: [true, false])
    func end(byShutdown: Bool) throws {
        try onStream { bench throws in
            _ = try bench.written()
            if byShutdown {
                bench.shutDown()
            } else {
                #expect(bench.shard.end(.keyRevoked) { _ in true } == 1)
            }
            #expect(try text(bench) == "0\r\n\r\n")
            #expect(bench.closes == [.output] && bench.shard.statistics.sse.connections == 0)
            bench.shard.deliver([bench.tip(8, to: world.main)], through: 8)
            #expect(try text(bench).isEmpty, "nothing follows the end")
            let limit: TimeAmount = byShutdown ? .seconds(1) : .seconds(5)
            bench.channel.embeddedEventLoop.advanceTime(by: limit - .milliseconds(2))
            #expect(bench.closes == [.output])
            bench.channel.embeddedEventLoop.advanceTime(by: .milliseconds(2))
            #expect(bench.closes == [.output, .all])
        }
    }

    @Test("Until its turn in the shutdown a stream gets its events")
    func waitingForTheTurn() throws {
        try onStream { bench throws in
            _ = try bench.written()
            bench.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
            bench.shard.deliver([bench.tip(8, to: world.main)], through: 8)
            #expect(try text(bench) == chunk(received(8)))
            bench.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
            #expect(try text(bench) == "0\r\n\r\n")
        }
    }

    @Test("A client that ends its side is gone")
    func inputClosed() throws {
        try onStream { bench throws in
            bench.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            #expect(bench.closes == [.all])
        }
    }

    @Test("What could not be taken is not written; the log has it")
    func slow() throws {
        try onStream { bench throws in
            _ = try bench.written()
            bench.setWritable(false)
            bench.shard.deliver([bench.tip(8, to: world.main)], through: 8)
            #expect(try text(bench).isEmpty)
            #expect(bench.shard.listeners.first?.lagBytes == chunk(received(8)).utf8.count)
        }
    }
}
