import Crypto
import Foundation
import NIOCore

/// The signature of Standard Webhooks 1.0: `v1,` and the base64 of the HMAC-SHA256 of id, time and body.
public enum WebhookSignature {
    /// The value of `webhook-signature`: one signature per secret, separated by spaces, so that a receiver that has
    /// either the old secret or the new one finds its own while a secret rotates.
    ///
    /// - Parameters:
    ///   - id: The value of `webhook-id`; no full stop in it, for that is what separates the parts.
    ///   - timestamp: The value of `webhook-timestamp`, in seconds since 1970.
    public static func header(id: String, timestamp: Int64, body: ByteBuffer, secrets: [WebhookSecret]) -> String {
        secrets.map { sign(id: id, timestamp: timestamp, body: body, secret: $0) }.joined(separator: " ")
    }

    public static func sign(id: String, timestamp: Int64, body: ByteBuffer, secret: WebhookSecret) -> String {
        var code = HMAC<SHA256>(key: secret.key)
        code.update(data: Array("\(id).\(timestamp).".utf8))
        body.withUnsafeReadableBytes { code.update(data: $0) }
        return "v1," + Data(code.finalize()).base64EncodedString()
    }
}
