import Foundation
import NIOCore
import NIOPosix
import Testing
import TipwireTestSupport

@testable import TipwireSockets

@Suite("Outlet")
struct OutletTests {
    /// The handler at the end of an accepted connection, whose outlet is what is tried.
    private final class Holder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        var outlet = Outlet()
        private(set) var context: ChannelHandlerContext?
        private(set) var isToldOfTheEnd = false

        func channelInactive(context: ChannelHandlerContext) {
            isToldOfTheEnd = true
            context.fireChannelInactive()
        }

        /// A channel that isn't active yet closes otherwise than one that is.
        var onActive: () -> Void = {}

        func channelActive(context: ChannelHandlerContext) {
            onActive()
            context.fireChannelActive()
        }

        func handlerAdded(context: ChannelHandlerContext) { self.context = context }
        func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

        func write(_ bytes: ByteBuffer) {
            guard let context, let rest = outlet.send(bytes, context: context) else { return }
            context.writeAndFlush(NIOAny(rest), promise: nil)
        }
    }

    private typealias BoundHolder = NIOLoopBound<Holder>

    /// Runs `body` with the server's end of a connection, on its event loop when it uses the holder, and the client's
    /// descriptor.
    private func connected(
        sendBuffer: Int32? = nil, _ body: (BoundHolder, Int32) async throws -> Void
    ) async throws {
        let (accepted, continuation) = AsyncStream<BoundHolder>.makeStream()
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let holder = Holder()
                    if let sendBuffer {
                        try channel.syncOptions?.setOption(.socketOption(.so_sndbuf), value: .init(sendBuffer))
                    }
                    try channel.pipeline.syncOperations.addHandler(holder)
                    let bound = NIOLoopBound(holder, eventLoop: channel.eventLoop)
                    holder.onActive = { continuation.yield(bound) }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(client) }
        var room: Int32 = 4_096
        setsockopt(client, SOL_SOCKET, SO_RCVBUF, &room, socklen_t(MemoryLayout<Int32>.size))
        let address = try #require(server.localAddress)
        let status = address.withSockAddr { connect(client, $0, socklen_t($1)) }
        try #require(status == 0)
        var holders = accepted.makeAsyncIterator()
        let holder = try #require(await holders.next())
        try await body(holder, client)
        try await server.close()
    }

    @Test("A closed channel's number, which is another socket's by then, is never written to")
    func reusedNumber() async throws {
        try await connected { bound, client in
            let leaked = try await bound.eventLoop.submit { () -> (reused: Bool, bytes: Int) in
                let holder = bound.value
                let context = try #require(holder.context)
                holder.outlet = Outlet(direct: context)
                holder.write(ByteBuffer(string: "hello"))
                let isHeld = holder.outlet.isHolding(context)
                #expect(!isHeld)
                let number = try #require(
                    try context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
                        $0
                    })
                // Closed, and not yet told: the handler is still in its pipeline.
                context.close(promise: nil)
                // Whoever comes next gets the lowest free number; some more, should other tests take it first.
                var pairs: [[Int32]] = []
                for _ in 0..<64 where !pairs.joined().contains(number) {
                    var pair: [Int32] = [-1, -1]
                    socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair)
                    pairs.append(pair)
                }
                holder.write(ByteBuffer(string: "secret"))
                var bytes = 0
                for descriptor in pairs.joined() {
                    var buffer = [UInt8](repeating: 0, count: 64)
                    bytes += max(0, recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT)))
                }
                let reused = pairs.joined().contains(number)
                for descriptor in pairs.joined() { close(descriptor) }
                return (reused, bytes)
            }.get()
            #expect(leaked.reused, "the trap must have been set")
            #expect(leaked.bytes == 0)
        }
    }

    @Test("Whoever closes a channel, its handler knows in the same step of the loop: the fan-out goes by that")
    func told() async throws {
        try await connected { bound, _ in
            let isTold = try await bound.eventLoop.submit { () -> Bool in
                let context = try #require(bound.value.context)
                try #require(context.channel.isActive)
                context.close(promise: nil)
                return bound.value.isToldOfTheEnd
            }.get()
            #expect(isTold)
        }
    }

    @Test("What the kernel takes in pieces is whole and in order, by whatever way each piece went", arguments: 0..<8)
    func order(index: Int) async throws {
        let seed = TestSeed()
        var random = TestSeed(of: seed, index)
        try await connected(sendBuffer: 4_608) { bound, client in
            try await bound.eventLoop.submit {
                let holder = bound.value
                holder.outlet = Outlet(direct: try #require(holder.context))
            }.get()
            var written: [UInt8] = []
            var read: [UInt8] = []
            var ways = (direct: 0, held: 0)
            for step in 0..<400 {
                // Of every size, so that the kernel's room ends at every place in it.
                let count = Int.random(in: 1...3_000, using: &random)
                let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
                written += bytes
                let isHeld = try await bound.eventLoop.submit { () -> Bool in
                    let holder = bound.value
                    let context = try #require(holder.context)
                    holder.write(ByteBuffer(bytes: bytes))
                    return holder.outlet.isHolding(context)
                }.get()
                if isHeld { ways.held += 1 } else { ways.direct += 1 }
                read += Self.taken(from: client, upTo: Int.random(in: 0...1_500, using: &random))
                // A reader that falls behind for a while, and then catches up.
                let hasToCatchUp = step / 40 % 2 == 1 || step == 399
                while hasToCatchUp, read.count < written.count {
                    read += Self.taken(from: client, upTo: 65_536)
                    await Task.yield()
                }
            }
            #expect(read == written, "\(seed)")
            #expect(ways.direct > 20 && ways.held > 20, "both ways were gone")
        }
    }

    private static func taken(from descriptor: Int32, upTo count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: max(count, 1))
        let received = recv(descriptor, &bytes, count, Int32(MSG_DONTWAIT))
        return Array(bytes.prefix(max(0, received)))
    }

    @Test("What the channel holds already goes first")
    func begun() async throws {
        try await connected { bound, client in
            try await bound.eventLoop.submit {
                let holder = bound.value
                let context = try #require(holder.context)
                // An earlier answer that is written and not flushed.
                context.write(NIOAny(ByteBuffer(string: "answer ")), promise: nil)
                holder.outlet = Outlet(direct: context)
                holder.write(ByteBuffer(string: "stream"))
            }.get()
            var read: [UInt8] = []
            while read.count < 13 {
                read += Self.taken(from: client, upTo: 64)
                await Task.yield()
            }
            #expect(String(decoding: read, as: UTF8.self) == "answer stream")
        }
    }
}
