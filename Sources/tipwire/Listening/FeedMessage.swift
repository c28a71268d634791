import Foundation

/// One text frame of the Pally feed, as far as `listen` reads it.
enum FeedMessage: Equatable {
    /// The answer to our `ping`.
    case pong
    /// The first frame of a connection that asked for `since`: how well it could be met, and where it stands.
    case resumed(status: String, cursor: String?)
    /// A tip, or its replay.
    case tip(FeedTip, cursor: String?)
    /// A type that this version has no words for. It still has a place in the log.
    case other(type: String, cursor: String?)
    /// Not a JSON object with a type.
    case unreadable

    init(_ text: String) {
        if text == "pong" {
            self = .pong
            return
        }
        guard let envelope = try? JSONDecoder().decode(Envelope.self, from: Data(text.utf8)) else {
            self = .unreadable
            return
        }
        switch envelope.type {
        case "feed.resumed":
            self = .resumed(status: envelope.payload?.status ?? "resumed", cursor: envelope.payload?.cursor)
        case "campaigntip.notify":
            if let tip = envelope.payload?.campaignTip, let page = envelope.payload?.page {
                self = .tip(FeedTip(tip: tip, page: page), cursor: envelope.cursor)
            } else {
                self = .other(type: envelope.type, cursor: envelope.cursor)
            }
        default: self = .other(type: envelope.type, cursor: envelope.cursor)
        }
    }

    private struct Envelope: Decodable {
        let type: String
        let cursor: String?
        let payload: Payload?

        private enum Member: CodingKey { case type, cursor, payload }

        /// Only the type must be there: a message of a later version may have a payload of any other shape.
        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Member.self)
            type = try container.decode(String.self, forKey: .type)
            cursor = try? container.decodeIfPresent(String.self, forKey: .cursor)
            payload = try? container.decodeIfPresent(Payload.self, forKey: .payload)
        }
    }

    private struct Payload: Decodable {
        let status: String?
        let cursor: String?
        let campaignTip: FeedTip.Tip?
        let page: FeedTip.Page?
    }
}

extension FeedMessage: SocketMessage {
    static let ping = "ping"
    /// The feed's first message says how it stands.
    static let pingsAtOnce = false

    var isPong: Bool { self == .pong }
    var isShown: Bool { self != .pong && self != .unreadable }
}

/// A tip on the feed. The feed names no currency; see `ListenedPages`.
struct FeedTip: Equatable, HeardEvent {
    struct Tip: Decodable, Equatable {
        let displayName: String
        let grossAmountInCents: Int
        let message: String
        let updatedAt: String
    }

    struct Page: Decodable, Equatable {
        let slug: String
    }

    let tip: Tip
    let page: Page

    var pageSlug: String? { page.slug }

    /// `15:04:05Z  demo  Ada  $5.00  "hello"`; without a message the line ends with the amount.
    func line(on page: ListenedPage) -> String {
        page.line(
            at: tip.updatedAt,
            page.tip(from: tip.displayName, cents: tip.grossAmountInCents, message: tip.message))
    }
}
