import Testing

@testable import tipwire

@Suite struct FeedMessageTests {
    private static let notify = """
        {"type":"campaigntip.notify","payload":{"campaignTip":{"createdAt":"2026-07-01T15:00:00.000Z",\
        "displayName":"Ada","grossAmountInCents":500,"id":"t1","message":"hello","netAmountInCents":450,\
        "processingFeeInCents":50,"updatedAt":"2026-07-01T15:04:05.123Z"},"page":{"id":"1x2","slug":"demo",\
        "title":"Demo","url":"http://h/p/demo"}},"cursor":"3f9a1c2e-42","later":{"more":1}}
        """

    @Test("A tip is read with its cursor, whatever else the message has")
    func tip() throws {
        guard case .tip(let tip, let cursor) = FeedMessage(Self.notify) else {
            Issue.record("not a tip")
            return
        }
        #expect(cursor == "3f9a1c2e-42")
        #expect(
            tip.line(on: ListenedPage(slug: tip.pageSlug, currency: "USD")) == #"15:04:05Z  demo  Ada  $5.00  "hello""#)
        #expect(
            tip.line(on: ListenedPage(slug: tip.pageSlug, currency: nil))
                == #"15:04:05Z  demo  Ada  500 cents  "hello""#)
    }

    @Test("An anonymous tip without a message ends with the amount, and text can't control the terminal")
    func lines() {
        let plain = FeedTip(
            tip: .init(displayName: "", grossAmountInCents: 700, message: "", updatedAt: "2026-07-01T15:04:05.123Z"),
            page: .init(slug: "yen"))
        #expect(
            plain.line(on: ListenedPage(slug: plain.pageSlug, currency: "JPY")) == "15:04:05Z  yen  Anonymous  700 JPY")
        let nasty = FeedTip(
            tip: .init(displayName: "\u{1B}[2J", grossAmountInCents: 1, message: "a\nb", updatedAt: "\u{7}"),
            page: .init(slug: "x\u{9B}"))
        #expect(
            nasty.line(on: ListenedPage(slug: nasty.pageSlug, currency: "USD"))
                == #"\u{7}  x\u{9b}  \u{1b}[2J  $0.01  "a\nb""#)
    }

    @Test(
        "Every other frame is what it is",
        arguments: [
            ("pong", FeedMessage.pong),
            (
                #"{"type":"feed.resumed","payload":{"status":"gap","cursor":"e-1"}}"#,
                .resumed(status: "gap", cursor: "e-1")
            ),
            (#"{"type":"campaigntip.notify","payload":5}"#, .other(type: "campaigntip.notify", cursor: nil)),
            (#"{"type":"x","cursor":5}"#, .other(type: "x", cursor: nil)),
            ("{}", .unreadable), ("", .unreadable), ("\"pong\"", .unreadable),
        ])
    func others(_ text: String, _ message: FeedMessage) {
        #expect(FeedMessage(text) == message)
    }
}
