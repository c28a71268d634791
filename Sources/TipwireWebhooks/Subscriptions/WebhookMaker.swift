import NIOCore
import TipwireCore
import TipwireHub
import TipwireStore

/// Why a webhook was not made: its callback can't be had.
public struct WebhookRefusal: Error, Hashable, Sendable {
    /// What is wrong with it, for whoever wrote it.
    public let detail: String
}

/// What somebody wishes to be told of, and where.
public struct WebhookWish: Sendable {
    public let page: Page
    public let account: Account.ID
    /// Nil: a signed-in browser asks.
    public let key: String?
    public let type: EventSubType
    public let condition: EventSubCondition?
    public let callback: String
    /// Nil: one is made.
    public let secret: WebhookSecret?

    public init(
        page: Page, account: Account.ID, key: String?, type: EventSubType, condition: EventSubCondition?,
        callback: String, secret: WebhookSecret?
    ) {
        self.page = page
        self.account = account
        self.key = key
        self.type = type
        self.condition = condition
        self.callback = callback
        self.secret = secret
    }
}

/// Makes webhooks: checks where the callback leads, and whether it wants them.
struct WebhookMaker: Sendable {
    let subscriptions: WebhookSubscriptions
    let quota: SubscriptionQuota
    let check: TargetCheck
    let policy: CallbackPolicy
    let sender: any WebhookSending
    let requiresChallenge: Bool
    let clock: any DeliveryClock

    /// Throws `WebhookRefusal`, `SubscriptionQuota.Refusal`, or `DirectoryRefusal.missingReference` when the page is gone.
    func make(_ wish: WebhookWish) async throws -> Webhook {
        let url: CallbackURL
        do {
            url = try CallbackURL(wish.callback, policy: policy)
        } catch {
            throw WebhookRefusal(detail: error.description)
        }
        // Before anything is looked up or asked: it also bounds how often a caller can have us do that.
        let subscription = try quota.makeSubscription(
            page: wish.page.id, account: wish.account, key: wish.key, type: wish.type, condition: wish.condition,
            at: clock.now())
        do {
            let secret = wish.secret ?? .random()
            try await requireTarget(url)
            if requiresChallenge { try await challenge(url, secret: secret, isKnown: wish.secret != nil) }
            return try await subscriptions.create(subscription, callback: url, secret: secret)
        } catch {
            quota.leave(subscription)
            throw error
        }
    }

    /// A name that doesn't resolve yet is accepted: it is looked up again, and checked, at each attempt.
    private func requireTarget(_ url: CallbackURL) async throws {
        do {
            _ = try await check.target(for: url)
        } catch .refused(let refusal) {
            throw WebhookRefusal(detail: refusal.description)
        } catch .unresolved {}
    }

    /// Asks the endpoint whether it is expected: `{"type":"challenge","challenge":C}`, to be answered 200, `text/plain`, C.
    ///
    /// - Parameter isKnown: whether the endpoint can know the secret that the challenge is signed with.
    private func challenge(_ url: CallbackURL, secret: WebhookSecret, isKnown: Bool) async throws {
        let challenge = SecretHash.randomHex(bytes: 16)
        let report = try await sender.send(
            WebhookRequest(
                url: url, id: "challenge-\(SecretHash.randomHex(bytes: 8))", timestamp: clock.now(),
                body: ByteBuffer(string: #"{"type":"challenge","challenge":"\#(challenge)"}"#), secrets: [secret]))
        let mediaType = report.contentType?.split(separator: ";").first.map { $0.lowercased().filter { $0 != " " } }
        let answer = report.excerpt.filter { !$0.isWhitespace }
        guard report.outcome == .delivered(status: 200), mediaType == "text/plain", answer == challenge else {
            let got =
                report.outcome == .delivered(status: 200)
                ? "it answered 200 with something else" : report.outcome.description
            let hint = isKnown ? "" : "; if it verifies signatures, give it a secret first and name that secret here"
            throw WebhookRefusal(
                detail:
                    "the endpoint must answer the challenge with 200, text/plain and the text of 'challenge'; \(got)\(hint)"
            )
        }
    }
}
