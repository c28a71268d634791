import NIOHTTP1
import Testing

@testable import TipwireServer

@Suite("The session's cookie")
struct SessionCookieTests {
    private let cookie = SessionCookie()

    @Test("It can't be read by scripts, sent by other sites, or, over HTTPS, sent in the clear")
    func attributes() {
        let plain = "tipwire_session=abc; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict"
        #expect(cookie.set("abc", isSecure: false) == plain)
        #expect(cookie.set("abc", isSecure: true) == plain + "; Secure")
        #expect(cookie.clear() == "tipwire_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict")
    }

    @Test("Where the server is known by https, no neighbour can set it, and none that a neighbour set counts")
    func neighbours() {
        let cookie = SessionCookie(publicURL: { "https://tips.example" })
        #expect(cookie.set("abc", isSecure: true).hasPrefix("__Host-tipwire_session=abc; Path=/; "))
        #expect(cookie.set("abc", isSecure: true).hasSuffix("; Secure") && cookie.clear().hasSuffix("; Secure"))
        #expect(cookie.token(in: ["tipwire_session=theirs; __Host-tipwire_session=ours"]) == "ours")
        #expect(cookie.token(in: ["tipwire_session=theirs"]) == nil)
    }

    @Test(
        "It is found among others, and by its whole name only",
        arguments: [
            (["tipwire_session=abc"], "abc"), (["a=b; tipwire_session=abc; c=d"], "abc"),
            (["a=b", "tipwire_session=abc"], "abc"), (["tipwire_session=a=b"], "a=b"),
            ([], nil), (["tipwire_session"], nil), (["xtipwire_session=abc"], nil), (["tipwire_session2=abc"], nil),
        ] as [([String], String?)])
    func finding(values: [String], token: String?) {
        #expect(cookie.token(in: values) == token)
        #expect(cookie.token(in: HTTPHeaders(values.map { ("Cookie", $0) })) == token)
    }

    @Test(
        "An origin is ours when it names the host that was asked",
        arguments: [
            ("http://tipwire.test", "tipwire.test", true), ("https://tipwire.test:8443", "tipwire.test:8443", true),
            ("http://TIPWIRE.test", "tipwire.TEST", true), ("http://[::1]:8080", "[::1]:8080", true),
            ("http://tipwire.test:81", "tipwire.test", false), ("http://evil.test", "tipwire.test", false),
            ("http://tipwire.test.evil.test", "tipwire.test", false), ("null", "tipwire.test", false),
            ("http://eviltipwire.test", "tipwire.test", false), ("tipwire.test", "tipwire.test", false),
            (nil, "tipwire.test", false), ("http://tipwire.test", nil, false), ("http://", nil, false),
            ("", "", false),
        ] as [(String?, String?, Bool)])
    func origins(origin: String?, host: String?, isOurs: Bool) {
        #expect(cookie.isSameOrigin(origin: origin, host: host) == isOurs)
        var headers: HTTPHeaders = [:]
        if let origin { headers.add(name: "Origin", value: origin) }
        if let host { headers.add(name: "Host", value: host) }
        #expect(cookie.isSameOrigin(headers) == isOurs)
    }

    @Test("Behind a proxy that changes Host, the public address is ours too, its scheme included")
    func publicURL() {
        let cookie = SessionCookie(publicURL: { "https://tips.example/base" })
        #expect(cookie.isSameOrigin(origin: "https://tips.example", host: "10.0.0.5:8080"))
        #expect(!cookie.isSameOrigin(origin: "http://tips.example", host: "10.0.0.5:8080"))
        #expect(!cookie.isSameOrigin(origin: "http://tips.example", host: "tips.example"))
        #expect(cookie.isSameOrigin(origin: "https://tips.example", host: "tips.example"))
        #expect(!cookie.isSameOrigin(origin: "https://tips.example:444", host: "10.0.0.5:8080"))
    }
}
