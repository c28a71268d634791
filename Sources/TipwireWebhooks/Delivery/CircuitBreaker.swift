import TipwireCore

/// Stops asking an endpoint that doesn't answer, and finds out with one attempt at a time whether it does again.
///
/// It spares the workers, who would each wait for a time limit, and the endpoint, which may be down for being asked
/// too much. No delivery is lost or counted by it: what isn't admitted stays due. It lives in memory, one per endpoint.
public struct CircuitBreaker: Hashable, Sendable {
    public struct Limits: Hashable, Sendable {
        /// Failures in a row that open it.
        public var failures = 5
        /// How long nothing is asked then, in milliseconds: no longer than a delivery waits for its second attempt, so that
        /// a short fault costs no delivery more time than it would without the breaker. Doubled by each probe that fails.
        public var pause: Int64 = 5_000
        /// The longest pause, in milliseconds: an endpoint that is back is noticed within this time.
        public var longestPause: Int64 = 300_000

        public init() {}
    }

    public enum Admission: Hashable, Sendable {
        case admitted
        /// Ask again at that time; nil when it depends on the probe that is under way.
        case held(until: Timestamp?)
    }

    private enum State: Hashable {
        case closed(failures: Int)
        case open(until: Timestamp, pause: Int64)
        /// Half open: one attempt is under way. Somebody may have asked for another.
        case probing(pause: Int64, isAsked: Bool)
    }

    private var state = State.closed(failures: 0)
    private let limits: Limits

    public init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Whether attempts are held back, or would be but for a probe.
    public var isOpen: Bool {
        if case .closed = state { false } else { true }
    }

    /// Whether the last attempt was a success, or none was made.
    public var isClear: Bool { state == .closed(failures: 0) }

    /// Until when nothing is asked; nil when it is closed or being probed.
    public var pausedUntil: Timestamp? {
        if case .open(let until, _) = state { until } else { nil }
    }

    /// Asks to begin an attempt. Each that is admitted ends in `record` or `abandon`.
    public mutating func admit(at time: Timestamp) -> Admission {
        switch state {
        case .closed:
            return .admitted
        case .open(let until, let pause):
            // A clock that was set back must not prolong the pause.
            let isSetBack = until.milliseconds - time.milliseconds > pause
            guard time >= until || isSetBack else { return .held(until: until) }
            state = .probing(pause: pause, isAsked: false)
            return .admitted
        case .probing:
            return .held(until: nil)
        }
    }

    /// Notes how an attempt ended.
    ///
    /// One that began before the breaker opened may end after: its success closes it, being as good a proof as the
    /// probe's; its failure during a probe opens it again, which costs one more pause.
    public mutating func record(_ outcome: AttemptOutcome, at time: Timestamp) {
        if outcome.isDelivered {
            state = .closed(failures: 0)
            return
        }
        switch state {
        case .closed(let failures) where failures + 1 < limits.failures:
            state = .closed(failures: failures + 1)
        case .closed:
            open(for: limits.pause, at: time)
        case .probing(let pause, let isAsked):
            open(for: min(pause * 2, limits.longestPause), at: time)
            if isAsked { endPause(at: time) }
        case .open:
            break
        }
    }

    /// Somebody asks for an attempt now: the next one is admitted, as the probe that would have come later. If one is under
    /// way, it comes right behind that, however that ends.
    public mutating func endPause(at time: Timestamp) {
        switch state {
        case .closed: break
        case .open(_, let pause): state = .open(until: time, pause: pause)
        case .probing(let pause, _): state = .probing(pause: pause, isAsked: true)
        }
    }

    /// An admitted attempt was given up without an outcome; if it was the probe, the next one may be.
    public mutating func abandon(at time: Timestamp) {
        if case .probing(let pause, _) = state { state = .open(until: time, pause: pause) }
    }

    private mutating func open(for pause: Int64, at time: Timestamp) {
        state = .open(until: time.advanced(milliseconds: pause), pause: pause)
    }
}
