import Testing
import TipwireCore

@Suite("Resumption")
struct ResumptionTests {
    /// Events 1 to 40 are gone, 41 to 100 are there.
    private static let log = LogBounds(epoch: "abc", head: 100, prunedThrough: 40)

    @Test(
        "A position is resumed, has a gap, or means nothing",
        arguments: [
            ("abc-100", Resumption.Status.resumed, 100),
            ("abc-99", .resumed, 99),
            ("abc-41", .resumed, 41),
            // The last one pruned was seen: nothing is missing.
            ("abc-40", .resumed, 40),
            ("abc-39", .gap, 40),
            ("abc-1", .gap, 40),
            ("abc-0", .gap, 40),
            ("abc-101", .reset, 100),
            ("abc-9223372036854775807", .reset, 100),
            ("abd-50", .reset, 100),
            ("ABC-50", .reset, 100),
            ("abcd-50", .reset, 100),
            ("abc-x", .reset, 100),
            ("abc--50", .reset, 100),
            ("50", .reset, 100),
            ("nonsense", .reset, 100),
            ("", .reset, 100),
        ])
    func table(position: String, status: Resumption.Status, start: Int64) {
        #expect(Resumption(position: position, log: Self.log) == Resumption(status: status, start: start))
    }

    @Test("In a new log, its own beginning is resumed and everything else is a reset")
    func emptyLog() {
        let log = LogBounds(epoch: "abc", head: 0, prunedThrough: 0)
        #expect(Resumption(position: "abc-0", log: log) == Resumption(status: .resumed, start: 0))
        #expect(Resumption(position: "abc-1", log: log) == Resumption(status: .reset, start: 0))
    }

    @Test("A log that retention has emptied resumes only at its head")
    func prunedWhole() {
        let log = LogBounds(epoch: "abc", head: 100, prunedThrough: 100)
        #expect(Resumption(position: "abc-100", log: log) == Resumption(status: .resumed, start: 100))
        #expect(Resumption(position: "abc-99", log: log) == Resumption(status: .gap, start: 100))
    }

    @Test("The words on the wire are these")
    func words() {
        #expect([Resumption.Status.resumed, .gap, .reset].map(\.rawValue) == ["resumed", "gap", "reset"])
    }
}
