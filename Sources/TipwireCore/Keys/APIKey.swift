import Crypto

/// An API key in plain text: `tw_` and 64 lower-case hex characters, 32 random bytes.
///
/// It exists in memory only: the store keeps the prefix and the hash. Its description is redacted, so that no log line
/// can leak it by accident; `reveal` is the one way to its text, and is used when the key is first handed out.
public struct APIKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let text: String

    /// Checks the shape; nil if `text` can't be a key.
    public init?(_ text: String) {
        guard text.utf8.count == 67, text.hasPrefix("tw_") else { return nil }
        for byte in text.utf8.dropFirst(3) {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): continue
            default: return nil
            }
        }
        self.text = text
    }

    /// A new key from the system's generator.
    public static func random() -> APIKey {
        APIKey("tw_" + SecretHash.randomHex(bytes: 32))!
    }

    /// The first 11 characters: public, and what the store looks a key up by.
    public var prefix: String { String(text.prefix(11)) }
    public var hash: SecretHash { SecretHash(of: text) }
    public func reveal() -> String { text }

    public var description: String { "\(prefix)…" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["prefix": prefix]) }
}

/// The SHA-256 of a secret with enough randomness of its own (keys, session tokens, login codes).
public struct SecretHash: Sendable, Hashable {
    /// 32 bytes.
    public let bytes: [UInt8]

    public init(of secret: String) {
        bytes = Array(SHA256.hash(data: Array(secret.utf8)))
    }

    public init(bytes: [UInt8]) { self.bytes = bytes }

    /// Compares in a time that doesn't depend on where the two differ.
    public func matches(_ other: SecretHash) -> Bool {
        guard bytes.count == other.bytes.count else { return false }
        var difference: UInt8 = 0
        for index in bytes.indices { difference |= bytes[index] ^ other.bytes[index] }
        return difference == 0
    }

    /// Two lower-case hex characters for each byte.
    public static func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.reduce(into: "") { text, byte in
            if byte < 16 { text.append("0") }
            text.append(String(byte, radix: 16))
        }
    }

    /// Random bytes from the system's generator, as lower-case hex.
    public static func randomHex(bytes count: Int) -> String {
        hex((0..<count).map { _ in UInt8.random(in: 0...255) })
    }
}
