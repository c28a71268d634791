import Testing

@testable import tipwire

@Suite struct VisibleTextTests {
    @Test(
        "Whatever could control a terminal is spelled out",
        arguments: [
            ("Ada", "Ada"),
            ("a\u{1B}[2Jb", "a\\u{1b}[2Jb"),
            ("\u{9B}31m", "\\u{9b}31m"),
            ("bell\u{7}\u{7F}\u{0}", "bell\\u{7}\\u{7f}\\u{0}"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("$1\u{202E}00.5$", "$1\\u{202e}00.5$"),
            ("x\u{2066}y\u{2028}z", "x\\u{2066}y\\u{2028}z"),
            ("e\u{301} 日本 👩‍👩‍👧", "e\u{301} 日本 👩‍👩‍👧"),
        ])
    func spelledOut(_ untrusted: String, _ visible: String) {
        #expect(VisibleText(untrusted).description == visible)
    }

    @Test("No control character of the first 256 survives")
    func noneSurvives() {
        for value in UInt32(0)..<256 {
            let scalar = Unicode.Scalar(value)!
            let visible = VisibleText(String(Character(scalar))).description
            #expect(!visible.unicodeScalars.contains { $0.properties.generalCategory == .control })
        }
    }

    @Test(
        "Columns are those of a terminal",
        arguments: [("", 0), ("abc", 3), ("e\u{301}", 1), ("日本", 4), ("👩‍👩‍👧", 2), ("ｆｕｌｌ", 8), ("한", 2), ("❤️", 2)])
    func columns(_ text: String, _ columns: Int) {
        #expect(VisibleText(text).columns == columns)
    }

    @Test(
        "Clipping keeps to the columns and never halves a character",
        arguments: [("abcdef", 6, "abcdef"), ("abcdef", 5, "abcd…"), ("日本語", 4, "日…"), ("日本語", 5, "日本…")])
    func clipped(_ text: String, _ limit: Int, _ expected: String) {
        let clipped = VisibleText(text).clipped(to: limit)
        #expect(clipped.description == expected)
        #expect(clipped.columns <= limit)
    }

    @Test("JSON keeps its value and loses what a terminal would obey")
    func harmlessJSON() {
        #expect(VisibleText.harmlessJSON("{\"a\": \"\u{9B}2J\u{7F}é\"}\n") == "{\"a\": \"\\u009b2J\\u007fé\"}\n")
    }
}
