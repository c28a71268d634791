import Synchronization
import TipwireCore

@testable import TipwireWebhooks

/// A resolver whose answers a test sets, and that counts what it is asked.
final class ResolverDouble: Resolver {
    typealias Answer = Result<[IPAddress], ResolutionFailure>

    private struct State {
        /// The last one stays.
        var answers: [Answer]
        var asked: [String] = []
    }

    private let state: Mutex<State>

    /// - Parameter answers: One look-up after the other; each is a list of addresses separated by spaces.
    init(_ answers: String...) {
        state = Mutex(State(answers: answers.map { .success(Self.addresses($0)) }))
    }

    init(failing failure: ResolutionFailure) {
        state = Mutex(State(answers: [.failure(failure)]))
    }

    var asked: [String] { state.withLock { $0.asked } }

    func addresses(of name: String) async throws(ResolutionFailure) -> [IPAddress] {
        let answer = state.withLock { state in
            state.asked.append(name)
            return state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
        }
        return try answer.get()
    }

    private static func addresses(_ text: String) -> [IPAddress] {
        text.split(separator: " ").map { IPAddress(String($0))! }
    }
}
