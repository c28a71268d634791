import TipwireCore

/// Decides, after each connection's end, whether to try again and when.
///
/// Exponential backoff with full jitter: the wait is drawn evenly from zero to a ceiling that doubles. A server that
/// restarts loses all its listeners in the same moment, and only randomness over the whole range spreads their return.
struct Reconnection: Equatable {
    enum Decision: Equatable {
        case again(in: Duration)
        /// Another attempt would be answered the same; the command ends with these words.
        case final(String)
    }

    /// What was asked for, for words that help.
    struct Asked {
        let address: ServerAddress
        let source: PresentedKey.Source
        let page: Slug?
    }

    /// The first ceiling of the wait, and the highest.
    static let shortestCeiling: Duration = .milliseconds(500)
    static let longestCeiling: Duration = .seconds(30)
    /// The highest ceiling for a while after a good connection: a server that was there a moment ago is probably being
    /// restarted, and whoever watches shall not wait for half a minute when it is back.
    static let earlyCeiling: Duration = .seconds(5)
    static let earlyTime: Duration = .seconds(60)
    /// A connection that was up for so long was a good one, and the backoff starts anew. One that is cut off as soon as
    /// it stands is no sign of health: it would otherwise be made twice a second for ever.
    static let goodConnection: Duration = .seconds(10)
    /// Longest `Retry-After` that is heeded, in seconds.
    static let longestRetryAfterSeconds = 300

    private var ceiling = Self.shortestCeiling
    private var earlyUntil: ContinuousClock.Instant?

    /// - Parameters:
    ///   - now: When it ended.
    ///   - lived: How long the connection was up; zero if it never was.
    ///   - random: From 0 to 1, evenly.
    mutating func decide(
        after ending: ListeningEnding, at now: ContinuousClock.Instant, lived: Duration, random: Double, asked: Asked
    ) -> Decision {
        if let words = Self.finalWords(ending, asked) { return .final(words) }
        if lived >= Self.goodConnection {
            ceiling = Self.shortestCeiling
            earlyUntil = now + Self.earlyTime
        }
        var wait = ceiling * random
        ceiling = min(ceiling * 2, earlyUntil.map { now < $0 } == true ? Self.earlyCeiling : Self.longestCeiling)
        if case .refused(_, _, let seconds?) = ending {
            // The jitter is added: everyone was told the same number.
            wait += .seconds(min(max(seconds, 0), Self.longestRetryAfterSeconds))
        }
        return .again(in: wait)
    }

    private static func finalWords(_ ending: ListeningEnding, _ asked: Asked) -> String? {
        switch ending {
        case .refused(429, _, _), .refused(408, _, _), .refused(500..., _, _), .unreachable, .ended, .lost, .silent,
            .subscriptionOver:
            return nil
        case .refused(401, _, _):
            return "the server at \(asked.address) does not accept the key from \(asked.source) (401): it is wrong, "
                + "expired or revoked, or may not read events. Make one with: tipwire key create --name listen"
        case .refused(403, _, _):
            return "the page does not exist, or the key from \(asked.source) may not see it (403); "
                + "'tipwire page list' shows the pages"
        case .refused(400, let detail, _):
            let advice = asked.page == nil ? " (the option is --page)" : ""
            return "the server does not take the request (400): \(VisibleText(detail ?? "no reason given"))\(advice)"
        case .refused(let status, _, _):
            return "\(asked.address) answered \(status) and has nothing to listen to there; is --server right?"
        case .closed(1008, let reason):
            let words = reason.isEmpty ? "the key was revoked or has expired" : VisibleText(reason).description
            return "the server ended the connection for good (1008): \(words)"
        case .closed: return nil
        case .oversized(let bytes):
            // It is at the position that would be asked for again.
            return "a message from \(asked.address) is longer than \(bytes) bytes, which none of Tipwire's is; "
                + "is --server right?"
        }
    }
}
