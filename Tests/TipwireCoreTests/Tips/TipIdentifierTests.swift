import Testing
import TipwireCore

@Suite("TipIdentifier")
struct TipIdentifierTests {
    @Test(
        "Letters, digits, underscore, dot, colon and hyphen make an identifier, its case kept",
        arguments: ["a", "Z", "0", "_", ".", ":", "-", "Tip:2024-03_13.aZ09", String(repeating: "x", count: 64)])
    func accepts(text: String) {
        #expect(TipIdentifier(text)?.text == text)
    }

    @Test(
        "Anything else is refused",
        arguments: [
            "", " ", "a b", "a/b", "a+b", "a\n", "é", "ａ", "a\u{301}", "\u{212A}", "@", "[", "`", "{", ",", ";",
            String(repeating: "x", count: 65),
        ])
    func refuses(text: String) {
        #expect(TipIdentifier(text) == nil)
    }

    @Test("Identifiers differ by case, and new ones always")
    func equality() {
        #expect(TipIdentifier("a") != TipIdentifier("A"))
        #expect(Set((0..<100).map { _ in TipIdentifier.new(at: noon) }).count == 100)
    }
}
