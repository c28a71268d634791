import NIOCore
import Testing

@testable import TipwireWire

@Suite struct PallyClientMessageTests {
    private func parse(_ text: String) -> PallyClientMessage {
        PallyClientMessage.parse(ByteBuffer(string: text))
    }

    @Test(arguments: ["ping", "PING", "Ping", "pInG", " ping", "ping\n", "\t\r\n ping \u{B}\u{C}"])
    func `the bare word is a ping in any case and with white space around it`(text: String) {
        #expect(parse(text) == .ping)
    }

    @Test(arguments: [
        #"{"type":"ping"}"#, " {\n\"type\" : \"ping\" } ", #"{"id":7,"type":"ping","payload":1}"#,
        #"{"t\u0079pe":"p\u0069ng"}"#, #"{"type":"ping","type":"echo","payload":1}"#,
    ])
    func `an object of type ping is a ping`(text: String) {
        #expect(parse(text) == .ping)
    }

    @Test(arguments: [
        (#"{"type":"echo","payload":"hi"}"#, #""hi""#),
        (#"{"payload":1.50e+3,"type":"echo"}"#, "1.50e+3"),
        (#"{"type":"echo","payload":{"b":1, "a":[ 2 ,3]}}"#, #"{"b":1, "a":[ 2 ,3]}"#),
        ("{ \"type\" : \"echo\" , \"payload\" :\n\tnull\n}\n", "null"),
        (#"{"type":"echo","payload":"\ud800\u0041<é"}"#, #""\ud800\u0041<é""#),
        (#"{"type":"echo","payload":12345678901234567890123}"#, "12345678901234567890123"),
        (#"{"type":"echo","payload":[],"payload":2,"type":"ping"}"#, "[]"),
        (#"{"x":{"type":"ping","payload":0},"type":"echo","payload":{"a":1,"a":2}}"#, #"{"a":1,"a":2}"#),
    ])
    func `an echo gives its payload back byte for byte`(text: String, payload: String) {
        #expect(parse(text) == .echo(ByteBuffer(string: payload)))
    }

    @Test(arguments: [
        "", " ", "pin", "pings", "p ing", "pong", "\"ping\"", "pıng", "p\u{49}\u{4E}", "PI\u{0E}G", "\u{A0}ping",
        "{}", "[]", "null", #"{"type":"echo"}"#, #"{"payload":1}"#, #"{"type":"ECHO","payload":1}"#,
        #"{"type":"Ping"}"#, #"{"type":["ping"]}"#, #"{"type":1,"payload":1}"#, #"{"type":null,"type":"ping"}"#,
        #"{"type":"ping""#, #"{"type":"ping"}x"#, #"{"type":"echo","payload":01}"#, #"{"type":"echo","payload":}"#,
        #"{"type":"subscribe","payload":1}"#, #"[{"type":"ping"}]"#,
    ])
    func `anything else is nobody's business`(text: String) {
        #expect(parse(text) == .other)
    }

    @Test func `bytes that are no text are nobody's business`() {
        #expect(PallyClientMessage.parse(ByteBuffer(bytes: [0xFF, 0xFE])) == .other)
    }
}
