import NIOCore
import NIOHTTP1

/// The HTTP decoder of every connection: NIO's, with limits of ours, and with a finer word for what it refuses.
///
/// The parser below stops at the first byte that it doesn't like and can't tell what the rest of the line would have said.
/// Here the line is still at hand.
struct RequestDecoder: ByteToMessageDecoder {
    typealias InboundOut = HTTPServerRequestPart

    /// Bytes of a request's line and headers together; a longer head is 431. What a connection can make us hold before it
    /// has said anything.
    static let maxHeadBytes = 32 * 1_024
    /// Bytes of a header's value, its name, or the target; a longer one is 431.
    static let maxFieldBytes = 16 * 1_024
    /// Headers of one request, and as many trailers; more are 431.
    static let maxFields = 100

    private let parser = HTTPRequestDecoder(
        leftOverBytesStrategy: .forwardBytes, informationalResponseStrategy: .drop, limitConfiguration: limits)

    private static var limits: NIOHTTPDecoderLimitConfiguration {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderListSize = maxHeadBytes
        limits.maxHeaderFieldSize = maxFieldBytes
        limits.maxHeaderFieldCount = maxFields
        return limits
    }

    func decoderAdded(context: ChannelHandlerContext) { parser.decoderAdded(context: context) }

    func decoderRemoved(context: ChannelHandlerContext) { parser.decoderRemoved(context: context) }

    func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        do {
            return try parser.decode(context: context, buffer: &buffer)
        } catch let error as HTTPParserError {
            throw RequestFault(error, in: buffer)
        }
    }

    func decodeLast(context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool) throws -> DecodingState {
        do {
            return try parser.decodeLast(context: context, buffer: &buffer, seenEOF: seenEOF)
        } catch let error as HTTPParserError where error != .invalidEOFState {
            throw RequestFault(error, in: buffer)
        }
    }
}

/// Why the decoder takes no more of a connection.
enum RequestFault: Error {
    /// No HTTP, or such that two readers could understand it differently.
    case malformed
    /// The head passes one of the decoder's limits.
    case tooLarge
    /// A request of another version than 1.0 and 1.1.
    case version
    /// A whole request line, with a method that nobody has heard of.
    case method

    init(_ error: HTTPParserError, in bytes: ByteBuffer) {
        let bytes = bytes.readableBytesView
        switch error {
        case .headerOverflow: self = .tooLarge
        // A line that doesn't end as lines do is taken for a bad version by the parser.
        case .invalidVersion: self = Self.hasBareLineEnd(bytes) ? .malformed : .version
        // The preface of HTTP/2, by a client that was told to expect it here.
        case .paused: self = .version
        case .invalidMethod: self = Self.isRequestLine(bytes) ? .method : .malformed
        default: self = .malformed
        }
    }

    private static func hasBareLineEnd(_ bytes: ByteBufferView) -> Bool {
        var previous: UInt8 = 0
        for byte in bytes {
            if (byte == 0x0A) != (previous == 0x0D) { return true }
            previous = byte
        }
        return false
    }

    /// `METHOD TARGET HTTP/1.1` and its line end, whatever the method.
    private static func isRequestLine(_ bytes: ByteBufferView) -> Bool {
        guard let end = bytes.firstIndex(of: 0x0D) else { return false }
        let parts = bytes[..<end].split(separator: 0x20, omittingEmptySubsequences: false)
        return parts.count == 3 && !parts[0].isEmpty && parts[0].allSatisfy(isTokenByte)
            && (parts[2].elementsEqual("HTTP/1.1".utf8) || parts[2].elementsEqual("HTTP/1.0".utf8))
    }

    /// RFC 9110, 5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
