import Synchronization

/// Counts what is open against a limit: streams against `feed.maxConnections`, sockets of every kind against what the
/// descriptors allow.
final class StreamQuota: Sendable {
    private let open = Atomic<Int>(0)
    private let turnedAway = Atomic<Int>(0)
    let maximum: Int

    init(maximum: Int) { self.maximum = maximum }

    /// A place for one more stream, nil when there is none.
    func take() -> StreamPermit? {
        let after = open.wrappingAdd(1, ordering: .relaxed).newValue
        guard after <= maximum else {
            open.wrappingSubtract(1, ordering: .relaxed)
            turnedAway.wrappingAdd(1, ordering: .relaxed)
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
