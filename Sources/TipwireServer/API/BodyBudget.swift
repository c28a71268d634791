import HTTPTypes
import Synchronization

/// Bounds the memory of large bodies that are being received at the same time.
///
/// Ordinary bodies are small and need no asking. A batch may take megabytes, and a client that sends it slowly would hold
/// them for as long as it likes.
final class BodyBudget: Sendable {
    /// Bytes of large bodies in memory at a time.
    static let maximumBytes = 64 * 1024 * 1024

    private let reserved = Atomic<Int>(0)

    /// Sets bytes aside for as long as the reservation lives, or refuses when there is no room for them.
    func reserve(_ bytes: Int) throws -> Reservation {
        guard reserved.wrappingAdd(bytes, ordering: .relaxed).newValue <= Self.maximumBytes else {
            reserved.wrappingSubtract(bytes, ordering: .relaxed)
            throw Problem(
                .serviceUnavailable, "Too many large requests are being received; send this again in a moment.",
                headers: [.retryAfter: "1"])
        }
        return Reservation(budget: self, bytes: bytes)
    }

    /// A part of the budget, given back with its end.
    final class Reservation: Sendable {
        private let budget: BodyBudget
        private let bytes: Int

        fileprivate init(budget: BodyBudget, bytes: Int) {
            self.budget = budget
            self.bytes = bytes
        }

        deinit { budget.reserved.wrappingSubtract(bytes, ordering: .relaxed) }
    }
}
