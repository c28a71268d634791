#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import NIOCore
import NIOHTTP1
import NIOSSL

extension Exchange.Fault {
    /// - Parameter isOpening: Whether the handshake is under way, where TLS's errors say what is wrong with it; later
    ///   ones only mean that the connection has broken.
    init(_ error: any Error, isOpening: Bool) {
        switch error {
        case is PeerCheckHandler.WrongPeer:
            self = .wrongPeer
        case is CertificateNameHandler.WrongName:
            self = .tls(.wrongName)
        case HTTPParserError.invalidEOFState:
            // Not wrong so far, but the connection ended.
            self = .broken
        case is HTTPParserError, is NIOHTTPDecoderError:
            self = .unreadable
        case _ where isOpening:
            self = TLSFault(error).map { .tls($0) } ?? .broken
        default:
            self = .broken
        }
    }
}

extension TLSFault {
    init?(_ error: any Error) {
        switch error {
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            self = .wrongName
        case NIOSSLError.handshakeFailed(.sslError(let stack)):
            // The one way that BoringSSL tells it.
            let isUntrusted = stack.contains { $0.description.contains("CERTIFICATE_VERIFY_FAILED") }
            self = isUntrusted ? .untrusted : .handshake
        case is NIOSSLExtraError, NIOSSLError.unableToValidateCertificate, NIOSSLError.noCertificateToValidate:
            self = .untrusted
        case is NIOSSLError, is BoringSSLError:
            self = .handshake
        default:
            return nil
        }
    }
}

extension AttemptOutcome {
    /// Why TCP gave no connection.
    init(connecting error: any Error) {
        switch error {
        case ChannelError.connectTimeout:
            self = .connectTimedOut
        case let error as IOError where error.errnoCode == ETIMEDOUT:
            self = .connectTimedOut
        case let error as IOError where error.errnoCode == ECONNREFUSED:
            self = .unreachable(.refused)
        case let error as IOError where [ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL].contains(error.errnoCode):
            self = .unreachable(.noRoute)
        default:
            self = .unreachable(.failed)
        }
    }
}
