import Testing
import TipwireCore

@Suite("TipDraft")
struct TipDraftTests {
    private func fields(_ change: (inout TipFields) -> Void = { _ in }) -> TipFields {
        var fields = TipFields(grossAmountInCents: 500)
        change(&fields)
        return fields
    }

    /// The names of the fields that are refused, in order; none when the tip is taken.
    private func refused(_ fields: TipFields) -> [String] {
        do {
            _ = try draft(fields)
            return []
        } catch {
            return (error as? InvalidInput)?.errors.map(\.field) ?? ["?"]
        }
    }

    @Test("A tip of nothing but an amount is anonymous, without message, fee, id and time")
    func defaults() throws {
        let draft = try draft(fields())
        #expect(draft.grossAmountInCents == 500)
        #expect(draft.processingFeeInCents == 0)
        #expect(draft.displayName == "")
        #expect(draft.message == "")
        #expect(draft.isAnonymous)
        #expect(draft.id == nil)
        #expect(draft.createdAt == nil)
    }

    @Test("Everything that was said is kept as it was said")
    func kept() throws {
        let said = TipFields(
            id: "Tip:1", displayName: " Jamie 👩‍👩‍👧 ", grossAmountInCents: 500, processingFeeInCents: 44,
            message: "one\ntwo", isAnonymous: false, createdAt: noon)
        let draft = try draft(said)
        #expect(draft.id == TipIdentifier("Tip:1"))
        #expect(draft.displayName == " Jamie 👩‍👩‍👧 ")
        #expect(draft.message == "one\ntwo")
        #expect(draft.processingFeeInCents == 44)
        #expect(!draft.isAnonymous)
        #expect(draft.createdAt == noon)
    }

    @Test(
        "An amount is taken up to its limits and refused past them",
        arguments: [
            (1, []), (100_000_000, []), (0, ["grossAmountInCents"]), (-1, ["grossAmountInCents"]),
            (100_000_001, ["grossAmountInCents"]), (Int.max, ["grossAmountInCents"]), (Int.min, ["grossAmountInCents"]),
        ] as [(Int, [String])])
    func gross(amount: Int, errors: [String]) {
        #expect(refused(TipFields(grossAmountInCents: amount)) == errors)
    }

    @Test(
        "A fee lies between nothing and the whole amount",
        arguments: [
            (0, []), (500, []), (-1, ["processingFeeInCents"]), (501, ["processingFeeInCents"]),
            (Int.max, ["processingFeeInCents"]), (Int.min, ["processingFeeInCents"]),
        ] as [(Int, [String])])
    func fee(fee: Int, errors: [String]) {
        #expect(refused(fields { $0.processingFeeInCents = fee }) == errors)
    }

    @Test(
        "A name has up to 100 characters, a message up to 1,000, counted in Unicode scalars",
        arguments: ["a", "é", "👍"])
    func lengths(scalar: String) {
        func text(_ count: Int) -> String { String(repeating: scalar, count: count) }
        #expect(refused(fields { $0.displayName = text(100) }) == [])
        #expect(refused(fields { $0.displayName = text(101) }) == ["displayName"])
        #expect(refused(fields { $0.message = text(1_000) }) == [])
        #expect(refused(fields { $0.message = text(1_001) }) == ["message"])
    }

    @Test(
        "An id has up to 64 characters of its alphabet", arguments: ["", "a b", "é", String(repeating: "x", count: 65)])
    func id(text: String) {
        #expect(refused(fields { $0.id = text }) == ["id"])
        #expect(refused(fields { $0.id = String(repeating: "x", count: 64) }) == [])
    }

    @Test(
        "Control characters are refused, a newline is not",
        arguments: ["\u{0}", "\t", "\r", "\r\n", "\u{1B}", "\u{7F}", "\u{85}"])
    func control(character: String) {
        #expect(refused(fields { $0.displayName = "a\(character)b" }) == ["displayName"])
        #expect(refused(fields { $0.message = "a\(character)b" }) == ["message"])
        #expect(refused(fields { $0.message = "a\nb" }) == [])
    }

    @Test(
        "createdAt lies between 2000 and five minutes from now",
        arguments: [
            ("2000-01-01T00:00:00.000Z", true), ("1999-12-31T23:59:59.999Z", false), ("1970-01-01T00:00:00Z", false),
            ("2026-03-01T12:05:00.000Z", true), ("2026-03-01T12:05:00.001Z", false), ("2038-01-19T03:14:08Z", false),
        ])
    func createdAt(text: String, isTaken: Bool) throws {
        let time = try #require(Timestamp(rfc3339: text))
        #expect(refused(fields { $0.createdAt = time }) == (isTaken ? [] : ["createdAt"]))
    }

    @Test("All bad fields are named at once, each with what to do")
    func everyError() throws {
        let bad = TipFields(
            id: "a b", displayName: "a\tb", grossAmountInCents: 0, processingFeeInCents: -1,
            message: String(repeating: "m", count: 1_001), createdAt: Timestamp(milliseconds: 0))
        let error = try #require(throws: InvalidInput.self) { try TipDraft(validating: bad, now: noon) }
        #expect(
            error.errors.map(\.field).sorted() == [
                "createdAt", "displayName", "grossAmountInCents", "id", "message", "processingFeeInCents",
            ])
        #expect(error.errors.allSatisfy { $0.detail.hasPrefix("must ") })
        #expect(error.errors.first { $0.field == "grossAmountInCents" }?.detail == "must be from 1 to 100000000")
    }

    @Test(
        "A tip is anonymous when it says so, or when its name shows nothing",
        arguments: [
            (nil, nil, true), ("", nil, true), ("", false, true), ("   ", false, true), (" \n ", false, true),
            ("\u{3000}\u{A0}", false, true), ("Jamie", true, true), ("Jamie", false, false), ("Jamie", nil, false),
            (" J ", nil, false), ("-", nil, false),
        ] as [(String?, Bool?, Bool)])
    func anonymity(name: String?, flag: Bool?, isAnonymous: Bool) throws {
        let draft = try draft(
            fields {
                $0.displayName = name
                $0.isAnonymous = flag
            })
        #expect(draft.isAnonymous == isAnonymous)
        // The name of someone who is not to be named is not kept at all.
        #expect(draft.displayName == (isAnonymous ? "" : name))
    }

    @Test("A name that isn't kept is checked all the same")
    func anonymousNameIsChecked() {
        let long = String(repeating: "a", count: 101)
        #expect(
            refused(
                fields {
                    $0.displayName = long
                    $0.isAnonymous = true
                }) == ["displayName"])
    }
}

@Suite("InvalidInput")
struct InvalidInputTests {
    @Test("Errors of a part are placed under its path")
    func paths() {
        let errors = [FieldError(field: "id", detail: "d"), FieldError(field: "", detail: "e")]
        #expect(
            InvalidInput(errors).under("tips/3").errors == [
                FieldError(field: "tips/3/id", detail: "d"), FieldError(field: "tips/3", detail: "e"),
            ])
    }
}
