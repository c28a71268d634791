import NIOCore
import NIOSSL
import NIOTLS

/// Behind TLS: lets the connection count as open only if the certificate has the callback's name.
///
/// NIOSSL has checked the certificate by now, but takes one for the address that it connected to as well, whatever the
/// name. That would do for a callback that is an address. For a name it would let whoever can change its addresses
/// pass with a certificate for a machine of their own.
final class CertificateNameHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    struct WrongName: Error {}

    private let name: String

    /// - Parameter name: Lower case.
    init(name: String) {
        self.name = name
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event, !isNamed(context) {
            return context.fireErrorCaught(WrongName())
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func isNamed(_ context: ChannelHandlerContext) -> Bool {
        guard let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate() else { return false }
        return certificate._subjectAlternativeNames().contains { alternative in
            alternative.nameType == .dnsName
                && Self.isMatch(String(decoding: alternative.contents, as: UTF8.self).lowercased(), name)
        }
    }

    /// RFC 6125, section 6.4: the same name, or a wildcard that stands for the whole first label.
    static func isMatch(_ pattern: String, _ name: String) -> Bool {
        guard pattern.hasPrefix("*.") else { return pattern == name }
        let rest = pattern.dropFirst()
        // `*.com` is for nobody.
        guard rest.dropFirst().contains("."), let dot = name.firstIndex(of: "."), dot != name.startIndex else {
            return false
        }
        return name[dot...] == rest
    }
}
