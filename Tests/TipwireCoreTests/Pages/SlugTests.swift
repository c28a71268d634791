import Testing
import TipwireCore

@Suite("Slug")
struct SlugTests {
    @Test(
        "A slug is kept in lower case",
        arguments: [
            ("a", "a"), ("7", "7"), ("Olivia", "olivia"), ("my-page-2", "my-page-2"), ("a-", "a-"), ("a--b", "a--b"),
            ("ABCXYZ09", "abcxyz09"), (String(repeating: "a", count: 64), String(repeating: "a", count: 64)),
        ])
    func accepts(raw: String, text: String) {
        #expect(Slug(raw)?.text == text)
        #expect(Slug(raw)?.description == text)
    }

    @Test("Slugs are compared without regard to case")
    func comparison() {
        #expect(Slug("Olivia") == Slug("oLIVIA"))
        #expect(Slug("olivia") != Slug("olivia2"))
    }

    @Test(
        "Anything else is refused",
        arguments: [
            "", "-", "-a", "a b", " a", "a ", "a_b", "a.b", "a/b", "é", "ａ", "a\u{301}", "a\n", "\u{0}", "K\u{212A}",
            "\u{212A}", "İ", String(repeating: "a", count: 65),
        ])
    func refuses(raw: String) {
        #expect(Slug(raw) == nil)
    }
}

@Suite("PublicID")
struct PublicIDTests {
    @Test("Each id has its shape, and no two are alike")
    func shapes() {
        var ids: Set<String> = []
        for _ in 0..<200 {
            let id = PublicID.random()
            #expect(id.wholeMatch(of: /[a-z][a-z0-9]{23}/) != nil, "\(id)")
            ids.insert(id)
            let page = PublicID.page(at: noon)
            #expect(page.wholeMatch(of: /1772366400000x[1-9][0-9]{17}/) != nil, "\(page)")
            ids.insert(page)
            #expect(PublicID.epoch().wholeMatch(of: /[0-9a-f]{8}/) != nil)
        }
        #expect(ids.count == 400)
    }

    @Test("Ordered ids sort by their time, and no two of one time are alike")
    func ordered() {
        let times = [0, 35, 36, 1_772_366_400_000, 1_772_366_400_001, 2_821_109_907_455].map(
            Timestamp.init(milliseconds:))
        var chance = Chance(draws: 7)
        let ids = times.map { time in (0..<50).map { _ in PublicID.ordered(at: time, by: &chance) } }
        for id in ids.joined() { #expect(id.wholeMatch(of: /t[a-z0-9]{23}/) != nil, "\(id)") }
        for (earlier, later) in zip(ids, ids.dropFirst()) { #expect(earlier.max()! < later.min()!) }
        #expect(Set(ids.joined()).count == 300)
    }
}
