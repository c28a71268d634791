import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket

/// Dials the server, speaks WebSocket, and does what `SocketSession` decides, until the connection ends.
struct SocketConnection<Message: SocketMessage>: Sendable {
    /// Longest wait for the answer to the handshake, in seconds.
    static var handshakeSeconds: Int64 { ManagementClient.answerSeconds }
    /// Frames that one message may be split into. Tipwire sends one; a proxy might split it.
    static var fragments: Int { 16 }

    let address: ServerAddress
    let target: String
    /// Made once for all connections: it reads the system's certificates.
    let tls: NIOSSLContext?

    private typealias WebSocketChannel = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>
    private typealias HTTPChannel = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    private enum Handshake: Sendable {
        case upgraded(WebSocketChannel)
        case refused(HTTPChannel)
    }

    /// Runs one connection to its end.
    ///
    /// - Parameters:
    ///   - connected: Called once the server has switched to WebSocket.
    ///   - show: Called for each message, in order; the next frame is read when it returns.
    /// - Returns: How it ended. What `show` throws is thrown.
    func run(
        connected: @Sendable () -> Void, show: @escaping @Sendable (Message, String) async throws -> Void
    ) async throws -> ListeningEnding {
        let handshake: Handshake
        do {
            handshake = try await dial().get()
        } catch {
            return .unreachable(TransportFault(error))
        }
        switch handshake {
        case .refused(let channel): return await refusal(channel)
        case .upgraded(let channel):
            connected()
            return try await converse(channel, show)
        }
    }

    /// Frames in, actions out, beside a clock for the pings; whichever ends first ends the other.
    private func converse(
        _ channel: WebSocketChannel, _ show: @escaping @Sendable (Message, String) async throws -> Void
    ) async throws -> ListeningEnding {
        let session = NIOLockedValueBox(SocketSession<Message>())
        do {
            return try await channel.executeThenClose { inbound, outbound in
                let first = session.withLockedValue { $0.opened() }
                if let ending = try await perform(first, outbound, show) { return ending }
                return try await withThrowingTaskGroup(of: ListeningEnding.self) { group in
                    group.addTask {
                        for try await frame in inbound {
                            let action = session.withLockedValue { $0.received(frame) }
                            if let ending = try await perform(action, outbound, show) { return ending }
                        }
                        return .lost
                    }
                    group.addTask {
                        while true {
                            try await Task.sleep(for: SocketSession<Message>.pingInterval)
                            let action = session.withLockedValue { $0.pingIsDue() }
                            if let ending = try await perform(action, outbound, show) { return ending }
                        }
                    }
                    defer { group.cancelAll() }
                    return try await group.next() ?? .lost
                }
            }
        } catch let error where Self.isEndOfConnection(error) {
            return .lost
        }
    }

    /// The ways in which reading and writing tell that the peer is gone, or speaks nonsense.
    private static func isEndOfConnection(_ error: any Error) -> Bool {
        error is IOError || error is ChannelError || error is NIOAsyncWriterError || error is NIOSSLError
            || error is NIOWebSocketError || error is NIOWebSocketFrameAggregator.Error
    }

    private func perform(
        _ action: SocketSession<Message>.Action?, _ outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>,
        _ show: @Sendable (Message, String) async throws -> Void
    ) async throws -> ListeningEnding? {
        switch action {
        case nil: return nil
        case .sendText(let text):
            try await outbound.write(Self.frame(.text, ByteBuffer(string: text)))
        case .sendPong(let data):
            try await outbound.write(Self.frame(.pong, data))
        case .show(let message, let json):
            try await show(message, json)
        case .end(let ending):
            // The other half of the closing handshake; the server may be gone before it arrives.
            if case .closed = ending { try? await outbound.write(Self.frame(.connectionClose, ByteBuffer())) }
            return ending
        }
        return nil
    }

    /// Clients mask, with a new key for each frame.
    private static func frame(_ opcode: WebSocketOpcode, _ data: ByteBuffer) -> WebSocketFrame {
        WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data)
    }
}

extension SocketConnection {
    private func dial() async throws -> EventLoopFuture<Handshake> {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.seconds(ManagementClient.connectSeconds))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(host: address.host, port: address.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(tlsHandler(tls)) }
                    return try upgrade(channel)
                }
            }
    }

    /// A name is sent along and checked against the certificate; an address can't be sent, and is checked as it is.
    private func tlsHandler(_ context: NIOSSLContext) throws -> NIOSSLClientHandler {
        let isAddress = (try? SocketAddress(ipAddress: address.host, port: 0)) != nil
        return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : address.host)
    }

    /// Sends the handshake. The future fails when the connection ends, or the time is over, before it is answered.
    private func upgrade(_ channel: any Channel) throws -> EventLoopFuture<Handshake> {
        let upgrader = NIOTypedWebSocketClientUpgrader<Handshake>(maxFrameSize: SocketSession<Message>.frameBytes) {
            channel, _ in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(
                    NIOWebSocketFrameAggregator(
                        minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: Self.fragments,
                        maxAccumulatedFrameSize: SocketSession<Message>.frameBytes))
                return .upgraded(try WebSocketChannel(wrappingChannelSynchronously: channel))
            }
        }
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: target)
        head.headers.add(name: "Host", value: address.authority)
        head.headers.add(name: "User-Agent", value: "tipwire/\(Tipwire.version)")
        var configuration = NIOUpgradableHTTPClientPipelineConfiguration(
            upgradeConfiguration: NIOTypedHTTPClientUpgradeConfiguration(
                upgradeRequestHead: head, upgraders: [upgrader],
                notUpgradingCompletionHandler: { channel in
                    channel.eventLoop.makeCompletedFuture {
                        .refused(try HTTPChannel(wrappingChannelSynchronously: channel))
                    }
                }))
        // The first frame often comes in one packet with the 101; by default it would be dropped with the HTTP decoder.
        configuration.leftOverBytesStrategy = .forwardBytes
        let handshake = try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
            configuration: configuration)
        let patience = channel.eventLoop.scheduleTask(in: .seconds(Self.handshakeSeconds)) {
            channel.pipeline.fireErrorCaught(TransportFault.answerTimedOut)
            channel.close(promise: nil)
        }
        handshake.whenComplete { _ in patience.cancel() }
        return handshake
    }

    private func refusal(_ channel: HTTPChannel) async -> ListeningEnding {
        var status: HTTPResponseHead?
        var body = ByteBuffer()
        // What breaks off a refusal is no news: its status is what counts.
        try? await channel.executeThenClose { inbound, _ in
            for try await part in inbound {
                switch part {
                case .head(let head): status = head
                case .body(let bytes):
                    if body.readableBytes < ListeningEnding.refusalBytes { body.writeImmutableBuffer(bytes) }
                case .end: return
                }
            }
        }
        return status.map { .refusal($0.status, $0.headers, body: body) } ?? .lost
    }

    /// What `tls` takes: nil for an address without it.
    static func tls(to address: ServerAddress) throws -> NIOSSLContext? {
        guard address.isSecure else { return nil }
        var configuration = ManagementClient.clientTLS
        // WebSocket's handshake is HTTP/1.1's; a server that offers HTTP/2 first must not choose it.
        configuration.applicationProtocols = ["http/1.1"]
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw Failure("TLS can't be set up: the system's certificates, or those of SSL_CERT_FILE, can't be read")
        }
    }
}
