import NIOCore
import Testing

@testable import TipwireWire

@Suite struct JSONSpanTests {
    private func members(_ text: String) -> [String]? {
        JSONScanner.topLevelMembers(of: ByteBuffer(string: text))?.map { "\($0.name)=\(String(buffer: $0.raw))" }
    }

    @Test func `values are found as they are spelt, without the white space around them`() {
        #expect(
            members(" { \"type\" : \"echo\" ,\n\"payload\":\t{ \"b\" : 1.0e2,\"a\":[ ] } \r\n} ")
                == ["type=\"echo\"", "payload={ \"b\" : 1.0e2,\"a\":[ ] }"])
        #expect(members(#"{"n":-0,"s":"\ud800","e":""}"#) == ["n=-0", #"s="\ud800""#, #"e="""#])
        #expect(members(#"{"u":"\u00e9"}"#) == [#"u="\u00e9""#])
        #expect(members("{}") == [])
    }

    @Test func `repeated members all come, nested ones do not`() {
        #expect(members(#"{"a":1,"a":{"b":2},"a":3}"#) == ["a=1", #"a={"b":2}"#, "a=3"])
    }

    @Test func `names are resolved, and one that no string can hold is empty`() {
        #expect(members(#"{"t\u0079pe":1,"\ud800":2}"#) == ["type=1", "=2"])
    }

    @Test func `what is not an object, or not JSON to its end, has no members`() {
        for text in ["", "[]", "1", "\"a\"", "null", #"{"a":1"#, #"{"a":1}x"#, #"{"a":01}"#, #"{"a":"\x"}"#] {
            #expect(members(text) == nil, "\(text)")
        }
    }

    @Test func `a span knows its string`() throws {
        let text = ByteBuffer(string: #"{"a":"\u0070ing","b":1,"c":"\udc00"}"#)
        let spans = try #require(JSONScanner.topLevelMembers(of: text))
        #expect(spans.map(\.string) == ["ping", nil, nil])
    }

    @Test func `spans lie in the text also when it does not begin its buffer`() throws {
        var buffer = ByteBuffer(string: "junk{\"a\": [1] }")
        buffer.moveReaderIndex(forwardBy: 4)
        let spans = try #require(JSONScanner.topLevelMembers(of: buffer))
        #expect(spans.map(\.raw) == [ByteBuffer(string: "[1]")])
    }
}
