import Synchronization
import TipwireHub

/// Counts what is open against a limit: streams against `feed.maxConnections`, sockets of every kind against what the
/// descriptors allow.
final class StreamQuota: Sendable {
    private let open = Atomic<Int>(0)
    private let turnedAway = Atomic<Int>(0)
    private let lines = Mutex(LogThrottle(seconds: 60))
    private let clock: WallClock
    private let tell: @Sendable (Int) -> Void
    let maximum: Int

    /// - Parameter tell: called when one finds no place, at most once a minute, with how many others had none since.
    init(maximum: Int, clock: WallClock = .system, whenFull tell: @escaping @Sendable (Int) -> Void = { _ in }) {
        self.maximum = maximum
        self.clock = clock
        self.tell = tell
    }

    /// A place for one more stream, nil when there is none.
    func take() -> StreamPermit? {
        let after = open.wrappingAdd(1, ordering: .relaxed).newValue
        guard after <= maximum else {
            open.wrappingSubtract(1, ordering: .relaxed)
            turnedAway.wrappingAdd(1, ordering: .relaxed)
            if let untold = lines.withLock({ $0.admit(at: clock.now()) }) { tell(untold) }
            return nil
        }
        return StreamPermit(quota: self)
    }

    var count: Int { open.load(ordering: .relaxed) }
    /// How many found no place.
    var refused: Int { turnedAway.load(ordering: .relaxed) }

    fileprivate func giveBack() { open.wrappingSubtract(1, ordering: .relaxed) }
}

/// One stream's place. Giving it back is tied to its life: there is no way to forget it, and none to do it twice.
final class StreamPermit: Sendable {
    private let quota: StreamQuota

    fileprivate init(quota: StreamQuota) { self.quota = quota }

    deinit { quota.giveBack() }
}
