import TipwireCore

/// Stops asking an endpoint that doesn't answer, and finds out with one attempt at a time whether it does again.
///
/// It spares the workers, who would each wait for a time limit, and the endpoint, which may be down for being asked
/// too much. No delivery is lost or counted by it: what isn't admitted stays due. It lives in memory, one per endpoint.
public struct CircuitBreaker: Hashable, Sendable {
    public struct Limits: Hashable, Sendable {
        /// Failures in a row that open it.
        public var failures = 5
        /// How long nothing is asked then, in milliseconds.
        public var pause: Int64 = 30_000

        public init() {}
    }

    public enum Admission: Hashable, Sendable {
        case admitted
        /// Ask again at that time; nil when it depends on the probe that is under way.
        case held(until: Timestamp?)
    }

    private enum State: Hashable {
        case closed(failures: Int)
        case open(until: Timestamp)
        /// Half open: one attempt is under way.
        case probing
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

    /// Asks to begin an attempt. Each that is admitted ends in `record` or `abandon`.
    public mutating func admit(at time: Timestamp) -> Admission {
        switch state {
        case .closed:
            return .admitted
        case .open(let until):
            // A clock that was set back must not prolong the pause.
            let isSetBack = until.milliseconds - time.milliseconds > limits.pause
            guard time >= until || isSetBack else { return .held(until: until) }
            state = .probing
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
        case .closed, .probing:
            state = .open(until: time.advanced(milliseconds: limits.pause))
        case .open:
            break
        }
    }

    /// An admitted attempt was given up without an outcome; if it was the probe, the next one may be.
    public mutating func abandon(at time: Timestamp) {
        if case .probing = state { state = .open(until: time) }
    }
}
