import Glibc
import Synchronization

/// Somebody who tips a page at a steady rate, and notes how long each answer takes.
///
/// On a thread of its own: what it measures is the server's time, and whoever opens thousands of sockets or reads what they
/// bring has none for its answers.
final class PacedTipper: Sendable {
    private struct State {
        var latencies = Latencies()
        var fault: (any Error)?
        var isStopped = false
    }

    private let port: UInt16
    private let request: [UInt8]
    private let rate: Double
    private let state = Mutex(State())

    /// - Parameter rate: tips a second, while the server keeps up; a late answer is followed by the next tip at once.
    private init(port: UInt16, request: [UInt8], rate: Double) {
        self.port = port
        self.request = request
        self.rate = rate
    }

    /// Tips until `body` returns.
    static func beside<Result>(
        port: UInt16, request: [UInt8], rate: Double, _ body: (PacedTipper) throws -> Result
    ) throws -> Result {
        let tipper = PacedTipper(port: port, request: request, rate: rate)
        var thread = pthread_t()
        let opaque = Unmanaged.passRetained(tipper).toOpaque()
        let status = pthread_create(
            &thread, nil,
            { opaque in
                Unmanaged<PacedTipper>.fromOpaque(opaque!).takeRetainedValue().run()
                return nil
            }, opaque)
        guard status == 0 else {
            Unmanaged<PacedTipper>.fromOpaque(opaque).release()
            throw BenchError("no thread for the tipper: \(String(cString: strerror(status)))")
        }
        defer {
            tipper.state.withLock { $0.isStopped = true }
            pthread_join(thread, nil)
        }
        return try body(tipper)
    }

    /// How long the answers took that have come since the last call. Throws what ended it.
    func take() throws -> Latencies {
        let (latencies, fault) = state.withLock { state in
            defer { state.latencies = Latencies() }
            return (state.latencies, state.fault)
        }
        if let fault { throw fault }
        return latencies
    }

    private func run() {
        // Before whoever else uses the client's processor, where this process may say so: waiting for it isn't the server's.
        var priority = sched_param(sched_priority: 1)
        pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority)
        do {
            let connection = try HTTPConnection(port: port)
            var next = nanoseconds()
            while !state.withLock(\.isStopped) {
                let start = nanoseconds()
                let answer = try connection.call(request)
                guard answer.status == 201 else { throw BenchError("a tip was answered \(answer.status)") }
                let end = nanoseconds()
                state.withLock { $0.latencies.record(nanoseconds: end - start) }
                next = max(next + Int64(1e9 / rate), end)
                usleep(UInt32((next - end) / 1_000))
            }
        } catch {
            state.withLock { $0.fault = error }
        }
    }
}
