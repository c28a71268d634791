import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Why there was no answer at all.
///
/// The libraries underneath throw a dozen types; here they become the few that call for different advice.
enum TransportFault: Error, Hashable, Sendable {
    /// Nobody listens there.
    case refused
    case unknownHost
    /// Neither connected nor refused within `ManagementClient.connectSeconds`.
    case connectTimedOut
    /// Connected, but no whole answer within `ManagementClient.answerSeconds`.
    case answerTimedOut
    /// The connection ended before the answer did; the request may have been carried out.
    case lost
    /// The certificate or the handshake.
    case tls(String)
    /// Something answers there, but it isn't HTTP.
    case notHTTP
    case other(String)

    init(_ error: any Error) {
        switch error {
        case let fault as TransportFault: self = fault
        case let error as NIOConnectionError: self = Self.connecting(error)
        case let error as IOError: self = Self.system(error)
        case let error as HTTPClientError: self = Self.client(error)
        case ChannelError.connectTimeout: self = .connectTimedOut
        case is ChannelError: self = .lost
        case is HTTPParserError: self = .notHTTP
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: self = .tls(Self.reason(error))
        default: self = .other("the connection failed")
        }
    }

    func message(_ address: ServerAddress) -> String {
        switch self {
        case .refused: "no Tipwire at \(address); start one with: tipwire serve"
        case .unknownHost: "the host \(address.host) is not known; is --server \(address) right?"
        case .connectTimedOut:
            "no connection to \(address) within \(ManagementClient.connectSeconds) s; "
                + "is the address right, and no firewall between?"
        case .answerTimedOut: "no answer from \(address) within \(ManagementClient.answerSeconds) s"
        case .lost:
            "\(address) closed the connection without an answer"
                + (address.isSecure ? "" : "; it may be starting again, or speak https")
        case .tls(let reason): "no safe connection to \(address): \(reason)"
        case .notHTTP: "what listens at \(address) does not answer as Tipwire does; is --server right?"
        case .other(let reason): "cannot reach \(address): \(reason)"
        }
    }
}

extension TransportFault {
    private static func connecting(_ error: NIOConnectionError) -> TransportFault {
        let causes = error.connectionErrors.map(\.error)
        if causes.isEmpty { return .unknownHost }
        // A name often has an IPv6 and an IPv4 address; the one that refused says more than the one without a route.
        let faults = causes.map { TransportFault($0) }
        return faults.contains(.refused) ? .refused : faults[0]
    }

    private static func system(_ error: IOError) -> TransportFault {
        switch error.errnoCode {
        case ECONNREFUSED: .refused
        case ECONNRESET, EPIPE: .lost
        case ETIMEDOUT: .connectTimedOut
        case let code: .other(String(cString: strerror(code)))
        }
    }

    private static func client(_ error: HTTPClientError) -> TransportFault {
        switch error {
        case .connectTimeout, .httpProxyHandshakeTimeout: .connectTimedOut
        case .tlsHandshakeTimeout: .tls("the handshake took too long")
        case .readTimeout, .deadlineExceeded, .getConnectionFromPoolTimeout: .answerTimedOut
        case .remoteConnectionClosed, .writeTimeout, .requestStreamCancelled: .lost
        default: .other("the HTTP client gave up (\(error.shortDescription))")
        }
    }

    /// TLS errors are stacks of BoringSSL's; three causes are common enough to be told apart in them.
    private static func reason(_ error: any Error) -> String {
        if error as? NIOSSLExtraError == .failedToValidateHostname { return "its certificate is for another name" }
        let stack = String(describing: error)
        if stack.contains("CERTIFICATE_VERIFY_FAILED") {
            return "its certificate is not trusted here; SSL_CERT_FILE names one that is"
        }
        if stack.contains("WRONG_VERSION_NUMBER") { return "it does not speak TLS; should it be http://?" }
        return "the TLS handshake failed"
    }
}
