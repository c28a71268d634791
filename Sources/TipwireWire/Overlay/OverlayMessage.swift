import NIOCore
import TipwireCore

/// What the server says to an overlay: JSON texts in frames, each with a `type`. Everything that is a state is whole: an overlay
/// that has missed a hundred messages is level with the next.
public enum OverlayMessage {
    /// The first message of every connection.
    public struct State: Sendable {
        public var version: String
        /// Changes with the overlays' own files: a document that was loaded with another one loads itself again.
        public var build: String
        public var page: PageLabel
        public var title: String
        public var goals: [ListedGoal]
        public var recent: [Tip]
        public var alerts: AlertSwitches
        /// Where the log ended when goals and tips were read.
        public var cursor: Cursor

        public init(
            version: String, build: String, page: PageLabel, title: String, goals: [ListedGoal], recent: [Tip],
            alerts: AlertSwitches, cursor: Cursor
        ) {
            self.version = version
            self.build = build
            self.page = page
            self.title = title
            self.goals = goals
            self.recent = recent
            self.alerts = alerts
            self.cursor = cursor
        }
    }

    public static func state(_ state: State) -> ByteBuffer {
        frame("overlay.state", capacity: 1_024 + 512 * state.recent.count + 128 * state.goals.count) { writer in
            writer.member("version", state.version)
            writer.member("build", state.build)
            writer.member("cursor", state.cursor)
            writer.key("page")
            writer.beginObject()
            writer.member("slug", state.page.slug.text)
            writer.member("title", state.title)
            writer.member("currency", state.page.currency.code)
            writer.endObject()
            writer.key("goals")
            writer.beginArray()
            for goal in state.goals { GoalObject.write(goal, to: &writer) }
            writer.endArray()
            writer.key("recent")
            writer.beginArray()
            for tip in state.recent { TipObject.write(tip, page: state.page, to: &writer) }
            writer.endArray()
            writer.key("alerts")
            write(state.alerts, to: &writer)
        }
    }

    /// Where the events that follow go on from; for who came with a position.
    public static func resumed(_ resumption: Resumption, epoch: String) -> ByteBuffer {
        frame("overlay.resumed") { writer in
            writer.member("status", resumption.status.rawValue)
            writer.member("cursor", Cursor(epoch: epoch, sequence: resumption.start))
        }
    }

    /// An event of the log, as the API gives it.
    public static func event(_ event: Event, page: PageLabel, epoch: String) -> ByteBuffer {
        var writer = JSONWriter(capacity: 640)
        EventObject.write(event, page: page, epoch: epoch, to: &writer)
        return WebSocketFrame.text(writer.finish())
    }

    /// An alert that is in no log. The text alone, which other servers may have to say too.
    public static func test(_ tip: Tip, page: PageLabel) -> ByteBuffer {
        text("overlay.test") { writer in
            writer.member("id", tip.id.text)
            writer.key("tip")
            TipObject.write(tip, page: page, to: &writer)
        }
    }

    /// A tip that this screen has missed, once more. The text alone, as of a test.
    public static func again(_ tip: Tip, cursor: Cursor, page: PageLabel) -> ByteBuffer {
        text("overlay.again") { writer in
            writer.member("cursor", cursor)
            writer.key("tip")
            TipObject.write(tip, page: page, to: &writer)
        }
    }

    public static func alerts(_ switches: AlertSwitches) -> ByteBuffer {
        frame("overlay.alerts") { writer in
            writer.member("paused", switches.isPaused)
            writer.member("muted", switches.isMuted)
        }
    }

    public static func lease(_ lease: AlertLease, cursor: String) -> ByteBuffer {
        frame("overlay.lease") { writer in
            writer.member("cursor", cursor)
            writer.member("state", lease.rawValue)
        }
    }

    public static let pong = WebSocketFrame.text(ByteBuffer(string: "pong"))

    /// `{"paused":…,"muted":…}`.
    public static func write(_ switches: AlertSwitches, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("paused", switches.isPaused)
        writer.member("muted", switches.isMuted)
        writer.endObject()
    }

    private static func frame(
        _ type: String, capacity: Int = 256, _ write: (inout JSONWriter) -> Void
    ) -> ByteBuffer {
        WebSocketFrame.text(text(type, capacity: capacity, write))
    }

    private static func text(
        _ type: String, capacity: Int = 256, _ write: (inout JSONWriter) -> Void
    ) -> ByteBuffer {
        var writer = JSONWriter(capacity: capacity)
        writer.beginObject()
        writer.member("type", type)
        write(&writer)
        writer.endObject()
        return writer.finish()
    }
}

/// What an overlay says.
public enum OverlayClientMessage: Equatable, Sendable {
    case ping
    /// The alert of a tip has arrived.
    case received(tip: TipIdentifier, Cursor)
    /// It is on the screen.
    case shown(tip: TipIdentifier, Cursor)
    /// May this screen show the alert of an event?
    case claim(Cursor)
    /// Nothing that is known here. It is let pass: an overlay may be newer than its server.
    case other

    public static func parse(_ text: ByteBuffer) -> OverlayClientMessage {
        if text.readableBytesView.elementsEqual("ping".utf8) { return .ping }
        guard case .object(let object)? = try? JSONValue.parse(text), case .string(let type)? = object["type"],
            case .string(let position)? = object["cursor"], let cursor = Cursor(position)
        else { return .other }
        if type == "claim" { return .claim(cursor) }
        guard case .string(let id)? = object["tip"], let tip = TipIdentifier(id) else { return .other }
        switch type {
        case "received": return .received(tip: tip, cursor)
        case "shown": return .shown(tip: tip, cursor)
        default: return .other
        }
    }
}
