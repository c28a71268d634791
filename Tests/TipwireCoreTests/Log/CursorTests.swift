import Testing
import TipwireCore

@Suite("Cursor")
struct CursorTests {
    @Test(
        "A cursor is an epoch and a sequence, written and read",
        arguments: [
            ("0f3a9c11-42", "0f3a9c11", 42), ("0f3a9c11-0", "0f3a9c11", 0), ("a-b-7", "a-b", 7),
            ("e-9223372036854775807", "e", Int64.max),
        ])
    func reads(text: String, epoch: String, sequence: Int64) {
        let cursor = Cursor(epoch: epoch, sequence: sequence)
        #expect(Cursor(text) == cursor)
        #expect(cursor.description == text)
    }

    @Test(
        "Nonsense is no cursor",
        arguments: [
            "", "-", "42", "0f3a9c11", "0f3a9c11-", "-42", "0f3a9c11-x", "0f3a9c11-4 2", "0f3a9c11-42 ", "0f3a9c11-+4",
            "0f3a9c11-4.2", "0f3a9c11-٤", "0f3a9c11–42", "e-9223372036854775808", "e-99999999999999999999",
            "0f3a9c11-42\n", "now", "null", String(repeating: "e", count: 63) + "-1",
        ])
    func refuses(text: String) {
        #expect(Cursor(text) == nil)
    }

    @Test("A text of 64 bytes is still looked at")
    func longest() {
        #expect(Cursor(String(repeating: "e", count: 62) + "-1")?.sequence == 1)
    }
}
