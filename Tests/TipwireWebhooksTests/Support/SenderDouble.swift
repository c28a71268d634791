import NIOCore
import Synchronization
import TipwireCore
import TipwireTestSupport

@testable import TipwireWebhooks

/// Makes attempts as a test says, without a network, and keeps what it was given.
final class SenderDouble: WebhookSending {
    struct Attempt: Sendable {
        let callback: String
        let id: String
        let body: String
        /// The number of the attempt.
        let number: Int
        let began: Timestamp
        let secrets: [WebhookSecret]
    }

    typealias Script = @Sendable (Attempt) async throws -> AttemptReport

    private let script: Mutex<Script>
    /// In the order of their beginning.
    let attempts = Watched<[Attempt]>([])
    let shutdowns = Watched(0)

    init(_ script: @escaping Script = { _ in .answer(200) }) { self.script = Mutex(script) }

    func behave(_ script: @escaping Script) { self.script.withLock { $0 = script } }

    func send(_ request: WebhookRequest) async throws(CancellationError) -> AttemptReport {
        let attempt = Attempt(
            callback: request.url.description, id: request.id, body: String(buffer: request.body),
            number: request.attempt, began: request.timestamp, secrets: request.secrets)
        let script = script.withLock { $0 }
        attempts.change { $0.append(attempt) }
        do {
            return try await script(attempt)
        } catch {
            throw CancellationError()
        }
    }

    /// Holds every attempt until the gate that is given back opens; then each is answered 200.
    func hold() -> Gate {
        let gate = Gate()
        behave { _ in
            try await gate.pass()
            return .answer(200)
        }
        return gate
    }

    func shutdown() async { shutdowns.change { $0 += 1 } }

    /// Returns when so many attempts have begun; gives them.
    func begun(_ count: Int) async throws -> [Attempt] {
        try await attempts.wait { $0.count >= count }
        return attempts.value
    }

    /// The ids of the messages, in the order of their attempts, to one callback or to all.
    func ids(to callback: String? = nil) -> [String] {
        attempts.value.filter { callback == nil || $0.callback == callback }.map(\.id)
    }
}

extension AttemptReport {
    static func answer(_ status: Int, _ body: String = "", retryAfter: RetryAfter? = nil) -> AttemptReport {
        AttemptReport(
            outcome: (200..<300).contains(status)
                ? .delivered(status: status) : .rejected(status: status, retryAfter: retryAfter),
            excerpt: body, duration: .milliseconds(12))
    }

    /// Never comes, unless its task is cancelled.
    static var never: AttemptReport {
        get async throws {
            try await Watched(false).wait { $0 }
            return .answer(200)
        }
    }
}
