import Foundation

/// One text message of an EventSub socket, as far as `listen` reads it.
enum EventSubMessage: Equatable {
    /// The answer to our `PING`.
    case pong
    /// Why the connection will be closed. The close frame behind it says the same.
    case disconnect
    /// - Parameter id: Of the event; the same however often the message comes.
    case event(EventSubEvent, id: String?)
    /// A type that this version has no words for.
    case other(type: String, id: String?)
    /// Not a JSON object with a type.
    case unreadable

    init(_ text: String) {
        if text == "PONG" {
            self = .pong
            return
        }
        let json = Data(text.utf8)
        guard let envelope = Self.read(Envelope.self, json) else {
            self = .unreadable
            return
        }
        guard envelope.type == "message" else {
            self = envelope.type == "disconnect" ? .disconnect : .other(type: envelope.type, id: envelope.id)
            return
        }
        let type = envelope.subscription?.type ?? envelope.type
        self =
            Self.subject(of: type, json).map { .event(EventSubEvent(subject: $0), id: envelope.id) }
            ?? .other(type: type, id: envelope.id)
    }

    private static func subject(of type: String, _ json: Data) -> EventSubEvent.Subject? {
        switch type {
        case "alerts.notifications":
            // Of other kinds than tips, which a later version may tell of, nothing is known.
            read(Message<EventSubEvent.Alert>.self, json).flatMap { $0.data.kind == "donation" ? .alert($0.data) : nil }
        case "goals.completed": read(Message<HookEvent.Completion>.self, json).map { .goals(.completion($0.data)) }
        case "goals.chain": read(Message<HookEvent.Chain>.self, json).map { .goals(.chain($0.data)) }
        case "goals.queue": read(Message<HookEvent.Queue>.self, json).map { .goals(.queue($0.data)) }
        case "goals.progress": read(Message<EventSubEvent.Progress>.self, json).map { .progress($0.data) }
        default: nil
        }
    }

    private struct Envelope: Decodable {
        struct Subscription: Decodable { let type: String }

        let type: String
        let id: String?
        let subscription: Subscription?

        private enum Member: CodingKey { case type, id, subscription }

        /// Only the type must be there: a message of a later version may have members of any other shape.
        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Member.self)
            type = try container.decode(String.self, forKey: .type)
            id = try? container.decodeIfPresent(String.self, forKey: .id)
            subscription = try? container.decodeIfPresent(Subscription.self, forKey: .subscription)
        }
    }

    private struct Message<Body: Decodable>: Decodable {
        let data: Body
    }

    /// The names are those of the Event Hook in snake case, so its types read these bodies too.
    private static func read<Value: Decodable>(_ type: Value.Type, _ json: Data) -> Value? {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try? decoder.decode(type, from: json)
    }
}

extension EventSubMessage: SocketMessage {
    static let ping = "PING"
    static let pingsAtOnce = true

    var isPong: Bool { self == .pong }
    /// A pong too: see `pingsAtOnce`.
    var isShown: Bool { self != .unreadable }
}
