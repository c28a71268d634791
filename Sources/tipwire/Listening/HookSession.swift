import NIOCore
import TipwireWire

/// One stream of the Event Hook: what each piece of it and each silence lead to.
///
/// A value without IO and without a clock: `HookSource` carries its actions out and tells it the time.
struct HookSession {
    enum Action {
        case show(HeardMessage)
        case end(ListeningEnding)
    }

    /// Longest time without a byte. The server sends a comment each 15 s, so that two may be late.
    static let longestSilence: Duration = .seconds(45)
    /// Largest message that is taken, in bytes; Tipwire's stay under 16 KiB.
    static let messageBytes = 65_536

    /// The stream's last byte or, if it is later, the moment when all that came had been dealt with; nil while
    /// something is: a slow terminal is no silence of the server.
    private var silentSince: ContinuousClock.Instant?
    private let silence: Duration
    private var parser = EventStreamParser(limit: Self.messageBytes)
    private var unread = ByteBuffer()

    init(at now: ContinuousClock.Instant, silence: Duration = longestSilence) {
        silentSince = now
        self.silence = silence
    }

    mutating func received(_ bytes: ByteBuffer) {
        silentSince = nil
        unread = bytes
    }

    /// What is next to do with what was received; nil when all is done and more is waited for.
    mutating func next(at now: ContinuousClock.Instant) -> Action? {
        do {
            while let message = try parser.next(&unread) {
                if let heard = Self.heard(message) { return .show(heard) }
            }
        } catch {
            return .end(.oversized(bytes: error.limit))
        }
        silentSince = now
        return nil
    }

    /// When to ask next whether there was a byte.
    func patienceEnds(at now: ContinuousClock.Instant) -> ContinuousClock.Instant { (silentSince ?? now) + silence }

    /// The end, if nothing came for too long.
    func patienceEnded(at now: ContinuousClock.Instant) -> ListeningEnding? {
        guard let silentSince, now - silentSince >= silence else { return nil }
        return .silent("nothing came for \(Wording.seconds(silence))")
    }

    /// Nil for what is no message to anybody.
    private static func heard(_ message: EventStreamParser.Message) -> HeardMessage? {
        let id = message.lastEventID
        let cursor = ListeningPosition.isUsable(id) ? id : nil
        let content: HeardMessage.Content
        switch HookMessage(message.data) {
        case .unreadable: return nil
        case .connected:
            // With a position, what the server says to it follows.
            if cursor != nil { return nil }
            content = .beginning(status: nil)
        case .resumed(let status): content = .beginning(status: status)
        case .event(let event): content = .event(event)
        case .other(let type): content = .unknown(type: type)
        }
        return HeardMessage(content: content, cursor: cursor, json: message.data)
    }
}
