/// The EventSub subscription that a listener has now: what each message and each end of a socket mean for it.
///
/// A value without IO: `EventSubSource` makes the subscriptions and holds the sockets.
struct HeldSubscription {
    private enum State {
        /// - Parameter isFirst: None was ever made.
        case none(isFirst: Bool)
        /// Without a socket of which the server has shown that it agrees. The beginning is what such a sign will be
        /// told as.
        case waiting(id: String, HeardMessage.Content)
        case open(id: String)
    }

    private var state = State.none(isFirst: true)
    private var recent = RecentIdentifiers()

    /// The one to connect as; nil if one has to be made.
    var id: String? {
        switch state {
        case .none: nil
        case .waiting(let id, _), .open(let id): id
        }
    }

    mutating func made(_ id: String) {
        if case .none(isFirst: true) = state {
            state = .waiting(id: id, .beginning(status: "resumed"))
        } else {
            state = .waiting(id: id, .renewal)
        }
    }

    /// What a message is to the listener: nothing, an event, or the beginning and perhaps an event.
    ///
    /// The dialect completes the handshake for wrong ids too. That a subscription is good shows by the first message
    /// which isn't a `disconnect`.
    ///
    /// - Parameter page: What is known of the subscription's page, which messages don't name.
    mutating func received(_ message: EventSubMessage, json: String, page: String?) -> [HeardMessage] {
        let content: HeardMessage.Content
        let isNew: Bool
        switch message {
        case .disconnect, .unreadable: return []
        case .pong: return begin()
        case .event(var event, let id):
            event.pageSlug = page
            content = .event(event)
            isNew = id.map { recent.insert($0) } ?? true
        case .other(let type, let id):
            content = .unknown(type: type)
            isNew = id.map { recent.insert($0) } ?? true
        }
        return begin() + (isNew ? [HeardMessage(content: content, cursor: nil, json: json)] : [])
    }

    /// A socket has ended, or there was none.
    ///
    /// - Returns: The same, or that the subscription is over and another one is worth the attempt.
    mutating func ended(_ ending: ListeningEnding) -> ListeningEnding {
        switch ending {
        case .closed(1008, let reason) where !Self.finalReasons.contains(reason):
            // Also when the id is connected already: whoever has it keeps it.
            state = .none(isFirst: false)
            return .subscriptionOver(reason)
        default:
            if case .open(let id) = state { state = .waiting(id: id, .beginning(status: "resumed")) }
            return ending
        }
    }

    /// Reasons of 1008 that are meant for whoever holds the key, not for the one subscription. The sentences may change;
    /// then another subscription is asked for, and the answer to that tells.
    private static let finalReasons: Set = [
        "the key was revoked", "the key has expired", "the page is no longer open to this key", "closed by the owner",
    ]

    private mutating func begin() -> [HeardMessage] {
        guard case .waiting(let id, let beginning) = state else { return [] }
        state = .open(id: id)
        return [HeardMessage(content: beginning, cursor: nil, json: "")]
    }
}
