import Foundation
import TipwireCore

/// What standard output says: the address, the way in, and with `--demo` what to paste. Logs go to standard error.
enum Announcement {
    static func listening(on url: String) -> String { "Tipwire is listening on \(url)\n" }

    static func link(_ url: String) -> String { "Dashboard (opens once, within 10 minutes): \(url)\n" }

    /// - Parameter program: how the program was called, so that the commands work when they are pasted.
    static func demo(key: APIKey, url: String, program: String) -> String {
        let options = "--server \(url) --key \(key.reveal())"
        return """
            Demo key: \(key.reveal())

            Now open another terminal, paste this, and leave it running; it prints each tip as it comes:

            \(program) listen --page demo \(options)

            In a third one, send a tip by the command line, or by any HTTP client:

            \(program) tip demo --amount 5.00 --name Ada --message "Hello" \(options)

            curl -sS \(url)/api/v1/pages/demo/tips -H "Authorization: Bearer \(key.reveal())" \
            -H "Content-Type: application/json" -d '{"displayName":"Grace","grossAmountInCents":700,"message":"Hi"}'

            The page has goals. See how far the tips have brought them:

            \(program) goal list demo \(options)

            """
    }

    /// Writes to standard output at once, past every buffer.
    static func print(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            // A reader that has gone away is no reason to stop serving.
            if written <= 0 { return }
            bytes = bytes.dropFirst(written)
        }
    }
}
