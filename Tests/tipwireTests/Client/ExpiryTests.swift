import Testing
import TipwireCore

@testable import tipwire

@Suite struct ExpiryTests {
    private static let now = Timestamp(rfc3339: "2026-07-01T00:00:00Z")!

    @Test(
        "Spans count from now, times are taken as they are",
        arguments: [
            ("90s", "2026-07-01T00:01:30.000Z"), ("15m", "2026-07-01T00:15:00.000Z"),
            ("12h", "2026-07-01T12:00:00.000Z"), ("30d", "2026-07-31T00:00:00.000Z"),
            ("36525d", "2126-07-02T00:00:00.000Z"), ("2030-01-31T12:00:00+02:00", "2030-01-31T10:00:00.000Z"),
        ])
    func read(_ text: String, _ expected: String) {
        #expect(Expiry.time(text, now: Self.now)?.description == expected)
    }

    @Test(
        "Everything else is refused",
        arguments: [
            "", "30", "d", "0d", "-1d", "+1d", "1.5h", "36526d", "99999999999d", "1w", "30 d", "2030-01-31", "٣d",
        ])
    func refused(_ text: String) {
        #expect(Expiry.time(text, now: Self.now) == nil)
    }
}
