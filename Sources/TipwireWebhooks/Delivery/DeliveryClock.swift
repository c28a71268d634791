import TipwireCore
import TipwireHub

/// The time of deliveries, and how to wait for it: one value, so that tests move it by days.
public protocol DeliveryClock: Sendable {
    func now() -> Timestamp
    /// Returns when it is `time`. Throws when the task is cancelled.
    func sleep(until time: Timestamp) async throws
}

extension DeliveryClock {
    /// Throws when the task is cancelled.
    func sleep(milliseconds: Int64) async throws { try await sleep(until: now().advanced(milliseconds: milliseconds)) }
}

/// The wall clock.
public struct SystemDeliveryClock: DeliveryClock {
    private let wall: WallClock

    public init(_ wall: WallClock = .system) { self.wall = wall }

    public func now() -> Timestamp { wall.now() }

    public func sleep(until time: Timestamp) async throws {
        // In steps, because the clock may be set while this sleeps.
        while case let left = time.milliseconds - now().milliseconds, left > 0 {
            try await Task.sleep(for: .milliseconds(min(left, 1_000)))
        }
    }
}
