import TipwireCore

/// The body of a tip, as `POST /pages/{slug}/tips` takes it.
struct TipBody: Encodable, Sendable {
    var displayName: String?
    let grossAmountInCents: Int
    var message: String?
    var isAnonymous: Bool?
    var id: String?
}

/// Sends tips to one page, each until it is acknowledged or refused.
struct TipSender: Sendable {
    let client: ManagementClient
    let page: Slug
    /// Whether each wait for another attempt is told on standard error: a burst counts them instead.
    let announcesRetries: Bool

    /// - Parameter idempotencyKey: For tips without an id of their own.
    func send(_ tip: TipBody, idempotencyKey: TipIdentifier?) async throws -> Acknowledgement {
        var request = try APIRequest(.post, "pages", page.text, "tips").about(.page(page)).sending(tip)
        request.idempotencyKey = idempotencyKey
        return try await client.acknowledged(request, announcesRetries: announcesRetries)
    }
}
