import Testing
import TipwireCore

@Suite("APIKey")
struct APIKeyTests {
    private static let hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    private static let text = "tw_" + hex

    @Test("A key is tw_ and 64 lower-case hex characters, and is known by its first 11")
    func shape() throws {
        let key = try #require(APIKey(Self.text))
        #expect(key.reveal() == Self.text)
        #expect(key.prefix == "tw_01234567")
        #expect(key.hash == SecretHash(of: Self.text))
    }

    static let others: [String] = [
        "", "tw_", hex, "\(text)0", String(text.dropLast()), "TW_\(hex)", "tw-\(hex)", "xw_\(hex)", text.uppercased(),
        "tw_\(hex.dropLast())g", "tw_\(hex.dropLast())A", " \(text.dropLast())", "\(text.dropLast())\n",
        "tw_\(hex.dropLast(2))é", "tw_\(hex.dropLast(3))０",
    ]

    @Test("Anything else can't be a key", arguments: others)
    func refuses(text: String) {
        #expect(APIKey(text) == nil)
    }

    @Test("Random keys are keys, and differ")
    func random() {
        let keys = (0..<50).map { _ in APIKey.random() }
        #expect(Set(keys.map { $0.reveal() }).count == 50)
        #expect(Set(keys.map(\.prefix)).count == 50)
        for key in keys { #expect(APIKey(key.reveal())?.reveal() == key.reveal()) }
    }

    @Test("No way of printing a key shows more than its prefix")
    func redaction() throws {
        struct Holder {
            let name = "holder"
            let key: APIKey
        }
        let key = try #require(APIKey(Self.text))
        var dumped = ""
        dump(Holder(key: key), to: &dumped)
        dump(key, to: &dumped)
        let printed = [
            "\(key)", key.description, key.debugDescription, String(describing: key), String(reflecting: key),
            "\([key])", "\(Optional(key) as Any)", "\(["k": key])", String(reflecting: [key]), "\(Holder(key: key))",
            String(reflecting: Holder(key: key)), "\(Mirror(reflecting: key).children.map(\.value))", dumped,
        ]
        for text in printed {
            #expect(!text.contains("012345678"), "\(text)")
            #expect(text.contains("tw_01234567"), "\(text)")
        }
        #expect(Mirror(reflecting: key).children.count == 1)
        #expect(key.description == "tw_01234567…")
    }
}

@Suite("SecretHash")
struct SecretHashTests {
    @Test("A secret's hash is its SHA-256")
    func digest() {
        // FIPS 180-2, appendix B.1.
        let expected: [UInt8] = [
            0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03,
            0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
        ]
        #expect(SecretHash(of: "abc").bytes == expected)
    }

    @Test("Hashes match when all bytes do, wherever they differ")
    func matching() {
        let hash = SecretHash(of: "abc")
        #expect(hash.matches(SecretHash(of: "abc")))
        for index in hash.bytes.indices {
            var bytes = hash.bytes
            bytes[index] ^= 1
            #expect(!hash.matches(SecretHash(bytes: bytes)))
        }
        #expect(!hash.matches(SecretHash(bytes: Array(hash.bytes.dropLast()))))
        #expect(!SecretHash(bytes: []).matches(hash))
    }

    @Test("Random hex has two characters a byte, and covers every value")
    func randomHex() {
        #expect(SecretHash.randomHex(bytes: 16).wholeMatch(of: /[0-9a-f]{32}/) != nil)
        #expect(Set(SecretHash.randomHex(bytes: 4_096)) == Set("0123456789abcdef"))
        #expect(SecretHash.randomHex(bytes: 4_096).utf8.count == 8_192)
    }
}
