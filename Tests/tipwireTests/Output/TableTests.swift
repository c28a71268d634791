import Testing

@testable import tipwire

@Suite struct TableTests {
    @Test("Columns are aligned, numbers to the right, and no line ends with a space")
    func aligned() {
        var table = Table([.init(title: "NAME"), .init(title: "AMOUNT", alignedRight: true), .init(title: "MESSAGE")])
        table.add([VisibleText("Ada"), VisibleText("$5.00"), VisibleText("hello")])
        table.add([VisibleText("日本語"), VisibleText("$1000.00"), VisibleText("")])
        #expect(
            table.text == """
                NAME      AMOUNT  MESSAGE
                Ada        $5.00  hello
                日本語  $1000.00

                """)
    }

    @Test("A cell over its column's limit is cut, so that one message can't move every other")
    func cut() {
        var table = Table([.init(title: "M", limit: 4), .init(title: "ID")])
        table.add([VisibleText("abcdefgh"), VisibleText("x")])
        #expect(table.text == "M     ID\nabc…  x\n")
    }

    @Test("Properties are aligned at their values")
    func properties() {
        let text = Table.properties([("slug", VisibleText("demo")), ("currency", VisibleText("USD"))])
        #expect(text == "slug      demo\ncurrency  USD\n")
    }

    private static func tip(_ id: String, message: String, refundedAt: String? = nil) -> TipObject {
        TipObject(
            id: id, page: "demo", displayName: "", message: message, grossAmountInCents: 500, currency: "USD",
            processedAt: "2026-07-01T15:04:05.123Z", refundedAt: refundedAt)
    }

    @Test("The table of tips shows strangers' text harmlessly")
    func tips() {
        #expect(
            TipsCommand.table([Self.tip("t1", message: "a\n\u{1B}]0;x\u{7}")]) == """
                TIME                  NAME       AMOUNT  REFUNDED  MESSAGE             ID
                2026-07-01 15:04:05Z  Anonymous   $5.00            a\\n\\u{1b}]0;x\\u{7}  t1

                """)
    }

    @Test("A refunded tip says when")
    func refundedTips() {
        let tips = [
            Self.tip("t2", message: "hi"), Self.tip("t1", message: "hello", refundedAt: "2026-07-02T09:00:00.000Z"),
        ]
        #expect(
            TipsCommand.table(tips) == """
                TIME                  NAME       AMOUNT  REFUNDED              MESSAGE  ID
                2026-07-01 15:04:05Z  Anonymous   $5.00                        hi       t2
                2026-07-01 15:04:05Z  Anonymous   $5.00  2026-07-02 09:00:00Z  hello    t1

                """)
    }
}
