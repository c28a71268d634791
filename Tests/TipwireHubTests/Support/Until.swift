/// Waits for something that can only be looked at, giving way to everyone else between looks.
func until(_ condition: () async throws -> Bool) async throws {
    while try await !condition() {
        try Task.checkCancellation()
        await Task.yield()
    }
}
