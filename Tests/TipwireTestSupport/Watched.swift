import Synchronization

/// A value that tests wait on: whoever awaits a condition is resumed by the change that fulfils it.
///
/// Instead of a sleep and a look. A cancelled wait throws, so that a test past its time limit ends.
public final class Watched<Value: Sendable>: Sendable {
    private struct Waiter {
        let condition: @Sendable (Value) -> Bool
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var value: Value
        var waiters: [Int: Waiter] = [:]
        var nextID = 0
    }

    private let state: Mutex<State>

    public init(_ value: Value) { state = Mutex(State(value: value)) }

    public var value: Value { state.withLock { $0.value } }

    @discardableResult
    public func change<Result: Sendable>(_ body: @Sendable (inout Value) -> Result) -> Result {
        let (result, fulfilled) = state.withLock { state in
            let result = body(&state.value)
            let value = state.value
            let ids = state.waiters.filter { $0.value.condition(value) }.map(\.key)
            return (result, ids.compactMap { state.waiters.removeValue(forKey: $0)?.continuation })
        }
        for continuation in fulfilled { continuation.resume() }
        return result
    }

    public func wait(until condition: @escaping @Sendable (Value) -> Bool) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome: Result<Void, any Error>? = state.withLock { state in
                    if condition(state.value) { return .success(()) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    state.waiters[id] = Waiter(condition: condition, continuation: continuation)
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }
}

/// Holds whoever passes until it is opened.
public final class Gate: Sendable {
    private struct State {
        var isOpen: Bool
        var arrived = 0
    }

    private let state: Watched<State>

    public init(isOpen: Bool = false) { state = Watched(State(isOpen: isOpen)) }

    public func pass() async throws {
        state.change { $0.arrived += 1 }
        try await state.wait { $0.isOpen }
    }

    /// Waits until so many have come, through or not.
    public func arrived(_ count: Int = 1) async throws { try await state.wait { $0.arrived >= count } }

    public var arrivals: Int { state.value.arrived }

    public func open() { state.change { $0.isOpen = true } }
    public func close() { state.change { $0.isOpen = false } }
}
