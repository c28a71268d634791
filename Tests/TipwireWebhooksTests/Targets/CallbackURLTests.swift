import Testing
import TipwireCore
import TipwireTestSupport

@testable import TipwireWebhooks

@Suite("Reading callbacks")
struct CallbackURLTests {
    private static let lenient = CallbackPolicy(
        addresses: AddressGuard(allowedNetworks: [AddressRange("127.0.0.0/8")!, AddressRange("::1")!]), allowsHTTP: true
    )

    private static func refusal(_ text: String, _ policy: CallbackPolicy = CallbackPolicy()) -> CallbackRefusal? {
        do {
            _ = try CallbackURL(text, policy: policy)
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "A callback has one spelling, and reading that gives the same",
        arguments: [
            ("https://example.com", "https://example.com/"),
            ("HTTPS://EXAMPLE.Com/Hook", "https://example.com/Hook"),
            ("https://example.com:443/a", "https://example.com/a"),
            ("https://example.com:8443?x=[1]&y=%20", "https://example.com:8443/?x=[1]&y=%20"),
            ("https://example.com/a/../b//c?d?e", "https://example.com/a/../b//c?d?e"),
            ("https://a_b.xn--bcher-kva.example:1/", "https://a_b.xn--bcher-kva.example:1/"),
            ("https://1e100.net/", "https://1e100.net/"),
            ("https://0x7f.example/", "https://0x7f.example/"),
            ("https://8.8.8.8:65535/", "https://8.8.8.8:65535/"),
            ("https://[2606:4700::0:1111]/", "https://[2606:4700::1111]/"),
            ("https://[2606:4700:0:0:0:0:0:1111]:443/a:b@c", "https://[2606:4700::1111]/a:b@c"),
            ("https://[2606:4700::1111]:8443/", "https://[2606:4700::1111]:8443/"),
        ])
    func spelling(text: String, normal: String) throws {
        let url = try CallbackURL(text, policy: CallbackPolicy())
        #expect(url.description == normal)
        #expect(try CallbackURL(normal, policy: CallbackPolicy()) == url)
    }

    @Test("The parts are those that a connection and a request are made of")
    func parts() throws {
        let url = try CallbackURL("https://Example.com:8443/a?b", policy: CallbackPolicy())
        #expect(url.scheme == .https && url.host == .name("example.com") && url.port == 8443)
        #expect(url.target == "/a?b" && url.hostHeader == "example.com:8443")
        let plain = try CallbackURL("http://[::1]", policy: Self.lenient)
        #expect(plain.scheme == .http && plain.host == .address(IPAddress(ipv6: 1)) && plain.port == 80)
        #expect(plain.target == "/" && plain.hostHeader == "[::1]")
    }

    @Test(
        "What isn't an https URL of a plain host is refused",
        arguments: [
            ("", .notAbsolute), ("example.com/hook", .notAbsolute), ("//example.com/", .notAbsolute),
            ("/hook", .notAbsolute), ("https:example.com", .notAbsolute), ("https:/example.com", .notAbsolute),
            ("https", .notAbsolute), ("://example.com", .scheme), ("ftp://example.com/", .scheme),
            ("file:///etc/passwd", .scheme), ("javascript://example.com/", .scheme), ("wss://example.com/", .scheme),
            ("http://example.com/", .plainHTTP(and: nil)), ("HTTP://example.com/", .plainHTTP(and: nil)),
            ("https://ada@example.com/", .userInfo), ("https://ada:secret@example.com/", .userInfo),
            ("https://@example.com/", .userInfo), ("https://example.com@127.0.0.1/", .userInfo),
            ("https://example.com/#a", .fragment), ("https://example.com#", .fragment),
            ("https://example.com?a#b", .fragment),
            ("https://", .host), ("https:///hook", .host), ("https://?a", .host), ("https://:443/", .host),
            ("https://./", .host), ("https://.example.com/", .host), ("https://a..b/", .host),
            ("https://-a.example/", .host), ("https://a-.example/", .host), ("https://a,b/", .host),
            ("https://a;b/", .host), ("https://a*b/", .host), ("https://*.example.com/", .host),
            ("https://example.com./", .trailingDot), ("https://127.0.0.1./", .trailingDot),
            ("https://localhost./", .trailingDot), ("https://example.com.:443/", .trailingDot),
            ("https://bücher.example/", .notASCII), ("https://ｅxample.com/", .notASCII),
            ("https://127。0。0。1/", .notASCII), ("https://example.com\u{338}/", .notASCII),
            ("https://ex%61mple.com/", .percentEncodedHost), ("https://%31%32%37.0.0.1/", .percentEncodedHost),
            ("https://example.com%00/", .percentEncodedHost),
            ("https://example.com:0/", .port), ("https://example.com:65536/", .port),
            ("https://example.com:/", .port), ("https://example.com:-1/", .port), ("https://example.com:+1/", .port),
            ("https://example.com:080/", .port), ("https://example.com:8a/", .port),
            ("https://example.com:99999999999999999999/", .port), ("https://example.com:1:2/", .port),
            ("https://::1/", .host), ("https://[::1/", .host), ("https://[::1]a/", .host), ("https://[]/", .host),
            ("https://[127.0.0.1]/", .host), ("https://[::g]/", .host), ("https://[2606:4700::1111]:/", .port),
            ("https://[fe80::1%25eth0]/", .zone), ("https://[fe80::1%eth0]/", .zone),
            (" https://example.com/", .badCharacter), ("https://example.com/ a", .badCharacter),
            ("https://example.com/\n", .badCharacter), ("https://exam\tple.com/", .badCharacter),
            ("https://example.com\r\nx: y/", .badCharacter), ("https://example.com\\@127.0.0.1/", .badCharacter),
            ("https://example.com/\u{0}", .badCharacter), ("https://example.com/\u{7F}", .badCharacter),
            ("https://example.com/ä", .badCharacter), ("https://example.com/<a>", .badCharacter),
        ] as [(String, CallbackRefusal)])
    func refused(text: String, refusal: CallbackRefusal) {
        #expect(Self.refusal(text) == refusal)
    }

    @Test(
        "Every odd spelling of an IPv4 address is told for what it is, whatever is allowed",
        arguments: [
            ("2130706433", "127.0.0.1"), ("0x7f000001", "127.0.0.1"), ("0X7F.1", "127.0.0.1"),
            ("0x7f.0.0.0x1", "127.0.0.1"), ("0177.0.0.1", "127.0.0.1"), ("017700000001", "127.0.0.1"),
            ("127.1", "127.0.0.1"), ("127.0.1", "127.0.0.1"), ("127.0.00.1", "127.0.0.1"),
            ("127.0.0.01", "127.0.0.1"), ("0", "0.0.0.0"), ("0x", "0.0.0.0"), ("00", "0.0.0.0"),
            ("10.65535", "10.0.255.255"), ("10.16777215", "10.255.255.255"), ("4294967295", "255.255.255.255"),
            ("0x08.0x08.0x08.0x08", "8.8.8.8"), ("134744072", "8.8.8.8"), ("0xa9fea9fe", "169.254.169.254"),
            ("192.168.257", "192.168.1.1"),
        ])
    func oddAddresses(host: String, address: String) throws {
        let meant = CallbackRefusal.oddAddress(
            written: host.lowercased(), address: try #require(IPAddress(address)))
        for policy in [CallbackPolicy(), Self.lenient] {
            #expect(Self.refusal("https://\(host)/", policy) == meant)
            #expect(Self.refusal("https://\(host):8443", policy) == meant)
        }
        #expect(meant.description.contains(address))
    }

    @Test(
        "A host that ends in a number and is no address is refused",
        arguments: [
            "256.0.0.1", "1.2.3.4.5", "1.2.3.256", "4294967296", "0x100000000", "10.16777216", "08.0.0.1", "0x7g.1",
            "example.1", "example.0x1", "1..1", "99999999999999999999999", "0x1ffffffffffffffffff", "-1.1", "1.+1.1.1",
        ])
    func noAddress(host: String) {
        #expect(Self.refusal("https://\(host)/") == .host)
    }

    @Test(
        "Addresses are judged by the guard, with the name of the rule",
        arguments: [
            ("127.0.0.1", .loopback), ("10.0.0.1", .privateUse), ("169.254.169.254", .linkLocal),
            ("100.64.0.1", .sharedSpace), ("0.0.0.0", .unspecified), ("255.255.255.255", .broadcast),
            ("[::1]", .loopback), ("[::]", .unspecified), ("[::ffff:127.0.0.1]", .ipv4Mapped),
            ("[::FFFF:7f00:1]", .ipv4Mapped), ("[64:ff9b::127.0.0.1]", .nat64), ("[2002:7f00:1::]", .sixToFour),
            ("[fd00::1]", .uniqueLocal), ("[fe80::1]", .linkLocal),
        ] as [(String, AddressRule)])
    func addresses(host: String, rule: AddressRule) throws {
        let refusal = Self.refusal("https://\(host)/")
        guard case .address(let refused) = refusal else {
            Issue.record("\(host) was refused as \(String(describing: refusal))")
            return
        }
        #expect(refused.rule == rule && refused.host == host)
        #expect(refused.description.contains("'\(rule.rawValue)'"))
        #expect(refused.description.contains("webhooks.allowedNetworks"))
    }

    @Test(
        "localhost is loopback by its name alone",
        arguments: ["localhost", "LOCALHOST", "a.b.localhost", "x.LocalHost"])
    func localhost(host: String) throws {
        let refusal = AddressRefusal(host: host.lowercased(), address: IPAddress(ipv4: 0x7F00_0001), rule: .loopback)
        #expect(Self.refusal("https://\(host)/") == .address(refusal))
        #expect(Self.refusal("https://\(host)/", Self.lenient) == nil)
        for block in ["127.0.0.1", "::1"] {
            let policy = CallbackPolicy(addresses: AddressGuard(allowedNetworks: [try #require(AddressRange(block))]))
            #expect(Self.refusal("https://\(host)/", policy) == nil, "what it resolves to is checked later")
        }
    }

    @Test("Names that only look like localhost are names")
    func notLocalhost() {
        for host in ["localhost.example.com", "notlocalhost", "localhost-1"] {
            #expect(Self.refusal("https://\(host)/") == nil)
        }
    }

    @Test("Lengths are accepted to their limit and refused past it")
    func lengths() {
        let label = String(repeating: "a", count: 63)
        let longest = [label, label, label, String(repeating: "a", count: 61)].joined(separator: ".")
        #expect(Self.refusal("https://\(longest)/") == nil)
        #expect(Self.refusal("https://\(longest)a/") == .host)
        #expect(Self.refusal("https://a\(label)/") == .host)
        let start = "https://example.com/"
        #expect(Self.refusal(start + String(repeating: "a", count: 2_000 - start.count)) == nil)
        #expect(Self.refusal(start + String(repeating: "a", count: 2_001 - start.count)) == .tooLong)
    }

    @Test("Plain http is refused with the setting that allows it")
    func plainHTTP() throws {
        #expect(CallbackRefusal.plainHTTP(and: nil).description.contains("webhooks.allowHTTP"))
        #expect(try CallbackURL("http://127.0.0.1:8080/x", policy: Self.lenient).hostHeader == "127.0.0.1:8080")
    }

    @Test("Random bytes never pass for something that another reading would take for a different host")
    func random() throws {
        var seed = TestSeed()
        let pieces = [
            "https://", "http://", "example.com", "127.0.0.1", "[::1]", "@", ":", "/", "?", "#", "\\", "%", ".", "0x7f",
            "1", "a", "ä", " ", "[", "]", "443", "-", "localhost",
        ]
        for _ in 0..<20_000 {
            let text =
                "https://"
                + (0..<Int.random(in: 1...6, using: &seed))
                .map { _ in pieces.randomElement(using: &seed)! }.joined()
            guard let url = try? CallbackURL(text, policy: CallbackPolicy()) else { continue }
            // Whatever was let through stands in the text between the slashes and what ends a host.
            let host = text.dropFirst(8).prefix { $0 != "/" && $0 != "?" && $0 != ":" }
            let again = try CallbackURL(url.description, policy: CallbackPolicy())
            if url.host != .name(host.lowercased()) || again != url { Issue.record("\(text) \(seed)") }
        }
    }
}
