import NIOCore
import NIOHTTP1

/// Reads the head of a request as listeners send it: whole, in one piece, and with nothing odd about it.
///
/// Not a second HTTP parser. What it takes, the decoder takes in the same way (`PlainHeadTests` hold it to that), and of
/// everything else, from a fold to a body, it says nothing: that is the decoder's to read, which has the words for what is wrong.
enum PlainHead {
    /// Bytes of a head. A browser's handshake with its cookies fits.
    static let maxBytes = 4_096

    /// Headers that say something about the request that isn't for who reads no bodies.
    private static let others = ["content-length", "transfer-encoding", "expect", "trailer"]

    /// The head of a GET at the beginning of `bytes`, and how many of them it is; nil for anything else.
    static func read(_ bytes: UnsafeRawBufferPointer) -> (head: HTTPRequestHead, length: Int)? {
        var rest = bytes[...]
        guard let line = takeLine(&rest), line.starts(with: "GET /".utf8), line.count > 14 else { return nil }
        let target = line.dropFirst(4).dropLast(9)
        guard line.suffix(9).elementsEqual(" HTTP/1.1".utf8), target.allSatisfy({ (0x21...0x7E).contains($0) })
        else { return nil }
        var fields: [(String, String)] = []
        fields.reserveCapacity(16)
        while let line = takeLine(&rest) {
            if line.isEmpty {
                let headers = HTTPHeaders(fields)
                // Another protocol than the one that becomes a stream is the decoder's, too.
                guard !others.contains(where: { headers.contains(name: $0) }),
                    headers["upgrade"].allSatisfy({ $0.lowercased() == "websocket" })
                else { return nil }
                let uri = String(decoding: target, as: UTF8.self)
                return (
                    HTTPRequestHead(version: .http1_1, method: .GET, uri: uri, headers: headers), rest.startIndex
                )
            }
            guard fields.count < RequestDecoder.maxFields, let field = field(line) else { return nil }
            fields.append(field)
        }
        return nil
    }

    /// What is before the next line's end, which is left out.
    private static func takeLine(_ rest: inout Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer>? {
        guard let end = rest.firstIndex(of: 0x0D), end + 1 < rest.endIndex, rest[end + 1] == 0x0A else { return nil }
        defer { rest = rest[(end + 2)...] }
        return rest[..<end]
    }

    private static func field(_ line: Slice<UnsafeRawBufferPointer>) -> (String, String)? {
        guard let colon = line.firstIndex(of: 0x3A), colon > line.startIndex else { return nil }
        let name = line[..<colon]
        guard name.allSatisfy({ isNameByte($0) }) else { return nil }
        var value = line[(colon + 1)...]
        while value.first == 0x20 || value.first == 0x09 { value.removeFirst() }
        // White space at the end is none of the value's (RFC 9112, 5.1), and the decoder leaves it there.
        if value.last == 0x20 || value.last == 0x09 { return nil }
        guard value.allSatisfy({ (0x20...0x7E).contains($0) }) else { return nil }
        return (String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self))
    }

    /// Of a token (RFC 9110, 5.6.2), those that names are made of.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x61...0x7A, 0x41...0x5A, 0x30...0x39, 0x2D, 0x5F: true
        default: false
        }
    }
}
