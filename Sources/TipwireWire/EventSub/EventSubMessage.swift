import NIOCore
import TipwireCore

/// The messages of EventSub, as sockets and webhooks get them.
///
/// `{"type":"message","subscription":{…},"data":{…},"id":"…"}`. The beginning, up to the body, belongs to the subscription
/// and is made once when it is; the rest belongs to the event and is made once for all subscriptions of its type.
public enum EventSubMessage {
    /// What every message of a subscription begins with.
    public static func beginning(_ subscription: EventSubscription, transport: EventSubTransport) -> ByteBuffer {
        var writer = JSONWriter(capacity: 320)
        EventSubObject.write(subscription, transport: transport, to: &writer)
        var bytes = ByteBuffer()
        bytes.writeStaticString("{\"type\":\"message\",\"subscription\":")
        bytes.writeImmutableBuffer(writer.finish())
        bytes.writeStaticString(",\"data\":")
        return bytes
    }

    /// What follows it for an event, nil for an event that the type doesn't tell of.
    ///
    /// - Parameters:
    ///   - id: one for each event of the log; the same on every transport and every attempt.
    ///   - isTest: whether nothing of it has happened, and whoever keeps accounts should leave it out.
    public static func rest(
        _ event: EventBody, of type: EventSubType, page: Page, id: String, isTest: Bool = false
    ) -> ByteBuffer? {
        guard var bytes = EventSubDefinition.of(type).body(of: event, page: page) else { return nil }
        bytes.writeString(",\"id\":\"\(id)\"\(isTest ? ",\"test\":true" : "")}")
        return bytes
    }

    /// Why a socket is closed, told before it is.
    public static func disconnect(_ message: String) -> ByteBuffer {
        var writer = JSONWriter(capacity: 128)
        writer.beginObject()
        writer.member("type", "disconnect")
        writer.key("data")
        writer.beginObject()
        writer.member("msg", message)
        writer.endObject()
        writer.endObject()
        return writer.finish()
    }

    /// Whether a client's text asks for a sign of life: `PING`, in any case, white space around it allowed.
    public static func isPing(_ text: ByteBuffer) -> Bool {
        PallyClientMessage.isPing(text)
    }
}

/// How a subscription is delivered, as far as its messages show it.
public enum EventSubTransport: Hashable, Sendable {
    case webSocket
    case webhook(callback: String)
}

/// A subscription as `create` answers it, and as each of its messages repeats it.
public enum EventSubObject {
    /// Seconds that a socket has to connect, after its subscription was made or its last connection ended.
    public static let windowSeconds = 120

    public static func write(
        _ subscription: EventSubscription, transport: EventSubTransport, secret: String? = nil,
        to writer: inout JSONWriter, more: (inout JSONWriter) -> Void = { _ in }
    ) {
        writer.beginObject()
        writer.member("connection_id", subscription.id)
        if transport == .webSocket { writer.member("you_can_connect_within", windowSeconds) }
        writer.key("transport")
        writer.beginObject()
        switch transport {
        case .webSocket: writer.member("method", "websocket")
        case .webhook(let callback):
            writer.member("method", "webhook")
            writer.member("callback", callback)
            if let secret { writer.member("secret", secret) }
        }
        writer.endObject()
        writer.key("condition")
        if let condition = subscription.condition {
            writer.beginObject()
            writer.member("minimum_amount", condition.minimumAmount)
            writer.endObject()
        } else {
            writer.null()
        }
        writer.member("type", subscription.type.rawValue)
        writer.member("version", EventSubType.version)
        writer.member("created_at", subscription.createdAt.unixSeconds)
        more(&writer)
        writer.endObject()
    }
}
