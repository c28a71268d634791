import NIOCore
import Testing
import TipwireTestSupport

@testable import TipwireWire

/// What is JSON and what is not: tables in the manner of the "JSON Parsing Test Suite".
@Suite struct JSONScannerTests {
    static let valid = [
        "null", "true", "false", "0", "-0", "1", "-1", "10", "123456789012345678901234567890", "0.5", "-0.0", "1.25",
        "1e1", "1E+2", "1e-2", "0e0", "0.1e01", #""""#, #""a""#, #""\"\\\/\b\f\n\r\t""#, #""\u0041\u00e9\u20AC""#,
        #""\ud83d\ude00""#, #""\u0000""#, "\"\u{7F}\"", "\"\u{2028}\u{2029}\"", #""é😀""#, "[]", "[ ]", "[1]", "[1,2]",
        "[[],{}]", "{}", "{ }", #"{"":0}"#, #"{"a":1,"b":[true,null]}"#, " \t\r\n[ 1 , 2 ] \n",
        "\n{ \"a\" :\t1 , \"b\" : { } }\r\n", #"{"a":{"a":{"a":1}}}"#,
    ]

    static let invalid = [
        "", " ", "nul", "nulll", "True", "TRUE", "undefined", "NaN", "Infinity", "-Infinity", "+1", "01", "-01", "00",
        "1.", ".5", "-", "-.5", "- 1", "1e", "1e+", "1.e1", "0x1", "1_000", "1 2", "1,", "\"", "\"a", "'a'", "a",
        #""\x41""#, #""\u004""#, #""\u00g0""#, #""\"#, #""a"b""#, #""\u"#, #""\U0041""#, "\"\n\"", "\"\t\"",
        "\"\u{0}\"", "\"\u{1F}\"", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1,,2]", "[1}", "{", "}", "{1:2}",
        "{a:1}", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{"a" 1}"#, #"{"a":1 "b":2}"#, #"{,"a":1}"#, #"{"a":1]"#,
        #"{"a"::1}"#, #"{"a":1}}"#, "[]]", "[] []", "{} 1", "/* */ 1", "1 // one", "\u{FEFF}1", "\u{A0}1", "\u{B}1",
        #"{"a":tru}"#, "[nul]", #"["a"#, #"["a","#, #"{"a":"#, "[--1]", "[1e1.5]", "\u{0}", "1\u{0}",
    ]

    static let notUTF8: [[UInt8]] = UTF8ValidatorTests.invalid.map { [0x22] + $0 + [0x22] }

    private func isValid(_ text: ByteBuffer) -> Bool {
        (try? JSONScanner.validate(text)) != nil
    }

    @Test(arguments: valid)
    func `JSON is accepted`(text: String) throws {
        try JSONScanner.validate(ByteBuffer(string: text))
        _ = try JSONValue.parse(text)
    }

    @Test(arguments: invalid)
    func `what is not JSON is refused, by the validator and the tree`(text: String) {
        #expect(!isValid(ByteBuffer(string: text)))
        #expect(throws: JSONError.self) { try JSONValue.parse(text) }
    }

    @Test(arguments: notUTF8)
    func `a string that is not UTF-8 is refused`(bytes: [UInt8]) {
        #expect(!isValid(ByteBuffer(bytes: bytes)))
        #expect(throws: JSONError.self) { try JSONValue.parse(ByteBuffer(bytes: bytes)) }
        #expect(JSONScanner.topLevelMembers(of: ByteBuffer(bytes: [0x7B] + bytes + Array(":1}".utf8))) == nil)
    }

    @Test(arguments: [
        ("[1, 2, x]", 7), ("", 0), ("[1", 2), ("{\"a\":1,}", 7), ("\"abc", 0), ("[01]", 1), ("1 2", 2), ("\"a\nb\"", 2),
        ("{\"a\":1, \"a\":2}", 8), ("[\"\\x\"]", 2), ("[\"é\\ud800\"]", 4),
    ])
    func `an error tells the place in bytes and a sentence`(text: String, offset: Int) throws {
        let error = try #require(throws: JSONError.self) { try JSONValue.parse(text) }
        #expect(error.offset == offset)
        #expect(error.message.hasSuffix("."))
    }

    @Test func `sixty-four levels are read and sixty-five are not`() throws {
        for (open, close) in [("[", "]"), (#"{"a":"#, "}")] {
            let nested = { (depth: Int) in
                String(repeating: open, count: depth - 1) + "[]" + String(repeating: close, count: depth - 1)
            }
            _ = try JSONValue.parse(nested(64))
            #expect(throws: JSONError.self) { try JSONValue.parse(nested(65)) }
            #expect(isValid(ByteBuffer(string: nested(64))))
            #expect(!isValid(ByteBuffer(string: nested(65))))
        }
        // Depth is not length: siblings give back what they took.
        #expect(isValid(ByteBuffer(string: "[" + String(repeating: "[[]],", count: 200) + "{}]")))
        #expect(!isValid(ByteBuffer(string: String(repeating: "[", count: 100_000))))
    }

    @Test func `half of a surrogate pair is grammar, and no string`() throws {
        for text in [#""\ud800""#, #""\udc00""#, #""\ud800\ud800""#, #""\ud800x\udc00""#, #""\ude00\ud83d""#] {
            try JSONScanner.validate(ByteBuffer(string: text))
            #expect(throws: JSONError.self) { try JSONValue.parse(text) }
            #expect(throws: JSONError.self) { try JSONValue.parse("{\(text):1}") }
        }
    }

    @Test func `damaged texts are refused or read, and validator and tree agree`() {
        var chance = TestSeed()
        let seedText = Array(#"{"type":"echo","payload":[1,-2.5e3,"é\n\u00e9😀",{"a":null,"b":true}],"c":false}"#.utf8)
        for _ in 0..<5000 {
            var bytes = seedText
            for _ in 0..<Int.random(in: 1...3, using: &chance) {
                let place = Int.random(in: 0..<bytes.count, using: &chance)
                switch Int.random(in: 0..<3, using: &chance) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &chance)
                case 1: bytes.remove(at: place)
                default: bytes.insert(seedText.randomElement(using: &chance)!, at: place)
                }
            }
            let text = ByteBuffer(bytes: bytes)
            do throws(JSONError) {
                _ = try JSONValue.parse(text)
                #expect(isValid(text), "\(chance) \(bytes)")
            } catch {
                // Two rules are the tree's own; a text that breaks one of them may still be valid.
                let isTreesOwn = error.message.contains("surrogate") || error.message.contains("one name")
                #expect(isTreesOwn || !isValid(text), "\(chance) \(error) \(bytes)")
            }
        }
    }
}
