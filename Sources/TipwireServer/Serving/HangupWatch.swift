import ServiceLifecycle
import UnixSignals

/// Does something each time SIGHUP comes, which would end the program otherwise.
struct HangupWatch: Service {
    let reload: @Sendable () -> Void

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() { reload() }
    }
}
