import TipwireCore
import Testing

@testable import tipwire

@Suite struct ServerAddressTests {
    @Test(
        "What is read comes out again, in one spelling",
        arguments: [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("HTTP://localhost/", "http://localhost"),
            ("https://tips.example.org:443", "https://tips.example.org"),
            ("https://tips.example.org/behind/proxy//", "https://tips.example.org/behind/proxy"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ])
    func spelling(_ text: String, _ expected: String) {
        #expect(ServerAddress(text)?.description == expected)
    }

    @Test("An IPv6 address is dialled without its brackets")
    func addressOfSix() throws {
        let address = try #require(ServerAddress("https://[fe80::1]"))
        #expect(address.host == "fe80::1")
        #expect(address.port == 443)
        #expect(address.authority == "[fe80::1]")
    }

    @Test(
        "Anything else is refused, whatever a URL parser would make of it",
        arguments: [
            "", "localhost:8080", "ftp://host", "http://", "http://:80", "http://host:0", "http://host:65536",
            "http://host:8x", "http://user@host", "http://host?x=1", "http://host/#a", "http://a b", "http://::1",
            "http://[::1", "http://[::1]8080", "http://host\r\nX: y",
        ])
    func refused(_ text: String) {
        #expect(ServerAddress(text) == nil)
    }

    @Test("Segments and values are escaped")
    func escaped() throws {
        let address = try #require(ServerAddress("http://h/p"))
        #expect(
            address.url(path: ["api", "v1", "keys", "a/b?c#d e%"], query: [("after", "x&y=z+ü")])
                == "http://h/p/api/v1/keys/a%2Fb%3Fc%23d%20e%25?after=x%26y%3Dz%2B%C3%BC")
    }

    @Test("The feed's address is the firehose, or one page's activity feed")
    func feed() throws {
        let address = try #require(ServerAddress("http://h/p"))
        let key = try #require(APIKey("tw_" + String(repeating: "a", count: 64)))
        #expect(
            address.feedTarget(key: key, page: nil, since: "now")
                == "/p/?auth=\(key.reveal())&channel=firehose&since=now")
        #expect(
            address.feedTarget(key: key, page: Slug("Demo"), since: "a b-1")
                == "/p/?auth=\(key.reveal())&channel=activity-feed&room=demo&since=a%20b-1")
    }

    @Test("A subscription's address is the root with its id, escaped")
    func eventSub() throws {
        let address = try #require(ServerAddress("http://h/p"))
        #expect(address.eventSubTarget(connectionID: "1-1-17:96-6b&x") == "/p/?connection_id=1-1-17%3A96-6b%26x")
    }

    @Test("The stream's address names the page, and asks for positions; the key is not in it")
    func stream() throws {
        let address = try #require(ServerAddress("https://h/p"))
        #expect(address.eventStreamURL(page: nil, isNew: false) == "https://h/p/api/tip-events/stream")
        #expect(address.eventStreamURL(page: nil, isNew: true) == "https://h/p/api/tip-events/stream?resume=true")
        #expect(
            address.eventStreamURL(page: Slug("Demo"), isNew: true)
                == "https://h/p/api/tip-events/stream?page=demo&resume=true")
        #expect(
            address.eventStreamURL(page: Slug("demo"), isNew: false) == "https://h/p/api/tip-events/stream?page=demo")
    }
}
