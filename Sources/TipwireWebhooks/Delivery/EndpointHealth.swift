import TipwireCore

/// Since when an endpoint has only failed, over all of its deliveries.
///
/// The store keeps `failingSince`; an endpoint that is enabled again begins without one.
public struct EndpointHealth: Hashable, Sendable {
    /// How long an endpoint may fail before it is disabled: five days, in milliseconds. Longer than the whole retry
    /// schedule, so that one event that an endpoint can't take never disables it while others get through.
    public static let patience: Int64 = 5 * 86_400_000
    /// Failures in a row that must have been seen beside, since the server started: five days of which the server was off
    /// for most say nothing of the endpoint.
    public static let leastFailures = 5

    /// When the first failure since the last success ended; nil while the last attempt was a success, or none was made.
    public private(set) var failingSince: Timestamp?
    /// The last attempt, if it failed, as far as this value has seen it.
    public private(set) var lastFailure: Failure?
    /// In a row, as far as this value has seen them.
    private var failures = 0

    public struct Failure: Hashable, Sendable {
        public let outcome: AttemptOutcome
        /// When the attempt ended.
        public let time: Timestamp
    }

    public init(failingSince: Timestamp? = nil) {
        self.failingSince = failingSince
    }

    /// Notes an attempt.
    ///
    /// - Returns: whether the endpoint is to be disabled.
    public mutating func record(_ outcome: AttemptOutcome, at time: Timestamp) -> Bool {
        guard !outcome.isDelivered else {
            self = EndpointHealth()
            return false
        }
        let since = failingSince ?? time
        failingSince = since
        lastFailure = Failure(outcome: outcome, time: time)
        failures = min(failures + 1, Self.leastFailures)
        return failures == Self.leastFailures && time.milliseconds - since.milliseconds >= Self.patience
    }
}
