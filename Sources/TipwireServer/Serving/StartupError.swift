import Foundation
import NIOCore

/// Why the server doesn't start: one line for the person who started it.
public struct StartupError: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }

    /// A refused bind, in words.
    init(binding host: String, to port: ListeningPort, _ error: any Error) {
        if error is SocketAddressError.UnknownHost {
            self.init("can't listen on '\(host)': there is no such host; choose another with --host")
            return
        }
        let reason: String
        switch (error as? IOError)?.errnoCode {
        case EADDRINUSE?: reason = "the port is in use; choose another with \(port.option)"
        case EACCES?: reason = "ports below 1024 need a privilege; choose another with \(port.option)"
        case EADDRNOTAVAIL?: reason = "this machine doesn't have the address; choose another with --host"
        default: reason = "\(error)"
        }
        self.init("can't listen on \(host):\(port.number): \(reason)")
    }
}
