import Testing
import TipwireCore

@Suite("TextRules")
struct TextRulesTests {
    @Test("Length is counted in Unicode scalars, not in what the eye sees as one")
    func scalars() {
        // A family of three is five scalars, an accented letter two.
        #expect(TextRules.problem(in: "👩‍👩‍👧", scalars: 5, newlines: false) == nil)
        #expect(TextRules.problem(in: "👩‍👩‍👧", scalars: 4, newlines: false) == "must be at most 4 characters long")
        #expect(TextRules.problem(in: "e\u{301}", scalars: 2, newlines: false) == nil)
        #expect(TextRules.problem(in: "e\u{301}", scalars: 1, newlines: false) != nil)
        #expect(TextRules.problem(in: "", scalars: 0, newlines: false) == nil)
    }

    @Test("Every control character is refused, but newline where lines are allowed")
    func control() {
        for value in Array(UInt32(0)...0x1F) + Array(0x7F...0x9F) {
            let text = "a" + String(Unicode.Scalar(value)!)
            #expect(TextRules.problem(in: text, scalars: 9, newlines: false) == "must not contain control characters")
            let withLines = TextRules.problem(in: text, scalars: 9, newlines: true)
            #expect(withLines == (value == 10 ? nil : "must not contain control characters other than newline"))
        }
        #expect(TextRules.problem(in: "a \u{A0}\u{2028}<>&\"\u{1F600}", scalars: 9, newlines: false) == nil)
    }

    @Test(
        "Text of white space alone is blank",
        arguments: [
            ("", true), (" ", true), ("\n\t", true), ("\u{3000}\u{2003}\u{A0}", true), ("a", false), (" a ", false),
            (".", false),
        ])
    func blank(text: String, isBlank: Bool) {
        #expect(TextRules.isBlank(text) == isBlank)
    }

    @Test(
        "A page's URL is http or https with a host",
        arguments: [
            "https://a", "http://a", "HTTPS://Example.com/", "https://example.com:8443/p?x=1&y=%C3%A9#f",
            "https://[::1]/", "https://a?x", "https://a/" + String(repeating: "x", count: 1_990),
        ])
    func url(text: String) {
        #expect(TextRules.problem(inURL: text) == nil)
    }

    @Test(
        "Any other URL is refused with the reason",
        arguments: [
            ("", "must start with"), ("example.com", "must start with"), ("ftp://a", "must start with"),
            ("javascript:alert(1)", "must start with"), ("//a", "must start with"), ("https:/a", "must start with"),
            ("https://", "must name a host"), ("https:///x", "must name a host"), ("http://?x", "must name a host"),
            ("http://#x", "must name a host"), ("https://a b", "must be printable"), ("https://é", "must be printable"),
            ("https://a/\"x", "must be printable"), ("https://a/<x", "must be printable"),
            ("https://a/\n", "must be printable"), ("https://a/\u{7F}", "must be printable"),
            ("https://a/" + String(repeating: "x", count: 1_991), "must be at most 2000 characters"),
        ])
    func badURL(text: String, problem: String) {
        #expect(TextRules.problem(inURL: text)?.hasPrefix(problem) == true)
    }
}
