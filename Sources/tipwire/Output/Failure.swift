import Foundation

/// What went wrong, in words for the person at the terminal.
///
/// ArgumentParser prints it after `Error: ` on standard error and exits with 1; every error that leaves a command is
/// one of these, so that nobody ever reads a dump of a Swift value.
struct Failure: Error, Equatable, LocalizedError {
    /// One line, or a few; already free of control characters.
    let message: String

    init(_ message: String) { self.message = message }

    var errorDescription: String? { message }
}
