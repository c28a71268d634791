import Crypto
import Foundation
import NIOSSL
import TipwireCore

/// A certificate made for one test: self-signed, for a name or an address, and valid until 2049.
///
/// Written in DER by hand, which takes fewer lines than any tool takes to be found, called and cleaned up after.
struct TestCertificate {
    let certificate: NIOSSLCertificate
    let key: NIOSSLPrivateKey

    init(name: String) throws {
        try self.init(alternativeName: DER.tagged(0x82, Array(name.utf8)))
    }

    init(address: IPAddress) throws {
        try self.init(alternativeName: DER.tagged(0x87, address.bytes))
    }

    private init(alternativeName: [UInt8]) throws {
        let privateKey = P256.Signing.PrivateKey()
        let algorithm = DER.sequence(DER.ecdsaWithSHA256)
        // Of its own: roots are found by their names.
        let subject = Array("Tipwire's tests \(UInt32.random(in: 0...UInt32.max))".utf8)
        let name = DER.sequence(DER.tagged(0x31, DER.sequence(DER.commonName + DER.tagged(0x0C, subject))))
        let times = ["200101000000Z", "491231235959Z"].flatMap { DER.tagged(0x17, Array($0.utf8)) }
        let extensions = DER.sequence(
            DER.sequence(
                DER.basicConstraints + DER.tagged(0x01, [0xFF])
                    + DER.tagged(0x04, DER.sequence(DER.tagged(0x01, [0xFF]))))
                + DER.sequence(
                    DER.subjectAlternativeName + DER.tagged(0x04, DER.sequence(alternativeName))))
        let body = DER.sequence(
            DER.tagged(0xA0, DER.tagged(0x02, [2])) + DER.tagged(0x02, [1]) + algorithm + name + DER.sequence(times)
                + name + Array(privateKey.publicKey.derRepresentation) + DER.tagged(0xA3, extensions))
        let signature = try privateKey.signature(for: body).derRepresentation
        let whole = DER.sequence(body + algorithm + DER.tagged(0x03, [0] + Array(signature)))
        certificate = try NIOSSLCertificate(bytes: whole, format: .der)
        key = try NIOSSLPrivateKey(bytes: Array(privateKey.pemRepresentation.utf8), format: .pem)
    }

    func pem() throws -> String {
        let text = Data(try certificate.toDERBytes()).base64EncodedString(options: .lineLength64Characters)
        return "-----BEGIN CERTIFICATE-----\n\(text)\n-----END CERTIFICATE-----\n"
    }

    func serverContext() throws -> NIOSSLContext {
        try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: [.certificate(certificate)], privateKey: .privateKey(key)))
    }
}

private enum DER {
    static let ecdsaWithSHA256 = tagged(0x06, [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02])
    static let commonName = tagged(0x06, [0x55, 0x04, 0x03])
    static let basicConstraints = tagged(0x06, [0x55, 0x1D, 0x13])
    static let subjectAlternativeName = tagged(0x06, [0x55, 0x1D, 0x11])

    static func sequence(_ content: [UInt8]) -> [UInt8] { tagged(0x30, content) }

    static func tagged(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        switch content.count {
        case 0..<0x80: [tag, UInt8(content.count)] + content
        case 0x80..<0x100: [tag, 0x81, UInt8(content.count)] + content
        default: [tag, 0x82, UInt8(content.count >> 8), UInt8(content.count & 0xFF)] + content
        }
    }
}
