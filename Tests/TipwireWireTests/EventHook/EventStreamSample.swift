import Testing

@testable import TipwireWire

/// The cases of web-platform-tests' `eventsource` suite, in bytes, under the names that they have there, and what that
/// suite leaves out.
struct EventStreamSample: Sendable, CustomTestStringConvertible {
    typealias Message = EventStreamParser.Message

    let name: String
    let stream: [UInt8]
    let messages: [Message]
    /// Nil where it isn't looked at.
    var lastEventID: String?
    var retry: Int?

    init(_ name: String, _ stream: String, _ messages: [Message], lastEventID: String? = nil, retry: Int? = nil) {
        self.init(name, bytes: Array(stream.utf8), messages, lastEventID: lastEventID, retry: retry)
    }

    init(_ name: String, bytes: [UInt8], _ messages: [Message], lastEventID: String? = nil, retry: Int? = nil) {
        self.name = name
        stream = bytes
        self.messages = messages
        self.lastEventID = lastEventID
        self.retry = retry
    }

    var testDescription: String { name }

    static let all = lines + fields + ids + encodings

    private static let long = String(repeating: "x", count: 2_048)

    private static let lines: [Self] = [
        Self("one message", "data:test\n\n", [Message(data: "test")]),
        Self(
            "event-data",
            "data:msg\ndata:msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\ndata\n\ndata:end\n\n",
            [Message(data: "msg\nmsg"), Message(data: ""), Message(data: "end")]),
        Self("format-newlines", "data:test\r\ndata\ndata:test\r\r", [Message(data: "test\n\ntest")]),
        Self(
            "a line feed after a carriage return is no second line end", "data:a\r\n\r\ndata:b\r\n\r\n",
            [Message(data: "a"), Message(data: "b")]),
        Self(
            "a line feed before a carriage return is a line end of its own", "data:a\n\rdata:b\n\r",
            [Message(data: "a"), Message(data: "b")]),
        Self("empty lines send nothing off", "\n\r\r\n\n\n", []),
        Self(
            "other line ends of Unicode are text", "data:a\u{0B}b\u{0C}c\u{85}d\u{2028}e\u{2029}f\n\n",
            [Message(data: "a\u{0B}b\u{0C}c\u{85}d\u{2028}e\u{2029}f")]),
        Self(
            "format-comments", "data:1\r:\0\n:\r\ndata:2\n:\(long)\rdata:3\n:data:fail\r:\(long)\ndata:4\n\n",
            [Message(data: "1\n2\n3\n4")]),
        Self("comments alone send nothing off", ": keepalive\n\n:\n\n", []),
    ]

    private static let fields: [Self] = [
        Self(
            "format-field-data", "data:\n\ndata\ndata\n\ndata:test\n\n",
            [Message(data: ""), Message(data: "\n"), Message(data: "test")]),
        Self("format-leading-space", "data:\ttest\rdata: \ndata:test\n\n", [Message(data: "\ttest\n\ntest")]),
        Self("one space goes, the others stay", "data:  two \n\n", [Message(data: " two ")]),
        Self(
            "format-field-parsing",
            "data:\0\n data:2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n",
            [Message(data: "\0\n1\n3\n\n4")]),
        Self(
            "format-field-unknown",
            "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
            [Message(data: "test\n\ntest")]),
        Self(
            "a field name may be anything, ASCII or not", "dätä:1\n\u{FEFF}data:2\ndata :3\ndata:4\n\n",
            [Message(data: "4")]),
        Self("only the first colon counts", "data::a:b: c\n\n", [Message(data: ":a:b: c")]),
        Self(
            "format-field-event", "event:test\ndata:x\n\ndata:x\n\n",
            [Message(type: "test", data: "x"), Message(data: "x")]),
        Self("format-field-event-empty", "event: \ndata:data\n\n", [Message(data: "data")]),
        Self(
            "of two types the last one counts, an empty one too",
            "event:a\nevent:b\ndata:1\n\nevent:a\nevent\ndata:2\n\n",
            [Message(type: "b", data: "1"), Message(data: "2")]),
        Self("a type without data is forgotten", "event:a\n\ndata:1\n\n", [Message(data: "1")]),
        Self("format-field-retry", "retry:3000\ndata:x\n\n", [Message(data: "x")], retry: 3_000),
        Self("format-field-retry-bogus", "retry:3000\nretry:1000x\ndata:x\n\n", [Message(data: "x")], retry: 3_000),
        Self(
            "format-field-retry-empty", "retry:500\nretry\nretry:\ndata:test\n\n", [Message(data: "test")], retry: 500),
        Self("retry takes digits only", "retry:-1\nretry:+1\nretry:1.5\nretry:1e3\nretry:  7\nretry:٣\n\n", []),
        Self("retry takes no number that it can't hold", "retry:007\nretry:99999999999999999999\n\n", [], retry: 7),
        Self("retry counts at once, before its block ends", "retry:5\n", [], retry: 5),
    ]

    private static let ids: [Self] = [
        Self("format-field-id", "id:…\ndata:hello\n\n", [Message(data: "hello", lastEventID: "…")], lastEventID: "…"),
        Self(
            "format-field-id-3, persists", "id: 1\ndata: 1\n\ndata: 2\n\n",
            [Message(data: "1", lastEventID: "1"), Message(data: "2", lastEventID: "1")], lastEventID: "1"),
        Self(
            "format-field-id-3, changes and persists", "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\ndata: 3\n\n",
            [
                Message(data: "1", lastEventID: "1"), Message(data: "2", lastEventID: "2"),
                Message(data: "3", lastEventID: "2"),
            ], lastEventID: "2"),
        Self(
            "format-field-id-3, resets", "id: 1\ndata: 1\n\nid:\ndata: 2\n\ndata: 3\n\nid:1\ndata:4\n\nid\ndata:5\n\n",
            [
                Message(data: "1", lastEventID: "1"), Message(data: "2"), Message(data: "3"),
                Message(data: "4", lastEventID: "1"), Message(data: "5"),
            ], lastEventID: ""),
        Self(
            "format-field-id-null", "id:1\0\ndata:a\n\nid:2\ndata:b\n\nid:\0\nid:x\0y\ndata:c\n\n",
            [Message(data: "a"), Message(data: "b", lastEventID: "2"), Message(data: "c", lastEventID: "2")],
            lastEventID: "2"),
        Self("an id counts without data too", "id:7\n\ndata:x\n\n", [Message(data: "x", lastEventID: "7")]),
        Self("of two ids the last one counts", "id:1\nid:2\ndata:x\n\n", [Message(data: "x", lastEventID: "2")]),
        Self(
            "format-data-before-final-empty-line", "retry:1000\ndata:test1\n\nid:test\ndata:test2",
            [Message(data: "test1")], lastEventID: "", retry: 1_000),
        Self(
            "nor is a last block without its empty line given out", "data:1\n\nid:2\ndata:2\n",
            [Message(data: "1")], lastEventID: ""),
    ]

    private static let encodings: [Self] = [
        Self(
            "format-bom", bytes: [0xEF, 0xBB, 0xBF] + Array("data:1\n\n\u{FEFF}data:2\n\ndata:3\n\n".utf8),
            [Message(data: "1"), Message(data: "3")]),
        Self(
            "format-bom-2", bytes: [0xEF, 0xBB, 0xBF, 0xEF, 0xBB, 0xBF] + Array("data:1\n\ndata:2\n\ndata:3\n\n".utf8),
            [Message(data: "2"), Message(data: "3")]),
        Self(
            "a mark alone on the first line is an empty line", bytes: [0xEF, 0xBB, 0xBF] + Array("\ndata:1\n\n".utf8),
            [Message(data: "1")]),
        Self("half a mark is no mark", bytes: [0xEF, 0xBB] + Array("data:1\n\ndata:2\n\n".utf8), [Message(data: "2")]),
        Self("a mark in the data stays", "data:\u{FEFF}x\n\n", [Message(data: "\u{FEFF}x")]),
        Self("format-null-character", "data:\0\n\n\n\n", [Message(data: "\0")]),
        Self("format-utf-8", "data:ok…\n\n", [Message(data: "ok…")]),
        Self(
            "broken sequences are replaced, each as far as it could have gone",
            bytes:
                Array("data:".utf8) + [0xE2, 0x82, 0x41, 0xF0, 0x80, 0x80, 0x42, 0xFF, 0xC3, 0x0A, 0x0A],
            [Message(data: "\u{FFFD}A\u{FFFD}\u{FFFD}\u{FFFD}B\u{FFFD}\u{FFFD}")]),
        Self(
            "a sequence that the line's end breaks doesn't go on in the next",
            bytes:
                Array("data:".utf8) + [0xE2, 0x82, 0x0A] + Array("data:".utf8) + [0xAC, 0x0A, 0x0A],
            [Message(data: "\u{FFFD}\n\u{FFFD}")]),
        Self(
            "a colon ends a broken sequence", bytes: [0x64, 0xE2, 0x3A, 0x31, 0x0A] + Array("data:2\n\n".utf8),
            [Message(data: "2")]),
        Self(
            "ids and types are decoded too",
            bytes:
                Array("id:".utf8) + [0xFF, 0x0A] + Array("event:é".utf8) + [0xC3, 0x0A] + Array("data\n\n".utf8),
            [Message(type: "é\u{FFFD}", data: "", lastEventID: "\u{FFFD}")]),
    ]
}
