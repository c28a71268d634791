import NIOCore

/// The time after a burst of work in which an event loop is everybody else's, and its processor free for threads that write and sync.
///
/// As long as the burst took, and longer, up to a factor, while there is other work.
///
/// Belongs to its event loop.
public final class Rest {
    /// The shortest, so that the loop looks at its channels in between.
    public static let shortest = TimeAmount.microseconds(100)
    /// The longest: what kept the loop so long was something else.
    public static let longest = TimeAmount.milliseconds(20)

    private let eventLoop: any EventLoop
    private let now: () -> NIODeadline
    /// It has begun, and isn't over.
    public private(set) var isOn = false

    /// - Parameter now: the time, for tests.
    public init(eventLoop: any EventLoop, now: (() -> NIODeadline)? = nil) {
        self.eventLoop = eventLoop
        self.now = now ?? { eventLoop.now }
    }

    /// Begins, unless it has.
    ///
    /// - Parameters:
    ///   - work: how long the burst took.
    ///   - factor: how many times that long it may get.
    ///   - over: called at its end.
    public func begin(after work: TimeAmount, factor: Int = 1, over: @escaping () -> Void) {
        guard !isOn else { return }
        isOn = true
        let cost = min(work, Self.longest)
        pause(for: max(cost, Self.shortest), until: now() + cost * factor, over: over)
    }

    private func pause(for time: TimeAmount, until end: NIODeadline, over: @escaping () -> Void) {
        let due = now() + time
        eventLoop.assumeIsolated().scheduleTask(in: time) {
            let now = self.now()
            // Who comes so late to what was due has had something else to do.
            if now - due >= Self.shortest, now < end { return self.pause(for: time, until: end, over: over) }
            self.isOn = false
            over()
        }
    }
}
