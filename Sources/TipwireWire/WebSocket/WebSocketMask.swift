/// The mask of one frame, at the place that its payload has reached (RFC 6455, section 5.3).
///
/// Masking and unmasking are the same exclusive or. The key is kept turned so that its lowest byte is the next one
/// due: a payload may arrive in pieces of any length, and no place has to be remembered beside it.
struct WebSocketMask: Sendable, Equatable {
    private var key: UInt32

    /// The key as read from the frame, first byte highest.
    init(key: UInt32) {
        self.key = key.byteSwapped
    }

    /// Writes `source`, masked, to the beginning of `target`, eight bytes at a time, and moves on.
    mutating func apply(_ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer) {
        precondition(target.count >= source.count)
        let word = (UInt64(key) << 32 | UInt64(key)).littleEndian
        var index = 0
        while index + 8 <= source.count {
            let masked = source.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ word
            target.storeBytes(of: masked, toByteOffset: index, as: UInt64.self)
            index += 8
        }
        while index < source.count {
            target[index] = source[index] ^ UInt8(truncatingIfNeeded: key >> UInt32(8 * (index & 3)))
            index += 1
        }
        let turn = UInt32(8 * (source.count & 3))
        key = key >> turn | key << ((32 - turn) & 31)
    }
}
