import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing
import TipwireTestSupport

@testable import TipwireServer

@Suite("Heads that are read without the decoder")
struct PlainHeadTests {
    private static let handshake =
        "GET /?auth=tw_1&channel=firehose HTTP/1.1\r\nHost: tips.example\r\nUpgrade: websocket\r\n"
        + "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: \t https://a.example\r\nEmpty:\r\n\r\n"

    private func read(_ text: String) -> (head: HTTPRequestHead, length: Int)? {
        Array(text.utf8).withUnsafeBytes { PlainHead.read($0) }
    }

    /// What the decoder makes of it: the head, when that is whole and no body follows.
    private func decode(_ bytes: [UInt8]) -> (head: HTTPRequestHead, isWhole: Bool)? {
        let channel = EmbeddedChannel(handler: ByteToMessageHandler(RequestDecoder()))
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        guard (try? channel.writeInbound(ByteBuffer(bytes: bytes))) != nil,
            case .head(let head) = try? channel.readInbound(as: HTTPServerRequestPart.self)
        else { return nil }
        if case .end(nil) = try? channel.readInbound(as: HTTPServerRequestPart.self) { return (head, true) }
        return (head, false)
    }

    @Test("A listener's request is taken, with its length, and what follows it is left")
    func whole() throws {
        let (head, length) = try #require(read(Self.handshake + "\u{81}more"))
        #expect(length == Self.handshake.utf8.count)
        #expect(head.uri == "/?auth=tw_1&channel=firehose" && head.method == .GET && head.version == .http1_1)
        #expect(head.headers["origin"] == ["https://a.example"] && head.headers["empty"] == [""])
        #expect(StreamRoute.isStream(head))
    }

    @Test("A head that isn't whole, or is in any way odd, is the decoder's")
    func odd() {
        for end in 0..<Self.handshake.utf8.count {
            #expect(read(String(decoding: Array(Self.handshake.utf8)[..<end], as: UTF8.self)) == nil)
        }
        let odd: [(String, String)] = [
            ("GET /", "POST /"), ("GET /", "get /"), ("GET /", "GET  /"), ("GET /", "\r\nGET /"), ("GET /?", "GET ?"),
            ("GET /", "GET http://a/"), ("HTTP/1.1", "HTTP/1.0"), ("HTTP/1.1", "HTTP/2.0"), (" HTTP/1.1", ""),
            ("firehose", "fire hose"), ("firehose", "fireh\u{F6}se"), ("Host:", "Host :"), ("Host:", " Host:"),
            ("Host: tips.example\r\n", "Host: tips.example\n"), ("Host: tips", "Host: \u{1}tips"),
            ("Empty:", "Empty"), ("Empty:", ":"), ("Empty:", "Content-Length: 5"),
            ("Empty:", "content-length: 0"), ("Empty:", "Transfer-Encoding: chunked"),
            ("Empty:", "Expect: 100-continue"),
            ("Empty:", "Trailer: a"), ("a.example", "a.example "), ("Upgrade: websocket", "Upgrade: h2c"),
            ("Empty:", "Bad(name): 1"),
            ("Empty:", String(repeating: "a: b\r\n", count: RequestDecoder.maxFields) + "c:"),
        ]
        for (usual, other) in odd {
            let text = Self.handshake.replacing(usual, with: other)
            #expect(text != Self.handshake && read(text) == nil, "\(other)")
        }
    }

    @Test("Whatever is taken, the decoder takes in the same way")
    func agrees() throws {
        var chance = TestSeed()
        let pieces = [
            "GET ", "/", "?a=b", "%20", " HTTP/1.1", "\r\n", "\r", "\n", "Host: a", "Host:a", ": ", ":", " ", "\t",
            "\r\n\r\n",
            "Upgrade: websocket", "Connection: Upgrade", "Connection: close", "Connection: keep-alive",
            "Cookie: a=b; c=d",
            "X-Y_z: 1", "X: \"q\"", "Keep-Alive: 5", "Proxy-Connection: close", "Content-Length: 1", "\u{80}", "\0",
        ]
        var taken = 0
        for _ in 0..<20_000 {
            var bytes = Array(Self.handshake.utf8)
            for _ in 0..<Int.random(in: 0...4, using: &chance) {
                let place = Int.random(in: 0...bytes.count, using: &chance)
                switch Int.random(in: 0..<4, using: &chance) {
                case 0: bytes.insert(contentsOf: pieces.randomElement(using: &chance)!.utf8, at: place)
                case 1: if place < bytes.count { bytes[place] = UInt8.random(in: 0...255, using: &chance) }
                case 2: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...9, using: &chance)))
                default:
                    // A line more.
                    if let end = bytes[place...].firstIndex(of: 0x0A) {
                        bytes.insert(contentsOf: (pieces.randomElement(using: &chance)! + "\r\n").utf8, at: end + 1)
                    }
                }
            }
            guard let (head, length) = bytes.withUnsafeBytes({ PlainHead.read($0) }) else { continue }
            taken += 1
            let decoded = try #require(decode(Array(bytes[..<length])), "\(chance) \(bytes)")
            #expect(decoded.isWhole, "\(chance)")
            #expect(decoded.head.uri == head.uri && decoded.head.method == head.method, "\(chance)")
            #expect(decoded.head.version == head.version, "\(chance)")
            let fields = head.headers.map { [$0.name, $0.value] }
            #expect(decoded.head.headers.map { [$0.name, $0.value] } == fields, "\(chance)")
        }
        #expect(taken > 2_000, "\(chance)")
    }
}
