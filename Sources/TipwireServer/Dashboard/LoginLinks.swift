import TipwireCore
import TipwireHub
import TipwireStore

/// One-time links into the dashboard.
struct LoginLinks: Sendable {
    /// How long a link can be used.
    static let lifetimeMilliseconds: Int64 = 10 * 60 * 1_000

    let store: any DirectoryStore
    let clock: WallClock
    let publicURL: @Sendable () -> String

    /// A link that signs in as `account`, once.
    func make(for account: Account.ID) async throws -> (url: String, expiresAt: Timestamp) {
        let code = SecretHash.randomHex(bytes: 24)
        let expiresAt = clock.now().advanced(milliseconds: Self.lifetimeMilliseconds)
        try await store.createLoginCode(SecretHash(of: code), account: account, expiresAt: expiresAt)
        return ("\(publicURL())/login?code=\(code)", expiresAt)
    }

    /// Whether `text` has the shape of a code: 24 bytes as lower-case hex.
    static func isCode(_ text: String) -> Bool {
        text.utf8.count == 48 && text.allSatisfy { $0.isHexDigit && !$0.isUppercase }
    }

    /// Spends a code; returns the token of a new session, nil if the code is unknown, spent or too old.
    func redeem(_ code: String) async throws -> String? {
        let now = clock.now()
        guard let account = try await store.redeemLoginCode(SecretHash(of: code), at: now) else { return nil }
        return try await begin(account)
    }

    /// A new session of an account whose person has proved who they are.
    func begin(_ account: Account.ID) async throws -> String {
        let token = SecretHash.randomHex(bytes: 32)
        let lifetime = Int64(SessionCookie.lifetimeSeconds) * 1_000
        try await store.createSession(
            SecretHash(of: token), account: account, expiresAt: clock.now().advanced(milliseconds: lifetime))
        return token
    }
}
