/// Reads the frames that servers send: short, unmasked, unfragmented.
enum WebSocketReader {
    /// The next piece, or nil when what is left is the beginning of a frame. Moves `offset` behind what was read.
    @inline(__always)
    static func next(in bytes: UnsafeRawBufferPointer, at offset: inout Int) -> StreamPiece? {
        while bytes.count - offset >= 2 {
            let first = bytes[offset]
            var header = 2
            var length = Int(bytes[offset + 1])
            if length == 126 {
                guard bytes.count - offset >= 4 else { return nil }
                length = Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3])
                header = 4
            } else if length > 126 {
                return .broken("a frame that is masked or longer than 65,535 bytes")
            }
            let payload = (offset + header)..<(offset + header + length)
            guard payload.upperBound <= bytes.count else { return nil }
            offset = payload.upperBound
            if first == 0x81 {
                guard let sequence = EventMessage.sequence(of: UnsafeRawBufferPointer(rebasing: bytes[payload])) else {
                    return .foreign
                }
                return .event(sequence: sequence, size: length)
            }
            switch first & 0x0F {
            case 0x8: return .closed(code: code(bytes[payload]))
            case 0x9: return .ping(payload: payload)
            case 0xA: continue
            default: return .foreign
            }
        }
        return nil
    }

    /// A close frame's code; 1005 stands for none.
    private static func code(_ payload: Slice<UnsafeRawBufferPointer>) -> Int {
        guard payload.count >= 2 else { return 1_005 }
        return Int(payload[payload.startIndex]) << 8 | Int(payload[payload.startIndex + 1])
    }
}
