import Testing
import TipwireCore

@Suite("Page")
struct PageTests {
    @Test("An account is owner, member or nothing to a page; the owner stays owner when it is a member too")
    func roles() {
        var page = page()
        #expect(page.role(of: olivia) == .owner)
        #expect(page.role(of: mia) == .member)
        #expect(page.role(of: frank) == nil)
        page.members.insert(olivia)
        #expect(page.role(of: olivia) == .owner)
    }

    @Test("The address is the owner's, or the server's own under the slug")
    func address() {
        #expect(page(customURL: "https://olivia.example/").url(publicURL: "http://t") == "https://olivia.example/")
        #expect(page().url(publicURL: "http://t") == "http://t/p/page-10")
    }
}
