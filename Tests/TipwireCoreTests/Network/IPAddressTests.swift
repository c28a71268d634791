import Testing
import TipwireTestSupport

@testable import TipwireCore

@Suite("IP addresses")
struct IPAddressTests {
    @Test(
        "An address is read from its text, and written in one way",
        arguments: [
            ("1.2.3.4", [1, 2, 3, 4], "1.2.3.4"), ("0.0.0.0", [0, 0, 0, 0], "0.0.0.0"),
            ("::1", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "::1"),
            ("2001:DB8:0:0:0:0:0:1", [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "2001:db8::1"),
            ("::ffff:1.2.3.4", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 1, 2, 3, 4], "::ffff:1.2.3.4"),
            ("fe80::1%eth0", [0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "fe80::1"),
        ] as [(String, [UInt8], String)])
    func text(text: String, bytes: [UInt8], written: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.bytes == bytes && address.description == written)
        #expect(IPAddress(bytes: bytes) == address && IPAddress(written) == address)
        #expect(address.family == (bytes.count == 4 ? .ipv4 : .ipv6))
    }

    @Test(
        "What is no address is none",
        arguments: [
            "", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "0x1.2.3.4", "1.2.3.4%eth0", "[::1]", ":::", "::g",
            "1.2.3.4\0", "::1\0", " ::1", "::1/128",
        ])
    func noAddress(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test("Only four bytes and sixteen are an address", arguments: [0, 1, 3, 5, 8, 15, 17])
    func bytes(count: Int) {
        #expect(IPAddress(bytes: [UInt8](repeating: 1, count: count)) == nil)
    }

    @Test("A wrapped IPv4 address is itself inside, and any other stays as it is")
    func unwrapped() throws {
        #expect(IPAddress("::ffff:1.2.3.4")?.unwrapped == IPAddress("1.2.3.4"))
        for text in ["1.2.3.4", "::1.2.3.4", "::ffff:0:1.2.3.4", "2001:db8::1"] {
            let address = try #require(IPAddress(text))
            #expect(address.unwrapped == address)
        }
    }

    @Test("Random bytes survive the way to text and back")
    func roundTrip() {
        var seed = TestSeed()
        for _ in 0..<2_000 {
            let count = Bool.random(using: &seed) ? 4 : 16
            // Many zeros, for the shortening.
            let bytes = (0..<count).map { _ in
                Bool.random(using: &seed) ? UInt8(0) : UInt8.random(in: 0...255, using: &seed)
            }
            let address = IPAddress(bytes: bytes)
            #expect(address?.bytes == bytes && address.flatMap { IPAddress($0.description) } == address, "\(seed)")
        }
    }
}
