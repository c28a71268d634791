import NIOCore
import Testing
import TipwireCore
import TipwireTestSupport

@testable import TipwireWire

@Suite struct JSONWriterTests {
    private func written(_ write: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter(capacity: 16)
        write(&writer)
        return String(buffer: writer.finish())
    }

    @Test func `commas and colons stand where they belong`() {
        let text = written { json in
            json.beginObject()
            json.member("type", "x")
            json.member("none", nil as String?)
            json.member("some", "y" as String?)
            json.member("int", -5)
            json.member("long", Int64.min)
            json.member("yes", true)
            json.member("then", Timestamp(milliseconds: 1_710_352_953_743))
            json.member("never", nil as Timestamp?)
            json.member("cursor", Cursor(epoch: "3f\"", sequence: 12))
            json.key("list")
            json.beginArray()
            json.value(1)
            json.null()
            json.beginObject()
            json.endObject()
            json.beginArray()
            json.endArray()
            json.value(false)
            json.raw("1.50")
            json.endArray()
            json.key("na\"me" as String)
            json.raw(ByteBuffer(string: "{}"))
            json.key("bytes")
            json.raw(Array("[ ]".utf8))
            json.endObject()
        }
        #expect(
            text == #"{"type":"x","none":null,"some":"y","int":-5,"long":-9223372036854775808,"yes":true,"#
                + #""then":"2024-03-13T18:02:33.743Z","never":null,"cursor":"3f\"-12","#
                + #""list":[1,null,{},[],false,1.50],"na\"me":{},"bytes":[ ]}"#)
    }

    @Test func `a time that was written before is written as well as one that wasn't`() {
        let times = [1_710_352_953_743, 1_710_352_953_743, 0, 0, 1, 1_710_352_953_743].map(
            Timestamp.init(milliseconds:))
        let text = written { json in
            json.beginArray()
            for time in times {
                json.value(time)
                json.value("between")
            }
            json.endArray()
        }
        #expect(text == "[" + times.map { "\"\($0)\",\"between\"" }.joined(separator: ",") + "]")
    }

    @Test(arguments: [
        ("", #""""#), ("plain", #""plain""#), ("é😀", #""é😀""#), ("a\"b", #""a\"b""#), ("a\\b", #""a\\b""#),
        ("\u{8}\t\n\u{C}\r", #""\b\t\n\f\r""#),
        ("\u{0}\u{1}\u{F}\u{10}\u{1A}\u{1F}", #""\u0000\u0001\u000f\u0010\u001a\u001f""#),
        ("</script>", #""</script>""#), ("\u{2028}x\u{2029}", #""\u2028x\u2029""#),
        ("\u{2027}\u{202A}€", "\"\u{2027}\u{202A}€\""),
        ("\u{7F}/", "\"\u{7F}/\""), ("ends with \"", #""ends with \"""#), ("\"\"", #""\"\"""#), ("\r\n", #""\r\n""#),
    ])
    func `a string is escaped where it must be and nowhere else`(string: String, expected: String) {
        #expect(written { $0.value(string) } == expected)
    }

    @Test func `whatever is written is read back`() throws {
        var chance = TestSeed()
        let pools: [ClosedRange<UInt32>] = [
            0...0x1F, 0x20...0x7E, 0x22...0x22, 0x5C...0x5C, 0x80...0x7FF, 0x2020...0x2030, 0x800...0x10FFFF,
        ]
        for _ in 0..<500 {
            let strings = (0..<4).map { _ in
                var scalars = String.UnicodeScalarView()
                for _ in 0..<Int.random(in: 0...40, using: &chance) {
                    let pool = pools.randomElement(using: &chance)!
                    scalars.append(Unicode.Scalar(UInt32.random(in: pool, using: &chance)) ?? "\u{FFFD}")
                }
                return String(scalars)
            }
            let integer = Int.random(in: Int.min...Int.max, using: &chance)
            var writer = JSONWriter(capacity: 0)
            writer.beginObject()
            writer.key(strings[0] + "#1")
            writer.value(strings[1])
            writer.key(strings[2])
            writer.beginArray()
            writer.value(strings[3])
            writer.value(integer)
            writer.endArray()
            writer.endObject()
            let parsed = try JSONValue.parse(writer.finish())
            guard case .object(let object) = parsed, object.members.count == 2,
                case .string(let first) = object.members[0].value,
                case .array(let list) = object.members[1].value, case .string(let last) = list[0]
            else {
                Issue.record("\(chance) \(parsed)")
                continue
            }
            let read = [object.members[0].name, first, object.members[1].name, last].map { Array($0.utf8) }
            let wrote = [strings[0] + "#1", strings[1], strings[2], strings[3]].map { Array($0.utf8) }
            #expect(read == wrote, "\(chance)")
            #expect(list[1] == .number(JSONNumber(integer)), "\(chance)")
        }
    }
}
