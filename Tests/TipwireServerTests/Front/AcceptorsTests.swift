import Glibc
import NIOCore
import NIOPosix
import Testing
import TipwireTestSupport

@testable import TipwireServer

@Suite("Acceptors", .timeLimit(.minutes(1)))
struct AcceptorsTests {
    private let group = MultiThreadedEventLoopGroup.singleton
    private let accepted = Watched<[ObjectIdentifier]>([])
    private let quota = StreamQuota(maximum: 10_000)

    private func bind(
        port: Int = 0, accept: @escaping @Sendable (Newcomers) -> Void = { _ in }
    ) async throws -> Acceptors {
        let quota = quota
        return try await Acceptors.bind(host: "127.0.0.1", port: port, group: group, sendBufferBytes: 65_536) {
            [accepted] poll in
            Reception(poll: poll, front: nil, quota: quota) { channel, reception, _ in
                // Nobody is there to see the client's end, and close ours.
                try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: false)
                accept(reception.newcomers)
                let loop = ObjectIdentifier(channel.eventLoop)
                accepted.change { $0.append(loop) }
            }
        }
    }

    private func connect(to acceptors: Acceptors) async throws -> any Channel {
        try await ClientBootstrap(group: group).connect(host: "127.0.0.1", port: acceptors.port).get()
    }

    private func end(_ acceptors: Acceptors, _ clients: [any Channel]) async throws {
        let end = acceptors.quiesce(on: group.next())
        for client in clients { try await client.close() }
        try await end.get()
    }

    private func isRefused(_ times: Int, by acceptors: Acceptors) async -> Bool {
        for _ in 1...times {
            guard let client = try? await connect(to: acceptors) else { continue }
            try? await client.close()
            return false
        }
        return true
    }

    @Test("Every event loop has its share of who comes to the one port")
    func shares() async throws {
        let acceptors = try await bind()
        var clients: [any Channel] = []
        for _ in 1...128 { clients.append(try await connect(to: acceptors)) }
        try await accepted.wait { $0.count == 128 }
        let loops = Set(group.makeIterator().map { ObjectIdentifier($0) })
        // That one of up to eight loops has none of them happens once in some millions of runs.
        if loops.count <= 8 { #expect(Set(accepted.value) == loops) }
        try await end(acceptors, clients)
    }

    @Test("The port is one server's: who comes second is told that it is taken")
    func taken() async throws {
        let first = try await bind()
        let error = await #expect(throws: IOError.self) { try await bind(port: first.port) }
        #expect(error?.errnoCode == EADDRINUSE)
        try await first.quiesce(on: group.next()).get()
        let second = try await bind(port: first.port)
        try await second.quiesce(on: group.next()).get()
    }

    @Test("Any number of connections that ask for nothing keep nobody out")
    func silent() async throws {
        let acceptors = try await bind { _ = $0.accepted() }
        var clients: [any Channel] = []
        for _ in 1...(3 * Newcomers.maxSilent * min(System.coreCount, 4)) {
            clients.append(try await connect(to: acceptors))
        }
        let count = clients.count
        try await accepted.wait { $0.count == count }
        try await end(acceptors, clients)
    }

    @Test("Nobody is accepted after the end has begun, on any loop, and who is there is waited for")
    func quiesced() async throws {
        let acceptors = try await bind()
        let client = try await connect(to: acceptors)
        try await accepted.wait { $0.count == 1 }
        let end = acceptors.quiesce(on: group.next())
        let isOver = Watched(false)
        end.whenComplete { _ in isOver.change { $0 = true } }
        while await !isRefused(8, by: acceptors) {}
        #expect(!isOver.value)
        try await client.close()
        try await end.get()
    }
}
