import NIOSSL

/// Which certificates vouch for receivers: those the machine trusts, and those the operator names besides.
public struct TrustRoots: Sendable {
    /// The setting that names a file of more.
    public static let setting = "webhooks.trustRoots"

    public static let system = TrustRoots(certificates: [])

    private let certificates: [NIOSSLCertificate]

    private init(certificates: [NIOSSLCertificate]) {
        self.certificates = certificates
    }

    /// Reads a PEM file of one or more certificates.
    public init(file path: String) throws(TrustRootsError) {
        do {
            certificates = try NIOSSLCertificate.fromPEMFile(path)
        } catch {
            throw TrustRootsError(path: path)
        }
        guard !certificates.isEmpty else { throw TrustRootsError(path: path) }
    }

    init(certificate: NIOSSLCertificate) {
        certificates = [certificate]
    }

    func clientContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        configuration.certificateVerification = .fullVerification
        if !certificates.isEmpty { configuration.additionalTrustRoots = [.certificates(certificates)] }
        return try NIOSSLContext(configuration: configuration)
    }
}

/// The file of trust roots can't be used.
public struct TrustRootsError: Error, Hashable, Sendable, CustomStringConvertible {
    public let path: String

    public var description: String {
        "\(TrustRoots.setting): '\(path)' must be a readable PEM file with at least one certificate"
    }
}
