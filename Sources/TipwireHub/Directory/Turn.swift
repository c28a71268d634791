/// Runs operations one after another, in the order of their calls.
///
/// An actor alone doesn't do that: it lets the next call in at each `await` of the one before.
public actor Turn {
    private var isTaken = false
    private var queue: [CheckedContinuation<Void, Never>] = []

    public init() {}

    public func take<Value: Sendable>(_ operation: @Sendable () async throws -> Value) async rethrows -> Value {
        if isTaken {
            await withCheckedContinuation { queue.append($0) }
        } else {
            isTaken = true
        }
        defer { pass() }
        return try await operation()
    }

    private func pass() {
        if queue.isEmpty {
            isTaken = false
        } else {
            queue.removeFirst().resume()
        }
    }
}
