import Logging
import UnixSignals

/// SIGTERM and SIGINT: the first begins the shutdown, any more end its waiting.
struct StopSignals: Sendable {
    private let signals: UnixSignalsSequence

    /// From here on neither ends the program by itself; what comes before it is watched for is kept.
    init() async { signals = await UnixSignalsSequence(trapping: .sigterm, .sigint) }

    /// Calls `begin` for the first signal and `hasten` for the second. Returns when there is nothing left to ask for.
    func watch(
        logger: Logger, begin: @Sendable () async -> Void, hasten: @Sendable () async -> Void
    ) async {
        var isStopping = false
        for await signal in signals {
            let name: Logger.Metadata = ["signal": "\(signal)"]
            if isStopping {
                logger.info("stopping at once", metadata: name)
                return await hasten()
            }
            isStopping = true
            logger.info("stopping", metadata: name)
            await begin()
        }
    }
}
