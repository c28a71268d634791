import ArgumentParser
import Foundation

/// A file descriptor that text is written to, at once and whole.
///
/// Nothing is buffered here: `listen` is piped into other programs, and a line that waits in a buffer is a tip that
/// comes late. The C streams aren't used at all, since their globals don't exist for the Swift 6 language mode.
struct TextOutput: Sendable {
    let descriptor: Int32

    /// What was asked for: tables, lines, JSON.
    static let answers = TextOutput(descriptor: STDOUT_FILENO)
    /// What is said about it: progress, hints, warnings.
    static let notes = TextOutput(descriptor: STDERR_FILENO)

    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Writes all of `text`.
    ///
    /// Throws `ExitCode.success` when the reader has gone (`tipwire tips demo | head -1` is no failure), and a
    /// `Failure` for any other error, a full disk for one.
    func write(_ text: String) throws {
        Self.ignoreBrokenPipes
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if written >= 0 {
                rest = rest.dropFirst(written)
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN: waitUntilWritable()
            case EPIPE: throw ExitCode.success
            case let code: throw Failure("cannot write the output: \(String(cString: strerror(code)))")
            }
        }
    }

    /// Writes a line. The text must be visible text already; see `VisibleText`.
    func line(_ text: String) throws { try write(text + "\n") }

    /// Writes a line that nobody depends on; a closed standard error must not stop the work.
    func note(_ text: String) { try? write(text + "\n") }

    /// A descriptor shared with another program may have been made non-blocking by it.
    private func waitUntilWritable() {
        var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = Foundation.poll(&poll, 1, -1)
    }

    /// Without this, the signal ends the process before `write` can return EPIPE.
    private static let ignoreBrokenPipes: Void = {
        _ = signal(SIGPIPE, SIG_IGN)
    }()
}
