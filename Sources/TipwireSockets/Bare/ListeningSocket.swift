import CTipwireSockets
import Glibc
import NIOCore

/// A socket that listens.
public final class ListeningSocket: PolledSocket {
    public enum Accepted {
        /// Somebody, with their address where it is one of the internet's.
        case connection(NIOBSDSocket.Handle, from: SocketAddress?)
        /// Nobody is there; when somebody comes, it is told.
        case nobody
        /// This process, or the system, has no room for them. They wait, and nobody is told of them again.
        case noRoom
    }

    private let heard: () -> Void

    /// - Parameter heard: called when somebody has come. Accepts all there are, or comes back for them.
    public init(_ descriptor: NIOBSDSocket.Handle, in poll: SocketPoll, heard: @escaping () -> Void) throws {
        self.heard = heard
        try super.init(descriptor, in: poll)
    }

    public override func ready(_ readiness: SocketPoll.Readiness) { heard() }

    /// Accepts one connection, which does not block.
    public func accept() -> Accepted {
        for _ in 0..<Self.tries {
            var address = sockaddr_storage()
            let accepted = tipwire_accept(descriptor, &address, UInt32(MemoryLayout.size(ofValue: address)))
            if accepted >= 0 { return .connection(accepted, from: SocketAddress(address)) }
            switch errno {
            case EAGAIN: return .nobody
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .noRoom
            // Who came has gone already (accept(2)).
            default: continue
            }
        }
        return .noRoom
    }

    /// So many in a row that fail are no matter of those who came.
    private static let tries = 64
}

extension SocketAddress {
    fileprivate init?(_ storage: sockaddr_storage) {
        let address = withUnsafeBytes(of: storage) { bytes -> SocketAddress? in
            switch CInt(storage.ss_family) {
            case AF_INET: SocketAddress(bytes.loadUnaligned(as: sockaddr_in.self))
            case AF_INET6: SocketAddress(bytes.loadUnaligned(as: sockaddr_in6.self))
            default: nil
            }
        }
        guard let address else { return nil }
        self = address
    }
}
