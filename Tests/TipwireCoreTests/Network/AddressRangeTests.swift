import Testing

@testable import TipwireCore

@Suite("Address ranges")
struct AddressRangeTests {
    @Test(
        "A block contains the addresses that share its prefix and no others",
        arguments: [
            (
                "10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"],
                ["11.0.0.0", "9.255.255.255", "::a00:1"]
            ),
            ("192.168.4.0/22", ["192.168.4.0", "192.168.7.255"], ["192.168.3.255", "192.168.8.0"]),
            ("127.0.0.1", ["127.0.0.1", "::ffff:7f00:1"], ["127.0.0.2", "::1"]),
            ("0.0.0.0/0", ["1.2.3.4", "255.255.255.255", "::ffff:1.2.3.4"], ["::1"]),
            ("::/0", ["::1", "2001:db8::1"], ["1.2.3.4", "::ffff:1.2.3.4"]),
            ("fd00::/8", ["fd12:3456::1", "FDFF::"], ["fe00::1", "fc00::1"]),
            ("2001:db8::/33", ["2001:db8:7fff::1"], ["2001:db8:8000::1"]),
            ("::1", ["::1", "0:0:0:0:0:0:0:1"], ["::2", "127.0.0.1"]),
            ("fe80::/10", ["fe80::1%eth0", "febf::1"], ["fec0::1"]),
            ("::ffff:10.0.0.0/104", ["10.9.9.9", "::ffff:10.9.9.9"], ["11.0.0.1"]),
        ])
    func contains(text: String, inside: [String], outside: [String]) throws {
        let range = try #require(AddressRange(text))
        for address in inside { #expect(range.contains(address), "\(address) lies in \(range)") }
        for address in outside { #expect(!range.contains(address), "\(address) lies not in \(range)") }
    }

    @Test(
        "What is no address lies in no block",
        arguments: [
            "", "unknown", "10.0.0.1:80", "10.0.0", "010.0.0.1", " 10.0.0.1", "[::1]", "10.0.0.1/32", "_hidden",
        ])
    func noAddress(text: String) throws {
        for block in ["0.0.0.0/0", "::/0"] {
            let range = try #require(AddressRange(block))
            #expect(!range.contains(text))
        }
    }

    @Test(
        "What is no block is refused",
        arguments: [
            "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/8/8",
            "10.0/8",
            "::/129", "::/", "::g/8", "localhost", "10.0.0.0/8 ", "::ffff:10.0.0.0/95", "10.0.0.0/99999999999999999999",
        ])
    func refused(text: String) {
        #expect(AddressRange(text) == nil)
    }

    @Test(
        "A block is written with its bits behind the prefix dropped",
        arguments: [
            ("10.1.2.3/8", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3/32"), ("2001:DB8:0:0::1/32", "2001:db8::/32"),
            ("::1", "::1/128"), ("::ffff:10.1.2.3/104", "10.0.0.0/8"), ("1.2.3.4/0", "0.0.0.0/0"), ("1::/0", "::/0"),
        ])
    func written(text: String, canonical: String) throws {
        let range = try #require(AddressRange(text))
        #expect(range.description == canonical)
        #expect(AddressRange(canonical) == range)
    }
}
