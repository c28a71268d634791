import Foundation
import Logging
import NIOSSL
import Synchronization

/// The certificate that the port shows, with its key: read from two files, and again when the operator says so.
///
/// A connection keeps what it began with, so reading anew disturbs none.
final class ServerCertificate: Sendable {
    /// Days before the end of a certificate from which it is worth a warning each time it is read.
    static let warningDays = 14

    /// HTTP/2 as the handshake names it (RFC 9113, 3.2).
    static let http2 = "h2"

    private let certificatePath: String
    private let keyPath: String
    private let loaded: Mutex<Loaded>

    private struct Loaded {
        let context: NIOSSLContext
        let expiresAt: Date
    }

    /// Reads both files.
    ///
    /// - Parameters:
    ///   - certificate: a PEM file of the server's certificate and those between it and a root, in this order.
    ///   - key: a PEM file of its private key, without a password.
    init(certificate: String, key: String) throws(CertificateError) {
        certificatePath = certificate
        keyPath = key
        loaded = Mutex(try Self.load(certificate: certificate, key: key))
    }

    /// For a connection that begins now.
    var context: NIOSSLContext { loaded.withLock(\.context) }

    /// When the certificate that is shown ends.
    var expiresAt: Date { loaded.withLock(\.expiresAt) }

    /// Reads both files again. What can't be used leaves the server with what it has.
    func reload(logger: Logger) {
        do {
            let new = try Self.load(certificate: certificatePath, key: keyPath)
            loaded.withLock { $0 = new }
            logger.info("the certificate was read again", metadata: ["expires": "\(new.expiresAt.formatted(.iso8601))"])
            warn(logger: logger)
        } catch {
            logger.error(
                "the certificate could not be read again; new connections still get the old one",
                metadata: ["error": "\(error)"])
        }
    }

    /// Logs a warning if the certificate has ended or soon will.
    func warn(logger: Logger, now: Date = Date()) {
        let expiresAt = expiresAt
        guard expiresAt < now.addingTimeInterval(Double(Self.warningDays) * 86_400) else { return }
        logger.warning(
            expiresAt < now
                ? "the certificate has expired; clients will refuse it" : "the certificate expires soon; renew it",
            metadata: ["expires": "\(expiresAt.formatted(.iso8601))", "file": "\(certificatePath)"])
    }

    private static func load(certificate: String, key: String) throws(CertificateError) -> Loaded {
        try requireReadable(certificate, named: "tls.certificate")
        try requireReadable(key, named: "tls.key")
        guard let chain = try? NIOSSLCertificate.fromPEMFile(certificate), let first = chain.first else {
            throw CertificateError(
                description: "tls.certificate: '\(certificate)' must be a PEM file with a certificate")
        }
        guard let privateKey = try? NIOSSLPrivateKey(file: key, format: .pem) else {
            throw CertificateError(
                description: "tls.key: '\(key)' must be a PEM file with a private key that has no password")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
        // The library would begin with TLS 1.0, which nobody should speak any more (RFC 8996).
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = [http2, "http/1.1"]
        // How long TLS waits for its own goodbye to be answered, after the stream has waited for that of its dialect.
        configuration.shutdownTimeout = StreamLimits.shutdownClose
        guard let context = try? NIOSSLContext(configuration: configuration) else {
            throw CertificateError(
                description: "tls.key: '\(key)' is not the key of the certificate in '\(certificate)'")
        }
        return Loaded(
            context: context, expiresAt: Date(timeIntervalSince1970: Double(first.notValidAfter)))
    }

    private static func requireReadable(_ path: String, named setting: String) throws(CertificateError) {
        guard access(path, R_OK) != 0 else { return }
        throw CertificateError(description: "\(setting): '\(path)' can't be read: \(SystemReason.text())")
    }
}

/// The files of the certificate can't be used: one line for the operator.
struct CertificateError: Error, CustomStringConvertible {
    let description: String
}
