import NIOCore
import NIOPosix
import TipwireCore

@testable import TipwireWebhooks

/// A sender with what it needs, set up for endpoints on this machine.
struct SendingBench {
    static let everyLoopback = AddressGuard(allowedNetworks: [AddressRange("127.0.0.0/8")!])
    static let secret = WebhookSecret.random()
    static let body = ByteBuffer(string: #"{"type":"message","id":"evt_1"}"#)

    let sender: WebhookSender
    let resolver: ResolverDouble
    let policy: CallbackPolicy

    init(
        resolver: ResolverDouble = ResolverDouble("127.0.0.1"), addresses: AddressGuard = everyLoopback,
        trustRoots: TrustRoots = .system, limits change: (inout SendingLimits) -> Void = { _ in }
    ) throws {
        var limits = SendingLimits()
        // A busy machine must not pass for a slow endpoint: time is long unless a test wants it short.
        limits.connect = .seconds(30)
        limits.head = .seconds(30)
        limits.whole = .seconds(30)
        limits.idleTime = .seconds(30)
        change(&limits)
        self.resolver = resolver
        policy = CallbackPolicy(addresses: Self.everyLoopback, allowsHTTP: true)
        sender = try WebhookSender(
            check: TargetCheck(addresses: addresses, resolver: resolver), trustRoots: trustRoots, version: "9.8.7",
            limits: limits, group: MultiThreadedEventLoopGroup.singleton)
    }

    func request(_ url: String, attempt: Int = 1) throws -> WebhookRequest {
        WebhookRequest(
            url: try CallbackURL(url, policy: policy), id: "evt_1",
            timestamp: Timestamp(milliseconds: 1_750_000_000_999), body: Self.body, secrets: [Self.secret],
            attempt: attempt)
    }

    func send(_ url: String, attempt: Int = 1) async throws -> AttemptReport {
        try await sender.send(request(url, attempt: attempt))
    }
}
