import TipwireCore

/// Since when an endpoint has only failed, over all of its deliveries.
///
/// The store keeps `failingSince`; an endpoint that is enabled again begins without one.
public struct EndpointHealth: Hashable, Sendable {
    /// How long an endpoint may fail before it is disabled: five days, in milliseconds. Longer than the whole retry
    /// schedule, so that one event that an endpoint can't take never disables it while others get through.
    public static let patience: Int64 = 5 * 86_400_000

    /// When the first failure since the last success ended; nil while the last attempt was a success, or none was made.
    public private(set) var failingSince: Timestamp?

    public init(failingSince: Timestamp? = nil) {
        self.failingSince = failingSince
    }

    /// Notes an attempt.
    ///
    /// - Returns: whether the endpoint is to be disabled.
    public mutating func record(_ outcome: AttemptOutcome, at time: Timestamp) -> Bool {
        guard !outcome.isDelivered else {
            failingSince = nil
            return false
        }
        if failingSince == nil { failingSince = time }
        return Self.isHopeless(failingSince: failingSince, now: time)
    }

    /// The five-day rule.
    public static func isHopeless(failingSince: Timestamp?, now: Timestamp) -> Bool {
        guard let failingSince else { return false }
        return now.milliseconds - failingSince.milliseconds >= patience
    }
}
