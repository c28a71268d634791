/// Checks UTF-8 that arrives in pieces, cut anywhere, and finds the first byte that cannot be.
///
/// The state is one byte: which bytes may come next. The table is Unicode's 3-7, which is also RFC 3629: no
/// overlong forms, no surrogates, nothing above U+10FFFF.
public struct UTF8Validator: Sendable, Equatable {
    private enum State: UInt8 {
        /// Between characters.
        case boundary
        /// So many bytes 80…BF are still to come.
        case oneMore
        case twoMore
        case threeMore
        /// After these lead bytes the next one has a narrower range: A0…BF, 80…9F, 90…BF, 80…8F.
        case afterE0
        case afterED
        case afterF0
        case afterF4
        /// No continuation can mend it.
        case broken
    }

    private var state: State = .boundary

    public init() {}

    /// Whether what came so far is valid and ends between characters.
    public var isComplete: Bool { state == .boundary }

    /// Takes the next piece; false once the text can no longer become valid.
    public mutating func accept(_ bytes: UnsafeRawBufferPointer) -> Bool {
        firstInvalid(in: bytes) == nil
    }

    /// Takes the next piece; returns the place of its first impossible byte, or nil.
    public mutating func firstInvalid(in bytes: UnsafeRawBufferPointer) -> Int? {
        var index = 0
        while index < bytes.count {
            if state == .boundary {
                index = Self.skipASCII(in: bytes, from: index)
                guard index < bytes.count else { return nil }
            }
            state = Self.state(after: state, byte: bytes[index])
            if state == .broken { return index }
            index += 1
        }
        return nil
    }

    /// The place of the first byte beyond ASCII, eight at a time while there are eight.
    private static func skipASCII(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var index = start
        while index + 8 <= bytes.count,
            bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
        {
            index += 8
        }
        while index < bytes.count, bytes[index] < 0x80 { index += 1 }
        return index
    }

    private static func state(after state: State, byte: UInt8) -> State {
        switch (state, byte) {
        case (.boundary, 0x00...0x7F): .boundary
        case (.boundary, 0xC2...0xDF): .oneMore
        case (.boundary, 0xE0): .afterE0
        case (.boundary, 0xED): .afterED
        case (.boundary, 0xE1...0xEF): .twoMore
        case (.boundary, 0xF0): .afterF0
        case (.boundary, 0xF1...0xF3): .threeMore
        case (.boundary, 0xF4): .afterF4
        case (.oneMore, 0x80...0xBF): .boundary
        case (.twoMore, 0x80...0xBF), (.afterE0, 0xA0...0xBF), (.afterED, 0x80...0x9F): .oneMore
        case (.threeMore, 0x80...0xBF), (.afterF0, 0x90...0xBF), (.afterF4, 0x80...0x8F): .twoMore
        default: .broken
        }
    }
}
