import NIOCore
import Synchronization
import TipwireCore
import TipwireWire

/// The forms in which events leave the server.
public enum Dialect: Hashable, Sendable {
    /// WebSocket text frames.
    case pally
    /// Server-sent events; each with its cursor as id when the client asked for a position.
    case eventHook(hasIDs: Bool, StreamFraming)
    /// What follows a subscription's own beginning of a message; see `EventSubMessage`.
    case eventSub(EventSubType, EventSubCondition?)
    /// WebSocket text frames with the events as the API gives them.
    case overlay

    /// What listeners are counted by, and called in the API.
    public enum Kind: String, CaseIterable, Sendable {
        case feed
        case sse
        case eventsub
        case overlay
    }

    public var kind: Kind {
        switch self {
        case .pally: .feed
        case .eventHook: .sse
        case .eventSub: .eventsub
        case .overlay: .overlay
        }
    }

    /// Whether the bytes go to every listener as they are, or each puts something of its own before them.
    var isShared: Bool { kind != .eventsub }
}

/// An event on its way out: turned into the bytes of a dialect when the first listener of that dialect needs them, once,
/// and shared by every other.
///
/// Not for all dialects ahead: most pages have listeners of one or two, and an encoding costs as much as a delivery.
public final class EncodedEvent: Sendable {
    public let event: Event
    /// The page as it was when the event was read from the log.
    public let page: Page
    private let publicURL: String
    private let epoch: String
    private let encoded = Mutex<[Dialect: ByteBuffer?]>([:])

    init(_ event: Event, page: Page, publicURL: String, epoch: String) {
        self.event = event
        self.page = page
        self.publicURL = publicURL
        self.epoch = epoch
    }

    public var sequence: Int64 { event.sequence }

    /// The bytes for one dialect, nil if it leaves this event out.
    public func bytes(in dialect: Dialect) -> ByteBuffer? {
        // What a subscription asks of an event changes none of its bytes.
        if case .eventSub(let type, let condition?) = dialect {
            return condition.admits(event.body) ? bytes(in: .eventSub(type, nil)) : nil
        }
        return encoded.withLock { encoded in
            if let known = encoded[dialect] { return known }
            let bytes = encode(in: dialect)
            encoded[dialect] = .some(bytes)
            return bytes
        }
    }

    private func encode(in dialect: Dialect) -> ByteBuffer? {
        switch dialect {
        case .pally:
            return PallyNotification.frame(for: event, page: page, publicURL: publicURL, epoch: epoch)
        case .eventHook(let hasIDs, let framing):
            guard let json = EventHookMessage.json(for: event.body) else { return nil }
            let id = hasIDs ? Cursor(epoch: epoch, sequence: event.sequence).description : nil
            return framing.frame(ServerSentEvent.message(json, id: id))
        case .eventSub(let type, _):
            let id = Cursor(epoch: epoch, sequence: event.sequence).description
            return EventSubMessage.rest(event.body, of: type, page: page, id: id)
        case .overlay:
            return OverlayMessage.event(
                event, page: PageLabel(slug: page.slug, currency: page.currency), epoch: epoch)
        }
    }
}

/// Brings events of the log together with their pages, ready to be encoded.
public struct EventEncoder: Sendable {
    private let directory: Directory
    private let position: LogPosition
    private let publicURL: @Sendable () -> String

    public init(directory: Directory, position: LogPosition, publicURL: @escaping @Sendable () -> String) {
        self.directory = directory
        self.position = position
        self.publicURL = publicURL
    }

    /// Of the cursors that it writes.
    var epoch: String { position.epoch }

    /// Leaves out events of pages that have been deleted meanwhile: nobody may see them any more. A page that isn't known may
    /// also have been made by another node a moment ago, and is looked for; throws what the store does.
    public func encode(_ events: [Event]) async throws -> [EncodedEvent] {
        if let encoded = encodeIfKnown(events) { return encoded }
        try await directory.refresh()
        return encode(events, directory.view)
    }

    /// The same where all pages are known; else nil.
    func encodeIfKnown(_ events: [Event]) -> [EncodedEvent]? {
        let view = directory.view
        return events.allSatisfy { view.page($0.page) != nil } ? encode(events, view) : nil
    }

    private func encode(_ events: [Event], _ view: DirectoryView) -> [EncodedEvent] {
        let publicURL = publicURL()
        let epoch = epoch
        return events.compactMap { event in
            guard let page = view.page(event.page) else { return nil }
            return EncodedEvent(event, page: page, publicURL: publicURL, epoch: epoch)
        }
    }
}
