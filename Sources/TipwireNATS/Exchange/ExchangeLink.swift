import Logging
import NIOCore
import NIOPosix
import Synchronization
import TipwireCore
import TipwireHub

/// The two connections of the exchange, one to send and one to hear, on a thread that may wait.
///
/// Two, because what is heard mustn't wait behind what is sent: on one connection a server that writes to a node which is
/// writing itself takes it for a slow consumer, and cuts it.
final class ExchangeLink: Sendable {
    /// Events that may wait to be sent; beyond it they are not sent, and others find them in the log.
    static let maxWaiting = 8_192
    /// How long a server that refuses us is left alone.
    private static let refusedPause = Duration.seconds(5)
    /// Milliseconds for a server to have read what was written.
    private static let flushTime: Int64 = 500

    private struct State {
        /// The epoch that is heard; nil when nothing is.
        var heard: String?
        var opensAgain: ContinuousClock.Instant?
        /// Why it doesn't work, as the operator was told last, nil when it does; nothing before the first time.
        var told: String??
        var reason: String?
    }

    private let sending: NATSConnection
    private let hearing: NATSConnection
    private let shown: String
    private let node: String
    private let metrics: ExchangeMetrics
    private let logger: Logger
    /// Of one thread: what is to be sent stays in order.
    private let thread = NIOThreadPool(numberOfThreads: 1)
    /// Touched on that thread alone.
    private let state = Mutex(State())
    private let waiting = Atomic<Int>(0)
    /// What the last look saw. Looking may wait for a write, and asking mustn't.
    private let connected = Atomic<Bool>(false)
    private let looking = Mutex(())

    init(_ library: LibNATS, to address: NATSAddress, node: String, metrics: ExchangeMetrics, logger: Logger) {
        sending = NATSConnection(library, to: address, name: "tipwire \(node) sending")
        hearing = NATSConnection(library, to: address, name: "tipwire \(node) hearing")
        shown = address.shown
        self.node = node
        self.metrics = metrics
        self.logger = logger
    }

    /// Whether what this node commits is told to others, and theirs to it.
    var isConnected: Bool { connected.load(ordering: .acquiring) }

    /// Looks at the connections. True when the answer of `isConnected` is another one now.
    func look() -> Bool {
        looking.withLock { _ in
            let isConnected = sending.isConnected && hearing.isConnected
            return connected.exchange(isConnected, ordering: .acquiringAndReleasing) != isConnected
        }
    }

    /// To be called once, before anything else is asked of it. `changed` is told of either connection.
    func start(_ ears: NATSEars) {
        sending.setEars(NATSEars(changed: ears.changed))
        hearing.setEars(ears)
        thread.start()
    }

    /// Makes of the connections what can be made: opens what is closed, and hears the log of this epoch.
    func tend(epoch: String, then look: @escaping @Sendable () -> Void) {
        thread.submit { [self] state in
            guard case .active = state else { return }
            open()
            hear(epoch)
            look()
            tell()
        }
    }

    private func open() {
        let now = ContinuousClock.now
        guard sending.isClosed || hearing.isClosed, state.withLock({ $0.opensAgain.map { $0 <= now } ?? true })
        else { return }
        do {
            for connection in [sending, hearing] where connection.isClosed {
                connection.close()
                if connection === hearing { state.withLock { $0.heard = nil } }
                try connection.open()
            }
            state.withLock { $0.reason = nil }
        } catch {
            state.withLock { state in
                state.opensAgain = now + Self.refusedPause
                state.reason = "\(error)"
            }
        }
    }

    private func hear(_ epoch: String) {
        guard !hearing.isClosed, state.withLock({ $0.heard }) != epoch else { return }
        do {
            try hearing.hear(Self.subject(of: epoch))
            // Until the server has read that, it sends nothing.
            if hearing.isConnected { hearing.flush(milliseconds: Self.flushTime) }
            state.withLock { $0.heard = epoch }
        } catch {
            state.withLock { state in
                state.heard = nil
                state.reason = "\(error)"
            }
        }
    }

    /// One log, one subject: nodes on another database hear nothing of it. An epoch is made of hexadecimal digits; what an
    /// operator may have put in its place must not become two words of a subject, or a wildcard.
    static func subject(of epoch: String) -> String {
        let word = String(epoch.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
        return "tipwire.\(word.isEmpty ? "_" : word).events"
    }

    /// Tells the operator when it begins to work and when it ceases to, once each, and of each other reason since.
    private func tell() {
        let reason = isConnected ? nil : state.withLock(\.reason) ?? hearing.reason ?? sending.reason ?? "no answer"
        let isNews = state.withLock { state in
            defer { state.told = .some(reason) }
            return state.told != .some(reason)
        }
        guard isNews else { return }
        if let reason {
            logger.warning(
                "NATS can't be used; events of other nodes come by the database meanwhile",
                metadata: ["server": "\(shown)", "reason": "\(reason)"])
        } else {
            logger.info("NATS is there; nodes hand each other their events", metadata: ["server": "\(shown)"])
        }
    }

    /// Sends events of this node, in the order of the calls.
    func send(_ events: [Event], epoch: String) {
        guard !events.isEmpty else { return }
        guard isConnected, waiting.load(ordering: .relaxed) + events.count <= Self.maxWaiting else {
            return metrics.eventsUnsent.add(events.count)
        }
        waiting.wrappingAdd(events.count, ordering: .relaxed)
        thread.submit { [self] state in
            defer { waiting.wrappingSubtract(events.count, ordering: .relaxed) }
            // What waits in a library that connects again would come after the log has been read.
            guard case .active = state, sending.isConnected else { return metrics.eventsUnsent.add(events.count) }
            let limit = min(EventMessage.usualLimit, sending.maxPayload)
            var sent = 0
            for message in EventMessage.encode(events, from: .init(epoch: epoch, node: node), limit: limit) {
                let isSent = message.bytes.withUnsafeReadableBytes {
                    sending.publish($0, on: Self.subject(of: epoch))
                }
                guard isSent else { break }
                sent += message.count
                metrics.messagesSent.add(1)
            }
            metrics.eventsSent.add(sent)
            metrics.eventsUnsent.add(events.count - sent)
        }
    }

    /// Sends what was to be sent, and ends both connections.
    func close() async {
        await withCheckedContinuation { continuation in
            thread.submit { [self] _ in
                if sending.isConnected { sending.flush(milliseconds: Self.flushTime) }
                sending.close()
                hearing.close()
                continuation.resume()
            }
        }
        connected.store(false, ordering: .releasing)
        try? await thread.shutdownGracefully()
    }
}
