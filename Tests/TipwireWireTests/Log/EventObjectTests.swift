import NIOCore
import Testing
import TipwireCore

@testable import TipwireWire

@Suite struct EventObjectTests {
    private static let page = PageLabel(slug: Slug("demo")!, currency: .usd)

    private static func tip(_ name: String, refundedAt: Timestamp? = nil) -> Tip {
        Tip(
            id: TipIdentifier("t1")!, displayName: name, message: "line\nline", grossAmountInCents: 500,
            processingFeeInCents: 20, isAnonymous: false, createdAt: Timestamp(milliseconds: 1),
            processedAt: Timestamp(milliseconds: 2), refundedAt: refundedAt)
    }

    /// An event after a tip that was written before it, and the event alone.
    private func written(_ body: EventBody, after tip: Tip) -> (after: String, alone: String) {
        let event = Event(sequence: 7, page: Page.ID(rawValue: 1), time: Timestamp(milliseconds: 3), body: body)
        var alone = JSONWriter(capacity: 16)
        EventObject.write(event, page: Self.page, epoch: "e", to: &alone)
        var both = JSONWriter(capacity: 16)
        both.beginArray()
        let first = TipObject.writeOnce(tip, page: Self.page, to: &both)
        EventObject.write(event, page: Self.page, epoch: "e", after: first, to: &both)
        both.endArray()
        var object = JSONWriter(capacity: 16)
        TipObject.write(tip, page: Self.page, to: &object)
        let prefix = "[" + String(buffer: object.finish()) + ","
        let text = String(buffer: both.finish())
        #expect(text.hasPrefix(prefix))
        return (String(text.dropFirst(prefix.count).dropLast()), String(buffer: alone.finish()))
    }

    @Test(arguments: [
        // The same; another name; the same letter in another spelling; the same tip, taken back since.
        tip("\u{E9}"), tip("Ada"), tip("e\u{301}"), tip("\u{E9}", refundedAt: Timestamp(milliseconds: 4)),
    ])
    func `an event is the same text whatever tip stands before it`(before: Tip) {
        let standing = GoalStanding(id: "g", progressInCents: 1, targetInCents: 2)
        for body in [EventBody.tipReceived(Self.tip("\u{E9}"), goal: standing), .tipReplayed(Self.tip("\u{E9}"))] {
            let (after, alone) = written(body, after: before)
            #expect(after.utf8.elementsEqual(alone.utf8), "\(after)")
        }
    }
}
