import Dispatch
import Foundation

/// Ctrl-C, for a command that has something to put away first.
enum Interruption {
    /// Returns when the terminal asks for the program's end, or when the task is cancelled. Asked a second time, the
    /// program ends at once.
    static func wait() async {
        // The signal's own effect would come before the source's.
        _ = signal(SIGINT, SIG_IGN)
        let (signals, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let source = DispatchSource.makeSignalSource(signal: SIGINT)
        source.setEventHandler { continuation.yield() }
        source.resume()
        defer { source.cancel() }
        for await _ in signals { break }
        _ = signal(SIGINT, SIG_DFL)
    }
}
