import Crypto
import Foundation
import TipwireCore

/// The secret that a webhook's receiver shares: `whsec_` and the base64 of 24 to 64 bytes, as Standard Webhooks 1.0
/// has it.
///
/// Its description is redacted, so that no log line can leak it by accident; `reveal` is the one way to its text.
public struct WebhookSecret: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public static let prefix = "whsec_"
    public static let byteCounts = 24...64
    /// Bytes of a generated one: as many as the hash behind the signature gives.
    public static let generatedBytes = 32

    public static let rule =
        "must be '\(prefix)' and the base64 of \(byteCounts.lowerBound) to \(byteCounts.upperBound) bytes"

    let key: SymmetricKey
    private let text: String

    /// Reads a secret; nil for what breaks the rule.
    ///
    /// The base64 must have its padding and no bits to spare: decoders differ in what they make of anything else, and
    /// the receiver's must come to the same bytes.
    public init?(_ text: String) {
        // Bounds the work before any is done: 64 bytes are 88 characters.
        guard text.utf8.count <= Self.prefix.utf8.count + 88, text.hasPrefix(Self.prefix) else { return nil }
        let encoded = String(text.dropFirst(Self.prefix.count))
        guard let bytes = Data(base64Encoded: encoded), bytes.base64EncodedString() == encoded,
            Self.byteCounts.contains(bytes.count)
        else { return nil }
        key = SymmetricKey(data: bytes)
        self.text = text
    }

    /// A new secret from the system's generator.
    public static func random() -> WebhookSecret {
        let bytes = Data((0..<generatedBytes).map { _ in UInt8.random(in: 0...255) })
        return WebhookSecret(prefix + bytes.base64EncodedString())!
    }

    public func reveal() -> String { text }

    public var description: String { "\(Self.prefix)…" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension WebhookSecret: Equatable {
    /// Compares in a time that doesn't depend on where the two differ.
    public static func == (a: WebhookSecret, b: WebhookSecret) -> Bool {
        SecretHash(of: a.text).matches(SecretHash(of: b.text))
    }
}
