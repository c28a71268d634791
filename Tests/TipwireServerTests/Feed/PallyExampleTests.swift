import NIOCore
import Testing
import TipwireCore
import TipwireWire

@Suite("The published examples of the Pally feed")
struct PallyExampleTests {
    private func example(_ name: String) throws -> JSONValue { try ProtocolExample.json("pally-\(name)") }

    private func time(_ text: String) -> Timestamp { Timestamp(rfc3339: text)! }

    /// The source document's tip and page.
    private var someone: Tip {
        Tip(
            id: TipIdentifier("b1w2pjwjtb9fx0v1se9ex4n2")!, displayName: "Someone", message: "",
            grossAmountInCents: 500, processingFeeInCents: 0, isAnonymous: false,
            createdAt: time("2024-03-13T18:02:33.743Z"), processedAt: time("2024-03-13T18:02:33.743Z"))
    }

    private func page(_ id: String, _ slug: String, _ title: String, url: String?) -> Page {
        Page(
            id: Page.ID(rawValue: 1), publicID: id, slug: Slug(slug)!, title: title, customURL: url, currency: .usd,
            owner: Account.ID(rawValue: 1), members: [], createdAt: Timestamp(milliseconds: 0))
    }

    private var pally: Page {
        page("1627451579049x550722173620715500", "pally", "Pally.gg's Team Page", url: "https://pally.gg/p/pally")
    }

    private func encoded(_ body: EventBody, of page: Page, sequence: Int64 = 42) throws -> JSONValue {
        let event = Event(sequence: sequence, page: page.id, time: time("2026-03-13T18:02:33.743Z"), body: body)
        let frame = PallyNotification.frame(
            for: event, page: page, publicURL: "https://tips.example", epoch: "8f3a1c07")
        return try message(try #require(frame))
    }

    /// The JSON of one whole, unmasked text frame.
    private func message(_ frame: ByteBuffer) throws -> JSONValue {
        var frame = frame
        #expect(frame.readInteger(as: UInt8.self) == 0x81)
        let short = frame.readInteger(as: UInt8.self)
        let length = short == 126 ? frame.readInteger(as: UInt16.self).map(Int.init) : short.map(Int.init)
        #expect(length == frame.readableBytes)
        return try JSONValue.parse(frame)
    }

    @Test("The document's own tip is sent as the document has it, member by member, and a cursor behind")
    func document() throws {
        let example = try example("campaigntip-notify")
        let sent = try encoded(.tipReceived(someone, goal: nil), of: pally)
        #expect(sent.names == example.names + ["cursor"])
        #expect(sent["type"] == example["type"])
        // Equality of objects minds the order of their members.
        #expect(sent["payload"] == example["payload"])
        #expect(sent["cursor"] == .string("8f3a1c07-42"))
    }

    @Test("A replay is the same message: same id, same times")
    func replay() throws {
        #expect(try encoded(.tipReplayed(someone), of: pally) == encoded(.tipReceived(someone, goal: nil), of: pally))
    }

    @Test("The example with a cursor is what is sent, whole")
    func withCursor() throws {
        let tip = Tip(
            id: TipIdentifier("order-1042")!, displayName: "Ada", message: "Hello", grossAmountInCents: 500,
            processingFeeInCents: 33, isAnonymous: false, createdAt: time("2026-03-13T18:02:31Z"),
            processedAt: time("2026-03-13T18:02:33.743Z"))
        let demo = page("1773424800000x550722173620715500", "demo", "Demo page", url: nil)
        let sent = try encoded(.tipReceived(tip, goal: nil), of: demo)
        #expect(try sent == example("campaigntip-notify-with-cursor"))
    }

    @Test(
        "feed.resumed is sent as its examples are",
        arguments: [("resumed", .resumed, 41), ("gap", .gap, 17), ("reset", .reset, 57)]
            as [(String, Resumption.Status, Int64)])
    func resumed(name: String, status: Resumption.Status, start: Int64) throws {
        let sent = try message(
            PallyResumed.frame(Resumption(status: status, start: start), epoch: "8f3a1c07"))
        #expect(try sent == example("feed-resumed-\(name)"))
    }

    @Test("The example of an echo is answered with its payload's own text")
    func echo() throws {
        let text = try ProtocolExample.text("pally-echo")
        guard case .echo(let answer) = PallyClientMessage.parse(ByteBuffer(string: text)) else {
            Issue.record("the example is no echo")
            return
        }
        #expect(text.contains(String(buffer: answer)), "byte for byte as it was written")
        #expect(try JSONValue.parse(answer) == example("campaigntip-notify"))
    }
}
