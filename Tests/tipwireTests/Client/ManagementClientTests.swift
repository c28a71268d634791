import NIOCore
import NIOPosix
import Testing
import TipwireCore

@testable import tipwire

@Suite struct ManagementClientTests {
    private static let key = "tw_" + String(repeating: "a", count: 64)

    private static func client(port: Int) throws -> ManagementClient {
        try ManagementClient(
            address: #require(ServerAddress("http://127.0.0.1:\(port)")),
            key: .find(option: key, environment: [:]))
    }

    @Test("Where nobody listens, the advice is to start a server, and it comes at once")
    func refused() async throws {
        // A port that was free a moment ago.
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(listener.localAddress?.port)
        try await listener.close()
        let client = try Self.client(port: port)
        let failure = await #expect(throws: Failure.self) { _ = try await client.call(APIRequest(.get, "pages")) }
        #expect(failure?.message == "no Tipwire at http://127.0.0.1:\(port); start one with: tipwire serve")
        await client.close()
    }

    @Test("A server that hangs up without an answer is told from one that isn't there")
    func hangsUp() async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { $0.close() }
            .bind(host: "127.0.0.1", port: 0).get()
        let client = try Self.client(port: #require(listener.localAddress?.port))
        await #expect(throws: TransportFault.lost) { try await client.answer(APIRequest(.get, "pages")) }
        await client.close()
        try await listener.close()
    }
}
