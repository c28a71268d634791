import Foundation
import Testing
import TipwireCore

@testable import tipwire

@Suite struct RefusalTests {
    private static func words(
        _ status: Int, _ body: String = "", about subject: Refusal.Subject = .other,
        source: PresentedKey.Source = .option, retryAfter: Int? = nil, location: String? = nil
    ) -> String {
        let answer = APIAnswer(
            status: status, location: location, retryAfterSeconds: retryAfter, body: Data(body.utf8))
        return Refusal(
            answer: answer, subject: subject, source: source, address: ServerAddress("http://h:8080")!
        ).failure.message
    }

    private static let problem = #"{"type":"about:blank","title":"Not Found","status":404,"detail":"unknown"}"#

    @Test(
        "A 404 says what is missing and how to get it",
        arguments: [
            (
                Refusal.Subject.page(Slug("pally")!),
                "page 'pally' does not exist, or the key is for other pages; create it with: tipwire page create pally"
            ),
            (
                .tip(TipIdentifier("t1")!, on: Slug("demo")!),
                "page 'demo' has no tip 't1'; list its tips with: tipwire tips demo"
            ),
            (
                .goal("g\u{7}", on: Slug("demo")!),
                "page 'demo' has no goal 'g\\u{7}'; list its goals with: tipwire goal list demo"
            ),
            (
                .goalOrder(of: Slug("pally")!),
                "page 'pally' does not exist, or the key is for other pages; create it with: tipwire page create pally"
            ),
            (
                .member(Slug("bob")!, of: Slug("demo")!),
                "account 'bob' does not exist; create it with: tipwire account create bob"
            ),
            (.key("k\u{7}"), "there is no key 'k\\u{7}'; list them with: tipwire key list"),
            (.other, "unknown (404)"),
        ])
    func missing(_ subject: Refusal.Subject, _ expected: String) {
        #expect(Self.words(404, Self.problem, about: subject) == expected)
    }

    @Test("A 404 without a problem in it comes from something else than Tipwire")
    func foreign() {
        let words = Self.words(404, "<html>nginx</html>", about: .page(Slug("pally")!))
        #expect(words == "http://h:8080 answered 404, but not in Tipwire's way; is --server right?")
    }

    @Test(
        "A 401 names where the refused key was found",
        arguments: [
            (PresentedKey.Source.option, "--key (401)"), (.environment, "TIPWIRE_KEY (401)"),
            (.file("d/admin.key"), "d/admin.key (401)"),
        ])
    func unknownKey(_ source: PresentedKey.Source, _ part: String) {
        #expect(Self.words(401, source: source).contains(part))
    }

    @Test("Bad fields are named one a line, and the server's text can't control the terminal")
    func fields() {
        let body = """
            {"title":"t","status":422,"errors":[{"field":"slug","detail":"must be short"},\
            {"field":"url","detail":"no \\u001b[2J"}]}
            """
        #expect(Self.words(422, body) == "slug: must be short\nurl: no \\u{1b}[2J")
    }

    @Test("A stale order tells what the others did, and that it can be tried again")
    func staleOrder() {
        let body = """
            {"type":"about:blank","title":"Unprocessable Content","status":422,"detail":"The queue has changed.",\
            "errors":[{"field":"ids","detail":"lacks 'g4' (Lights), which was added"},\
            {"field":"ids","detail":"names 'g1', which was removed \\u001b"}],\
            "added":["g4"],"removed":["g1"],"completed":[]}
            """
        #expect(
            Self.words(422, body, about: .goalOrder(of: Slug("demo")!)) == """
                the goals of 'demo' have changed since they were listed, so none was moved; try again
                the order lacks 'g4' (Lights), which was added
                the order names 'g1', which was removed \\u{1b}
                """)
    }

    @Test("An order that is refused for another reason isn't called stale")
    func otherOrder() {
        let body = #"{"title":"t","status":422,"errors":[{"field":"ids","detail":"is needed"}],"added":[]}"#
        #expect(Self.words(422, body, about: .goalOrder(of: Slug("demo")!)) == "ids: is needed")
    }

    @Test("Without fields the sentence and the status are shown")
    func sentence() {
        #expect(Self.words(409, #"{"title":"Conflict","status":409,"detail":"taken"}"#) == "taken (409)")
        #expect(Self.words(500, #"{"title":"Oops","status":500}"#) == "Oops (500)")
    }

    @Test("Busy servers say when to come back, redirects say where to")
    func later() {
        #expect(Self.words(503, retryAfter: 3) == "the server is not ready (503); try again in 3 s")
        #expect(Self.words(429) == "too many requests (429); try again later")
        #expect(
            Self.words(301, location: "https://h/\u{1B}")
                == "http://h:8080 redirects to https://h/\\u{1b}; give the server's own address with --server")
    }

    @Test("403 tells the server's reason and where the key is from")
    func forbidden() {
        let body = #"{"title":"t","status":403,"detail":"This needs the scope 'manage'."}"#
        #expect(
            Self.words(403, body, source: .environment)
                == "This needs the scope 'manage' (403; the key is from TIPWIRE_KEY)")
    }
}
