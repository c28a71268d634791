import Crypto
import NIOCore
import NIOHTTP1

/// The opening handshake of RFC 6455, section 4.2: whether a request may become a WebSocket, and the bytes that say so.
///
/// Extensions and subprotocols are declined the way the RFC wants it: by not mentioning them.
public enum WebSocketHandshake {
    /// Why a request for an upgrade is refused.
    public struct Refusal: Error, Sendable, Equatable {
        /// 400 for a malformed handshake, 405 for another method than GET, 426 for another version than 13.
        public var status: Int
        /// What is wrong, as a sentence for the client's author.
        public var reason: String
        /// What the response must carry beside its body.
        public var headers = HTTPHeaders()
    }

    /// The version of the protocol: the only one that was ever standardized.
    private static let version = "13"

    /// Whether the request asks for a WebSocket at all, well or badly.
    ///
    /// `Upgrade` alone decides. A proxy that loses `Connection: upgrade` on the way is a common mistake, and its
    /// owner is better served by the refusal of `check` than by an HTML page.
    public static func isUpgrade(_ headers: HTTPHeaders) -> Bool {
        has("websocket", in: "upgrade", headers)
    }

    /// Checks a request; success carries the value for `Sec-WebSocket-Accept`.
    public static func check(
        method: String, httpVersion: (major: Int, minor: Int), headers: HTTPHeaders
    ) -> Result<String, Refusal> {
        guard method == "GET" else {
            return .failure(
                Refusal(status: 405, reason: "A WebSocket is opened with GET.", headers: ["Allow": "GET"]))
        }
        guard httpVersion >= (1, 1) else { return bad("A WebSocket needs HTTP/1.1.") }
        guard isUpgrade(headers) else { return bad("The Upgrade header does not name websocket.") }
        guard has("upgrade", in: "connection", headers) else {
            return bad("The Connection header does not name Upgrade; a proxy may have removed it.")
        }
        guard headers.contains(name: "Sec-WebSocket-Version") else {
            return bad("The Sec-WebSocket-Version header is missing.")
        }
        guard headers["Sec-WebSocket-Version"].map(trimmed) == [version[...]] else {
            return .failure(
                Refusal(
                    status: 426, reason: "This server speaks version 13 of the WebSocket protocol.",
                    headers: ["Upgrade": "websocket", "Sec-WebSocket-Version": version]))
        }
        let keys = headers["Sec-WebSocket-Key"].map(trimmed)
        guard keys.count == 1 else { return bad("There must be one Sec-WebSocket-Key header.") }
        guard isKey(keys[0]) else { return bad("The Sec-WebSocket-Key is not 16 bytes in base64.") }
        return .success(acceptValue(for: String(keys[0])))
    }

    /// The base64 of the SHA-1 of the key and the RFC's constant. It proves that the server meant to speak WebSocket;
    /// as a secret it is worth nothing, and SHA-1 does no harm.
    public static func acceptValue(for key: String) -> String {
        var digest = Insecure.SHA1()
        digest.update(data: Array(key.utf8))
        digest.update(data: Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8))
        return base64(Array(digest.finalize()))
    }

    /// The bytes of the 101 response. What follows them on the connection is frames.
    ///
    /// These bytes pass no header validation on their way out. Values of `extraHeaders` are the server's own; one
    /// with a line break in it is a mistake in the program.
    public static func response(accept: String, extraHeaders: HTTPHeaders = HTTPHeaders()) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: 256)
        buffer.writeStaticString("HTTP/1.1 101 Switching Protocols\r\n")
        buffer.writeStaticString("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
        buffer.writeString(accept)
        buffer.writeStaticString("\r\n")
        for (name, value) in extraHeaders {
            precondition(!(name + value).utf8.contains { $0 == 0x0D || $0 == 0x0A }, "line break in a header")
            buffer.writeString(name)
            buffer.writeStaticString(": ")
            buffer.writeString(value)
            buffer.writeStaticString("\r\n")
        }
        buffer.writeStaticString("\r\n")
        return buffer
    }

    private static func bad(_ reason: String) -> Result<String, Refusal> {
        .failure(Refusal(status: 400, reason: reason))
    }

    /// Whether the list of tokens that is the header `name` holds `token`, in any case.
    private static func has(_ token: String, in name: String, _ headers: HTTPHeaders) -> Bool {
        headers.contains { field in
            isSame(field.name.utf8, name)
                && field.value.utf8.split(separator: UInt8(ascii: ",")).contains { isSame(trimmed($0), token) }
        }
    }

    /// Equality with a lower-case word, in any case: of bytes, because each request of a server passes here.
    private static func isSame(_ text: some Collection<UInt8>, _ word: String) -> Bool {
        text.elementsEqual(word.utf8) { byte, letter in
            (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 == letter : byte == letter
        }
    }

    private static func trimmed(_ text: Substring.UTF8View) -> Substring.UTF8View {
        let isBlank: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        let start = text.drop(while: isBlank)
        guard let end = start.lastIndex(where: { !isBlank($0) }) else { return start }
        return start[...end]
    }

    /// A header's value without the blanks around it, which aren't part of it.
    private static func trimmed(_ value: String) -> Substring { Substring(trimmed(value[...].utf8)) }

    /// Sixteen bytes are 22 characters of base64 and two of padding. The last character has four bits to spare; the
    /// RFC that could forbid ones in them leaves it to the decoder.
    private static func isKey(_ key: Substring) -> Bool {
        key.utf8.count == 24 && key.hasSuffix("==") && key.utf8.dropLast(2).allSatisfy(isDigit)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
            true
        default: false
        }
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Foundation's would be the only use of Foundation in this target.
    private static func base64(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start...].prefix(3)
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for place in 0..<4 {
                let isPadding = place > group.count
                text.append(isPadding ? UInt8(ascii: "=") : alphabet[bits >> (18 - 6 * place) & 0x3F])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
