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
        switch body {
        case .tipReceived(let tip, let goal):
            writer.beginObject()
            TipObject.writeMembers(of: tip, page: page, to: &writer)
            writer.member("goalId", goal?.id)
            writer.key("goalProgress")
            if let goal { writer.value(goal.progressInCents) } else { writer.null() }
            writer.key("goalTarget")
            if let goal { writer.value(goal.targetInCents) } else { writer.null() }
            writer.endObject()
        case .tipReplayed(let tip):
            TipObject.write(tip, page: page, to: &writer)
        }
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
        case .tipReceived: return .tipReceived(try reader.tip(), goal: try reader.goal())
        case .tipReplayed: return .tipReplayed(try reader.tip())
        }
    }
}

/// The log holds an entry that this program can't read.
public struct EventDataError: Error, CustomStringConvertible {
    let kind: String
    let problem: String

    public var description: String { "the log holds an event '\(kind)' that can't be read: \(problem)" }
}

/// Members of one stored event, each of the type that was written or an error that names it.
private struct StoredMembers {
    let kind: EventKind
    let members: JSONObject

    func tip() throws -> Tip {
        guard let id = TipIdentifier(try string("id")) else { throw damaged("id") }
        return Tip(
            id: id, displayName: try string("displayName"), message: try string("message"),
            grossAmountInCents: try integer("grossAmountInCents"),
            processingFeeInCents: try integer("processingFeeInCents"), isAnonymous: try bool("isAnonymous"),
            createdAt: try time("createdAt"), processedAt: try time("processedAt"),
            refundedAt: members["refundedAt"] == .null ? nil : try time("refundedAt"))
    }

    func goal() throws -> GoalStanding? {
        guard case .string(let id)? = members["goalId"] else { return nil }
        return GoalStanding(
            id: id, progressInCents: try integer("goalProgress"), targetInCents: try integer("goalTarget"))
    }

    private func string(_ name: String) throws -> String {
        guard case .string(let text)? = members[name] else { throw damaged(name) }
        return text
    }

    private func integer(_ name: String) throws -> Int {
        guard case .number(let number)? = members[name], let value = number.integer else { throw damaged(name) }
        return value
    }

    private func bool(_ name: String) throws -> Bool {
        guard case .bool(let value)? = members[name] else { throw damaged(name) }
        return value
    }

    private func time(_ name: String) throws -> Timestamp {
        guard let time = Timestamp(rfc3339: try string(name)) else { throw damaged(name) }
        return time
    }

    private func damaged(_ name: String) -> EventDataError {
        EventDataError(kind: kind.rawValue, problem: "member '\(name)' is missing or of another type")
    }
}
