import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import TipwireCore

/// Makes one attempt: looks the host up, checks its addresses, connects to one of them, sends the signed request, and
/// says how it was answered.
///
/// The client is NIO's sockets and codecs and nothing more. One that takes a name would look it up again by itself, and
/// one that is told an address for it would have to be trusted to heed that; here there is no name left when the
/// connection is made, only for TLS and the `Host` header.
///
/// How many attempts are made at once is bounded by the caller.
public final class WebhookSender: Sendable {
    private let check: TargetCheck
    private let group: any EventLoopGroup
    private let tls: NIOSSLContext
    private let userAgent: String
    private let limits: SendingLimits
    private let idle: IdleConnections

    /// - Parameters:
    ///   - version: Tipwire's own, for `User-Agent`.
    ///   - group: Where the connections live.
    /// - Throws: what NIOSSL finds wrong with the trust roots.
    public init(
        check: TargetCheck, trustRoots: TrustRoots = .system, version: String, limits: SendingLimits = SendingLimits(),
        group: any EventLoopGroup
    ) throws {
        self.check = check
        self.group = group
        self.limits = limits
        tls = try trustRoots.clientContext()
        userAgent = "tipwire/\(version)"
        idle = IdleConnections(limits: limits)
    }

    /// Connections that wait for another request.
    public var idleConnections: Int { idle.count }

    /// Closes the connections that are idle, and each other one when its attempt has ended.
    public func shutdown() async {
        await idle.shutdown()
    }

    /// Makes an attempt, and ends within the time that `SendingLimits` gives it and the look-up.
    ///
    /// A connection that idled may be closed by the other end in the moment that it is used again. The request then
    /// goes out once more on a new one, within the same attempt: it may arrive twice, with the same id.
    ///
    /// - Throws: when the task was cancelled before the endpoint took the message. Whether it did then isn't known, so
    ///   the attempt is to be made again and not to be counted.
    public func send(_ request: WebhookRequest) async throws(CancellationError) -> AttemptReport {
        let began = NIODeadline.now()
        let deadline = began + limits.whole
        let target: CheckedTarget
        do {
            target = try await check.target(for: request.url, attempt: request.attempt)
        } catch {
            try Self.throwIfCancelled()
            return report(Exchange.Result(outcome: AttemptOutcome(error)), nil, began)
        }
        let head = request.head(userAgent: userAgent)
        var result: Exchange.Result?
        if let connection = idle.take(target) {
            result = await exchange(head, request.body, connection, target, deadline)
            if result?.outcome == .closedEarly(status: nil), !Task.isCancelled { result = nil }
        }
        if result == nil {
            do {
                try Self.throwIfCancelled()
                let connection = try await connect(to: target, before: deadline)
                result = await exchange(head, request.body, connection, target, deadline)
            } catch let error as CancellationError {
                throw error
            } catch {
                result = Exchange.Result(outcome: Self.outcome(error))
            }
        }
        guard let result else { preconditionFailure("an attempt has a result") }
        if !result.outcome.isDelivered { try Self.throwIfCancelled() }
        return report(result, target.address, began)
    }

    private func exchange(
        _ head: HTTPRequestHead, _ body: ByteBuffer, _ connection: IdleConnections.Connection, _ target: CheckedTarget,
        _ deadline: NIODeadline
    ) async -> Exchange.Result {
        let channel = connection.channel
        let headLimit = limits.head
        let future = channel.eventLoop.flatSubmit {
            connection.handler.value.send(head, body, headLimit: headLimit, deadline: deadline, on: channel.eventLoop)
        }
        let result = await withTaskCancellationHandler {
            // It fails only when the event loop is gone, and the connection with it.
            (try? await future.get()) ?? Exchange.Result(outcome: .closedEarly(status: nil))
        } onCancel: {
            channel.closeNow().whenComplete { _ in }
        }
        if result.isReusable { idle.put(connection, for: target) }
        return result
    }

    private func connect(
        to target: CheckedTarget, before deadline: NIODeadline
    ) async throws -> IdleConnections.Connection {
        let now = NIODeadline.now()
        guard now < deadline else { throw ExchangeHandler.OpeningFailure(outcome: .wholeTimedOut(status: nil)) }
        let openingDeadline = min(now + limits.connect, deadline)
        let loop = group.any()
        // Kept beside the pipeline: a connection that ends at once takes its handlers away, and the reason with them.
        let handler = NIOLoopBoundBox.makeEmptyBox(valueType: ExchangeHandler.self, eventLoop: loop)
        let (channel, bound) = try await ClientBootstrap(group: loop)
            .connectTimeout(openingDeadline - now)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { handler.value = try self.assemble(channel, target) }
            }
            .connect(to: target.socketAddress)
            .hop(to: loop)
            .flatMap { channel in
                guard let exchange = handler.value else { preconditionFailure("a connection has its handlers") }
                let bound = NIOLoopBound(exchange, eventLoop: loop)
                return exchange.open(before: openingDeadline, on: loop).map { (channel, bound) }
            }
            .get()
        let connection = IdleConnections.Connection(channel: channel, handler: bound, opened: now)
        idle.watch(connection, for: target)
        return connection
    }

    /// Fills a new connection's pipeline, on its event loop.
    private func assemble(_ channel: any Channel, _ target: CheckedTarget) throws -> ExchangeHandler {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(PeerCheckHandler(expected: target.address, addresses: check.addresses))
        if target.scheme == .https {
            try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: target.serverName))
            if let name = target.serverName { try pipeline.addHandler(CertificateNameHandler(name: name)) }
        }
        let bytes = AnswerByteLimit(limit: limits.answerBytes)
        try pipeline.addHandler(bytes)
        // What goes into a head is ours, or was read as a `CallbackURL`, which lets no control character through. To look at
        // every byte of it once more costs as much as signing the message.
        try pipeline.addHTTPClientHandlers(enableOutboundHeaderValidation: false)
        let exchange = ExchangeHandler(isSecure: target.scheme == .https, bytes: bytes, limits: limits)
        try pipeline.addHandler(exchange)
        return exchange
    }

    private func report(_ result: Exchange.Result, _ address: IPAddress?, _ began: NIODeadline) -> AttemptReport {
        AttemptReport(
            outcome: result.outcome, excerpt: Self.text(result.excerpt), contentType: result.contentType,
            address: address, duration: Duration(NIODeadline.now() - began))
    }

    /// The excerpt as text. Its cut may have gone through a character, the pieces of which are left out. A NUL is replaced
    /// like what isn't UTF-8: the text goes to places that take it for an end.
    private static func text(_ excerpt: ByteBuffer) -> String {
        var bytes = excerpt.readableBytesView[...]
        let tail = bytes.suffix(3)
        if let lead = tail.lastIndex(where: { $0 & 0xC0 != 0x80 }), tail[lead] >= 0xC0 {
            let needed = tail[lead] >= 0xF0 ? 4 : tail[lead] >= 0xE0 ? 3 : 2
            if bytes.endIndex - lead < needed { bytes = bytes[..<lead] }
        }
        return String(decoding: bytes, as: UTF8.self).replacing("\0", with: "\u{FFFD}")
    }

    private static func outcome(_ error: any Error) -> AttemptOutcome {
        if let failure = error as? ExchangeHandler.OpeningFailure { return failure.outcome }
        return AttemptOutcome(connecting: error)
    }

    private static func throwIfCancelled() throws(CancellationError) {
        if Task.isCancelled { throw CancellationError() }
    }
}

extension AttemptOutcome {
    fileprivate init(_ failure: TargetFailure) {
        switch failure {
        case .refused(let refusal): self = .refusedAddress(refusal)
        case .unresolved(let failure): self = .unresolved(failure)
        }
    }
}
