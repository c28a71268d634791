import NIOCore
import TipwireCore

/// The messages of the Event Hook: `connected`, then one for each event that this dialect tells of.
public enum EventHookMessage {
    /// The message as JSON, or nil for an event that the Event Hook leaves out: replays and refunds.
    public static func json(for body: EventBody) -> ByteBuffer? {
        switch body {
        case .tipReceived(let tip, let standing):
            return message("tip:received") { writer in
                writer.member("tipId", tip.id.text)
                writer.member("amount", tip.grossAmountInCents)
                writer.member("displayName", tip.isAnonymous ? anonymousName : tip.displayName)
                writer.member("message", tip.message.isEmpty ? nil : tip.message)
                writer.member("isAnonymous", tip.isAnonymous)
                GoalEventMembers.write(standing, to: &writer)
                writer.member("timestamp", tip.processedAt)
            }
        case .goalCompleted(let completion):
            return message("tip:goal-completed") { GoalEventMembers.write(completion, to: &$0) }
        case .goalsChained(let chain):
            return message("tip:overflow-chain") { GoalEventMembers.write(chain, to: &$0) }
        case .goalQueueChanged(let status, _):
            return message("tip:queue-updated") { GoalEventMembers.write(status, to: &$0) }
        case .tipReplayed, .tipRefunded:
            return nil
        }
    }

    /// What the feed calls those who hid their name.
    static let anonymousName = "Anonymous"

    /// The first message of every stream.
    public static let connected = message("connected") { _ in }

    /// The second message of a stream that was opened with a position.
    public static func resumed(_ status: Resumption.Status) -> ByteBuffer {
        message("resumed") { $0.member("status", status.rawValue) }
    }

    private static func message(_ type: String, _ members: (inout JSONWriter) -> Void) -> ByteBuffer {
        var writer = JSONWriter(capacity: 384)
        writer.beginObject()
        writer.member("type", type)
        members(&writer)
        writer.endObject()
        return writer.finish()
    }
}
