import NIOCore
import TipwireCore

/// An event's `data`: the JSON that the log stores and `GET …/events` shows.
///
/// One form for both, so that what an operator reads in the database is what a client reads from the API.
public enum EventData {
    public static func encode(_ body: EventBody, page: PageLabel) -> ByteBuffer {
        var writer = JSONWriter(capacity: 512)
        write(body, page: page, to: &writer)
        return writer.finish()
    }

    static func write(_ body: EventBody, page: PageLabel, to writer: inout JSONWriter) {
        writer.beginObject()
        switch body {
        case .tipReceived(let tip, let standing):
            TipObject.writeMembers(of: tip, page: page, to: &writer)
            GoalEventMembers.write(standing, to: &writer)
        case .tipReplayed(let tip), .tipRefunded(let tip):
            TipObject.writeMembers(of: tip, page: page, to: &writer)
        case .goalCompleted(let completion):
            GoalEventMembers.write(completion, to: &writer)
        case .goalsChained(let chain):
            GoalEventMembers.write(chain, to: &writer)
        case .goalQueueChanged(let status, let change):
            GoalEventMembers.write(status, to: &writer)
            writer.key("change")
            GoalChangeObject.write(change, to: &writer)
        }
        writer.endObject()
    }

    /// Reads what `encode` wrote. Throws `EventDataError` for anything else: the log is damaged, or newer than this
    /// program.
    public static func decode(kind: String, data: ByteBuffer) throws -> EventBody {
        guard let kind = EventKind(rawValue: kind) else { throw EventDataError(kind: kind, problem: "unknown type") }
        guard case .object(let members) = try? JSONValue.parse(data) else {
            throw EventDataError(kind: kind.rawValue, problem: "not a JSON object")
        }
        let reader = StoredMembers(kind: kind, members: members)
        switch kind {
        case .tipReceived: return .tipReceived(try reader.tip(), goal: try reader.standing())
        case .tipReplayed: return .tipReplayed(try reader.tip())
        case .tipRefunded: return .tipRefunded(try reader.tip())
        case .goalCompleted: return .goalCompleted(try reader.completion())
        case .goalsChained: return .goalsChained(try reader.chain())
        case .goalQueueChanged:
            return .goalQueueChanged(
                try reader.status(), try GoalChangeObject.read(try reader.object("change")))
        }
    }
}

/// The log holds an entry that this program can't read.
public struct EventDataError: Error, CustomStringConvertible {
    let kind: String
    let problem: String

    public var description: String { "the log holds an event '\(kind)' that can't be read: \(problem)" }
}
