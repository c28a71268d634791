import Logging
import ServiceLifecycle
import TipwireCore
import TipwireStore

/// Keeps the log within its age and size, and clears expired sessions away.
public struct Retention: Service {
    /// Most events removed in one transaction, so that a tip never waits long behind a clean-up.
    static let pruneEvents = 5_000

    private let store: any Store
    private let position: LogPosition
    private let clock: WallClock
    private let days: Int
    private let bytes: Int64
    private let interval: Duration
    private let metrics: HubMetrics
    private let logger: Logger

    public init(
        store: any Store, position: LogPosition, clock: WallClock, days: Int, bytes: Int64, interval: Duration,
        metrics: HubMetrics, logger: Logger
    ) {
        self.store = store
        self.position = position
        self.clock = clock
        self.days = days
        self.bytes = bytes
        self.interval = interval
        self.metrics = metrics
        self.logger = logger
    }

    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            var watch = ClockWatch(at: clock.now(), uptime: .now)
            while true {
                try await Task.sleep(for: interval)
                do {
                    let isTrusted = watch.trusts(clock.now(), uptime: .now)
                    if !isTrusted {
                        logger.error(
                            "the clock has jumped; nothing is removed for its age until it has stood for an hour")
                    }
                    try await prune(byAge: isTrusted)
                    try await store.deleteExpiredSessions(at: clock.now())
                } catch is CancellationError {
                    throw CancellationError()
                } catch {
                    logger.error("retention failed; it is tried again", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    /// Removes everything that is past its time now, or only what is too much.
    public func prune(byAge: Bool = true) async throws {
        let horizon =
            byAge ? clock.now().advanced(milliseconds: -Int64(days) * 86_400_000) : Timestamp(milliseconds: .min / 2)
        var removed = 0
        while true {
            let pruning = try await store.prune(
                olderThan: horizon, keepingBytes: bytes, limit: Self.pruneEvents)
            removed += pruning.removed
            if !pruning.isPartial { break }
        }
        guard removed > 0 else { return }
        metrics.eventsPruned.add(removed)
        position.saw(try await store.bounds())
        logger.info("retention removed events from the log", metadata: ["events": "\(removed)"])
    }
}
