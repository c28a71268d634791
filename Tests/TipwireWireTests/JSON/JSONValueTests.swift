import NIOCore
import Testing

@testable import TipwireWire

@Suite struct JSONValueTests {
    @Test func `a text becomes the tree that it describes`() throws {
        let value = try JSONValue.parse(#" { "a" : [ null , true , false , 1.50 , "x" ] , "b" : { } } "#)
        let list: [JSONValue] = [
            .null, .bool(true), .bool(false), .number(JSONNumber(spelling: "1.50")), .string("x"),
        ]
        let expected = JSONObject(members: [
            .init(name: "a", value: .array(list)), .init(name: "b", value: .object(JSONObject())),
        ])
        #expect(value == .object(expected))
    }

    @Test func `a buffer is parsed from its reader index`() throws {
        var buffer = ByteBuffer(string: "junk[1]")
        buffer.moveReaderIndex(forwardBy: 4)
        #expect(try JSONValue.parse(buffer) == .array([.number(JSONNumber(1))]))
    }

    @Test(arguments: [
        ("0", 0), ("-0", 0), ("1", 1), ("-17", -17), ("9223372036854775807", Int.max),
        ("-9223372036854775808", Int.min), ("9223372036854775808", nil), ("-9223372036854775809", nil), ("1.0", nil),
        ("1e0", nil), ("1E2", nil), ("0.5", nil), ("123456789012345678901234567890", nil),
    ])
    func `a number keeps its spelling and is an integer only if spelt as one`(text: String, integer: Int?) throws {
        guard case .number(let number) = try JSONValue.parse(text) else {
            Issue.record("not a number")
            return
        }
        #expect(number.text == text)
        #expect(number.integer == integer)
    }

    @Test(arguments: [
        (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"), (#""\u0041\u00E9\u20ac""#, "A\u{E9}€"),
        (#""\ud83d\ude00!""#, "😀!"), (#""\uD83D\uDE00""#, "😀"), (#""\u0000x""#, "\u{0}x"), (#""é\n😀""#, "é\n😀"),
        (#""\uffff\ue000\udbff\udfff""#, "\u{FFFF}\u{E000}\u{10FFFF}"), (#""""#, ""),
    ])
    func `escapes are resolved`(text: String, expected: String) throws {
        guard case .string(let string) = try JSONValue.parse(text) else {
            Issue.record("not a string")
            return
        }
        #expect(Array(string.utf8) == Array(expected.utf8))
    }

    @Test(arguments: [("K", "\u{212A}"), ("a\u{301}\u{323}", "a\u{323}\u{301}")])
    func `names that mean the same letters in other bytes are two names`(name: String, twin: String) throws {
        #expect(name == twin)
        guard case .object(let object) = try JSONValue.parse("{\"\(twin)\":1,\"\(name)\":2}") else {
            Issue.record("not an object")
            return
        }
        #expect(object[twin] == .number(JSONNumber(1)) && object[name] == .number(JSONNumber(2)))
        #expect(object["none"] == nil)
    }

    @Test func `two members of one name are refused, however they are spelt and however many there are`() {
        #expect(throws: JSONError.self) { try JSONValue.parse(#"{"a":1,"a":1}"#) }
        #expect(throws: JSONError.self) { try JSONValue.parse(#"{"a":1,"\u0061":2}"#) }
        #expect(throws: JSONError.self) { try JSONValue.parse(#"[{"x":{"":1,"":2}}]"#) }
        for (count, twin) in [(11, 3), (12, 0), (12, 11), (13, 12), (500, 20)] {
            let members = (0..<count).map { "\"m\($0)\":\($0)" }.joined(separator: ",")
            #expect(throws: Never.self) { try JSONValue.parse("{\(members)}") }
            #expect(throws: JSONError.self) { try JSONValue.parse("{\(members),\"m\(twin)\":0}") }
        }
    }

    @Test func `names are compared by their bytes, not by what Unicode takes for equal`() throws {
        let text = "{\"\u{E9}\":1,\"e\u{301}\":2,\"\u{212A}\":3}"
        guard case .object(let object) = try JSONValue.parse(text) else {
            Issue.record("not an object")
            return
        }
        #expect(object["\u{E9}"] == .number(JSONNumber(1)))
        #expect(object["e\u{301}"] == .number(JSONNumber(2)))
        #expect(object["K"] == nil)
    }

    @Test func `members keep their order and are found by name`() throws {
        guard case .object(let object) = try JSONValue.parse(#"{"z":1,"a":{"z":2},"m":null}"#) else {
            Issue.record("not an object")
            return
        }
        #expect(object.members.map(\.name) == ["z", "a", "m"])
        #expect(object["z"] == .number(JSONNumber(1)))
        #expect(object["m"] == .null)
        #expect(object["x"] == nil)
    }
}
