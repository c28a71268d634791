import NIOCore
import NIOHTTP1
import TipwireCore

/// One message to one endpoint, as an attempt sends it.
public struct WebhookRequest: Sendable {
    public let url: CallbackURL
    /// The message's id: the same at each attempt, so that a receiver recognises a repeat.
    public let id: String
    /// When this attempt is made.
    public let timestamp: Timestamp
    /// JSON.
    public let body: ByteBuffer
    /// The one that holds, and while it rotates the one before.
    public let secrets: [WebhookSecret]
    /// The number of this attempt, from 1.
    public let attempt: Int

    public init(
        url: CallbackURL, id: String, timestamp: Timestamp, body: ByteBuffer, secrets: [WebhookSecret], attempt: Int = 1
    ) {
        self.url = url
        self.id = id
        self.timestamp = timestamp
        self.body = body
        self.secrets = secrets
        self.attempt = attempt
    }

    func head(userAgent: String) -> HTTPRequestHead {
        let seconds = timestamp.unixSeconds
        return HTTPRequestHead(
            version: .http1_1, method: .POST, uri: url.target,
            headers: [
                "Host": url.hostHeader,
                "User-Agent": userAgent,
                "Content-Type": "application/json",
                "Content-Length": "\(body.readableBytes)",
                "webhook-id": id,
                "webhook-timestamp": "\(seconds)",
                "webhook-signature": WebhookSignature.header(
                    id: id, timestamp: seconds, body: body, secrets: secrets),
            ])
    }
}

/// What came of an attempt.
public struct AttemptReport: Sendable {
    public let outcome: AttemptOutcome
    /// The beginning of the answer's body; empty without one. What isn't UTF-8 in it is replaced.
    public let excerpt: String
    /// The answer's `Content-Type`.
    public let contentType: String?
    /// The address that was connected to, or was to be; nil when it didn't come to that. For the operator.
    public let address: IPAddress?
    public let duration: Duration

    public init(
        outcome: AttemptOutcome, excerpt: String = "", contentType: String? = nil, address: IPAddress? = nil,
        duration: Duration
    ) {
        self.outcome = outcome
        self.excerpt = excerpt
        self.contentType = contentType
        self.address = address
        self.duration = duration
    }
}
