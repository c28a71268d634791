import Testing
import TipwireCore

@Suite("Tip")
struct TipTests {
    private static let said = TipFields(
        id: "t1", displayName: "Jamie", grossAmountInCents: 500, processingFeeInCents: 44, message: "hi",
        isAnonymous: false, createdAt: noon)
    private static let committed = noon.advanced(milliseconds: 7)

    private func tip(_ fields: TipFields = said) throws -> Tip {
        Tip(try draft(fields), id: TipIdentifier("t1")!, committedAt: Self.committed)
    }

    @Test("A tip is its draft with an id and the time of its commit")
    func fromDraft() throws {
        let tip = try tip()
        #expect(tip.id.text == "t1")
        #expect(tip.displayName == "Jamie")
        #expect(tip.message == "hi")
        #expect(tip.grossAmountInCents == 500)
        #expect(tip.netAmountInCents == 456)
        #expect(!tip.isAnonymous)
        #expect(tip.createdAt == noon)
        #expect(tip.processedAt == Self.committed)
        #expect(tip.refundedAt == nil)
    }

    @Test("Without a time of its own, a tip was made when it was committed")
    func withoutTime() throws {
        var fields = Self.said
        fields.createdAt = nil
        #expect(try tip(fields).createdAt == Self.committed)
    }

    @Test("The same call once more repeats the tip; so does one that leaves the id to the server")
    func repeats() throws {
        #expect(try tip().isRepeated(by: draft(Self.said), statedCreatedAt: noon))
        var withoutID = Self.said
        withoutID.id = nil
        #expect(try tip().isRepeated(by: draft(withoutID), statedCreatedAt: noon))
    }

    @Test("A call without a time repeats a tip that had none, whatever the clock says")
    func repeatsWithoutTime() throws {
        var fields = Self.said
        fields.createdAt = nil
        let later = try TipDraft(validating: fields, now: noon.advanced(milliseconds: 60_000))
        #expect(try tip(fields).isRepeated(by: later, statedCreatedAt: nil))
    }

    static let changes: [(String, @Sendable (inout TipFields) -> Void)] = [
        ("id", { $0.id = "t2" }),
        ("displayName", { $0.displayName = "Jamie2" }),
        ("letter case", { $0.displayName = "jamie" }),
        ("message", { $0.message = "ho" }),
        ("no message", { $0.message = nil }),
        ("gross", { $0.grossAmountInCents = 501 }),
        ("fee", { $0.processingFeeInCents = 45 }),
        ("no fee", { $0.processingFeeInCents = nil }),
        ("anonymous", { $0.isAnonymous = true }),
        ("createdAt", { $0.createdAt = noon.advanced(milliseconds: 1) }),
        ("no createdAt", { $0.createdAt = nil }),
        ("the commit's time as createdAt", { $0.createdAt = committed }),
    ]

    @Test("A call that differs in anything is no repeat", arguments: changes)
    func differs(name: String, change: @Sendable (inout TipFields) -> Void) throws {
        var fields = Self.said
        change(&fields)
        #expect(try !tip().isRepeated(by: draft(fields), statedCreatedAt: noon), "\(name)")
    }

    @Test("Naming the time of the commit is not the same as naming none")
    func statedTime() throws {
        var unsaid = Self.said
        unsaid.createdAt = nil
        var said = Self.said
        said.createdAt = Self.committed
        #expect(try !tip(unsaid).isRepeated(by: draft(said), statedCreatedAt: nil))
    }
}
