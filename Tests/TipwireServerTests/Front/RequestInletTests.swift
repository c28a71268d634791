import NIOCore
import Testing
import TipwireTestSupport

@testable import TipwireServer

@Suite("One request at a time")
struct RequestInletTests {
    @Test(
        "Bytes are let in up to the first empty line",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET", 27), ("GET / HTTP/1.1\r\nHost: x\r\n\r\n\r\n\n\r", 30),
            // A head that isn't whole yet.
            ("GET / HTTP/1.1\r\nHost: x\r\n", 25), ("GET / HT", 8), ("GET / HTTP/1.1\r\nHost: x\r\n\r", 26),
            // Its end was cut in two before.
            ("\r\nGET / HTTP/1.1\r\n\r\n", 2), ("\nGET / HTTP/1.1\r\n\r\n", 1), ("\n\r\nGET", 3), ("\r", 1),
            // A chunked body ends with one, and may have some in it.
            ("5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n", 15), ("4\r\n\r\n\r\n\r\nx", 9),
            // Lines that end without a carriage return are for the decoder to refuse.
            ("GET / HTTP/1.1\n\nGET / HTTP/1.1\n\n", 32), ("x\n\r\nGET", 7),
        ])
    func emptyLine(bytes: String, length: Int) {
        #expect(ByteBuffer(string: bytes).readableBytesView.endOfEmptyLine == length)
    }

    @Test("A body goes in with the line ends behind it", arguments: [("abcGET", 3), ("abc\r\n\r\nGET", 7), ("ab", 2)])
    func body(bytes: String, length: Int) {
        #expect(ByteBuffer(string: bytes).readableBytesView.endOfBody(3) == length)
    }

    @Test("However the bytes come, no piece of them has more of the next request than empty lines")
    func pieces() {
        var random = TestSeed()
        let requests = [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a HTTP/1.1\r\n\r\n", "0\r\n\r\n",
            "3\r\n\r\n\n\r\n0\r\nA: b\r\n\r\n",
        ]
        for _ in 0..<2_000 {
            var bytes = ByteBuffer()
            var ends: [Int] = []
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes.writeString(requests.randomElement(using: &random)!)
                ends.append(bytes.writerIndex)
                if random.chance(20) { bytes.writeString(String(repeating: "\r\n", count: 3)) }
            }
            let all = bytes
            while bytes.readableBytes > 0 {
                let count = Int.random(in: 1...min(40, bytes.readableBytes), using: &random)
                var read = bytes.readSlice(length: count)!
                while read.readableBytes > 0 {
                    let first = bytes.readerIndex - read.readableBytes
                    let length = read.readableBytesView.endOfEmptyLine
                    read.moveReaderIndex(forwardBy: length)
                    guard let end = ends.first(where: { $0 > first && $0 < first + length }) else { continue }
                    let rest = all.getString(at: end, length: first + length - end)!
                    #expect(rest.utf8.allSatisfy { $0 == 0x0D || $0 == 0x0A }, "\(random): \(rest)")
                }
            }
        }
    }

    @Test("Requests of every kind are answered in their order, wherever their bytes were cut", .timeLimit(.minutes(2)))
    func cuts() async throws {
        try await TestServer.run { server in
            let tip = #"{"grossAmountInCents":500}"#
            let head =
                "POST /api/v1/pages/main/tips HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(server.admin)\r\n"
                + "Content-Type: application/json\r\n"
            let script = ByteBuffer(
                string: server.request("GET", "/nowhere") + head + "Content-Length: 26 \r\n\r\n" + tip + head
                    + "Transfer-Encoding: chunked\r\n\r\n10\r\n\(tip.prefix(16))\r\na\r\n\(tip.suffix(10))\r\n"
                    + "0\r\nX: y\r\n\r\n" + server.request("GET", "/ready"))
            for cut in 1..<script.readableBytes {
                let wire = try await server.connect()
                try await wire.send(script.getSlice(at: 0, length: cut)!)
                try await wire.send(script.getSlice(at: cut, length: script.readableBytes - cut)!)
                for status in [404, 201, 201, 200] { #expect(try await wire.reply().status == status, "cut at \(cut)") }
                await wire.close()
            }
        }
    }
}
