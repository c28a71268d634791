import TipwireCore
import TipwireStore

/// The secrets of a webhook: the one that holds, and those before it that receivers may still have.
public struct SecretRing: Sendable, Equatable {
    /// Most secrets that one message is signed with. Whoever rotates more often within the time of an overlap has lost the
    /// older ones.
    public static let maximum = 5

    private struct Retiring: Sendable, Equatable {
        let secret: WebhookSecret
        let expiresAt: Timestamp
    }

    public private(set) var current: WebhookSecret
    /// The latest first.
    private var retiring: [Retiring] = []

    public init(_ secret: WebhookSecret) { current = secret }

    /// Nil when a stored text is no secret.
    init?(_ stored: [StoredSecret]) {
        guard let first = stored.first, let current = WebhookSecret(first.text) else { return nil }
        self.current = current
        for secret in stored.dropFirst() {
            guard let expiresAt = secret.expiresAt, let secret = WebhookSecret(secret.text) else { return nil }
            retiring.append(Retiring(secret: secret, expiresAt: expiresAt))
        }
    }

    /// What a message is signed with, the one that holds first.
    public func signing(at now: Timestamp) -> [WebhookSecret] {
        [current] + retiring.filter { now < $0.expiresAt }.map(\.secret)
    }

    /// Puts a new secret in force; the one before is signed with too until `overlapEnd`.
    mutating func rotate(to secret: WebhookSecret, overlapEnd: Timestamp, at now: Timestamp) {
        let kept = [Retiring(secret: current, expiresAt: overlapEnd)] + retiring
        retiring = Array(kept.filter { now < $0.expiresAt && $0.secret != secret }.prefix(Self.maximum - 1))
        current = secret
    }

    /// When the last of those before the one that holds ends; nil when none is signed with.
    func overlapEnd(at now: Timestamp) -> Timestamp? {
        retiring.map(\.expiresAt).filter { now < $0 }.max()
    }

    var stored: [StoredSecret] {
        [StoredSecret(current.reveal())]
            + retiring.map { StoredSecret($0.secret.reveal(), expiresAt: $0.expiresAt) }
    }
}
