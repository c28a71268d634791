import NIOCore
import TipwireCore
import TipwireWire

/// A tip as callers send it: JSON, and the rules for its members.
enum TipTarget {
    private static let now = Timestamp(milliseconds: 1_750_000_000_000)

    static func run(_ input: ByteBuffer) {
        guard let value = try? JSONValue.parse(input) else { return }
        _ = try? TipInput.batch(value, now: now)
        guard let draft = try? TipInput.draft(value, now: now) else { return }
        precondition(Limits.grossAmountInCents.contains(draft.grossAmountInCents), "an amount out of its range")
        precondition(draft.displayName.unicodeScalars.count <= Limits.displayNameScalars, "a name that is too long")
        precondition(draft.message.unicodeScalars.count <= Limits.messageScalars, "a message that is too long")
        // What is written of it can be read, and says the same.
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.member("displayName", draft.displayName)
        writer.member("message", draft.message)
        writer.endObject()
        guard case .object(let object)? = try? JSONValue.parse(writer.finish()) else {
            preconditionFailure("what was written can't be read")
        }
        // By bytes: two texts may be equal to Swift and not the same.
        let texts = object.members.map { member -> [UInt8] in
            if case .string(let text) = member.value { Array(text.utf8) } else { [] }
        }
        precondition(
            texts == [Array(draft.displayName.utf8), Array(draft.message.utf8)], "another text than was written")
    }
}
