import TipwireCore

/// A delivery that waits for its next attempt.
///
/// The stages of a delivery are types, each made only by the one before it: what was never begun can't end, and what
/// has ended can't be begun again. A store keeps `attemptsMade`: an attempt that a crash cut off was never counted, and
/// is made again.
public struct DueDelivery: Hashable, Sendable {
    /// In this round of the schedule.
    public let attemptsMade: Int
    public let due: Timestamp

    /// A delivery as it is stored; new ones have made no attempt.
    public init(attemptsMade: Int = 0, due: Timestamp) {
        self.attemptsMade = attemptsMade
        self.due = due
    }

    public func begin(at time: Timestamp) -> RunningAttempt {
        RunningAttempt(number: attemptsMade + 1, began: time)
    }
}

/// An attempt that is being made.
public struct RunningAttempt: Hashable, Sendable {
    /// From 1.
    public let number: Int
    public let began: Timestamp

    fileprivate init(number: Int, began: Timestamp) {
        self.number = number
        self.began = began
    }

    /// What becomes of the delivery.
    ///
    /// - Parameter chance: For the jitter, evenly distributed from 0 to 1.
    public func ended(
        _ outcome: AttemptOutcome, at time: Timestamp, schedule: RetrySchedule = .standard, chance: Double
    ) -> EndedAttempt {
        EndedAttempt(
            number: number, began: began, ended: time, outcome: outcome,
            next: next(outcome, time, schedule, chance), endsEndpoint: outcome.isGone)
    }

    private func next(
        _ outcome: AttemptOutcome, _ time: Timestamp, _ schedule: RetrySchedule, _ chance: Double
    ) -> EndedAttempt.Next {
        if outcome.isDelivered { return .delivered }
        if outcome.isFinal { return .deadLetter(.refused) }
        let due = schedule.next(
            afterAttempt: number, ended: time, retryAfter: outcome.honouredRetryAfter, chance: chance)
        guard let due else { return .deadLetter(.attemptsExhausted) }
        return .retry(DueDelivery(attemptsMade: number, due: due))
    }
}

/// An attempt that was made, for the record, and what follows from it.
public struct EndedAttempt: Hashable, Sendable {
    public enum Next: Hashable, Sendable {
        case delivered
        case retry(DueDelivery)
        case deadLetter(DeadLetterReason)
    }

    public let number: Int
    public let began: Timestamp
    public let ended: Timestamp
    public let outcome: AttemptOutcome
    public let next: Next
    /// The endpoint said 410: it is disabled. The delivery itself goes on with its schedule if the endpoint is enabled
    /// again, like everything that waits for a disabled one.
    public let endsEndpoint: Bool

    fileprivate init(
        number: Int, began: Timestamp, ended: Timestamp, outcome: AttemptOutcome, next: Next, endsEndpoint: Bool
    ) {
        self.number = number
        self.began = began
        self.ended = ended
        self.outcome = outcome
        self.next = next
        self.endsEndpoint = endsEndpoint
    }
}

extension AttemptOutcome {
    /// `Retry-After` where it means "not yet": with 429 and 503.
    fileprivate var honouredRetryAfter: RetryAfter? {
        guard case .rejected(let status, let retryAfter) = self, status == 429 || status == 503 else { return nil }
        return retryAfter
    }
}
