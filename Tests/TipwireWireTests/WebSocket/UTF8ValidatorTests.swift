import Testing

@testable import TipwireWire

@Suite struct UTF8ValidatorTests {
    /// Markus Kuhn's stress test: first and last of each length, overlong forms, surrogates, lone continuations,
    /// impossible bytes, cut sequences.
    static let invalid: [[UInt8]] = [
        [0x80], [0xBF], [0x80, 0xBF], [0x61, 0x80], [0xC0], [0xC1], [0xF5], [0xF8], [0xFC], [0xFE], [0xFF],
        [0xC0, 0x80], [0xC0, 0xAF], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xE0, 0x80, 0xAF], [0xE0, 0x9F, 0xBF],
        [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x80, 0x80, 0xAF], [0xF0, 0x8F, 0xBF, 0xBF],
        [0xED, 0xA0, 0x80], [0xED, 0xAF, 0xBF], [0xED, 0xB0, 0x80], [0xED, 0xBF, 0xBF],
        [0xED, 0xA0, 0x80, 0xED, 0xB0, 0x80], [0xED, 0xAF, 0xBF, 0xED, 0xBF, 0xBF],
        [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xF7, 0xBF, 0xBF, 0xBF],
        [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFC, 0x84, 0x80, 0x80, 0x80, 0x80],
        [0xC2], [0xDF], [0xE0], [0xE0, 0xA0], [0xEF, 0xBF], [0xF0, 0x90], [0xF0, 0x90, 0x80], [0xF4, 0x8F, 0xBF],
        [0xC2, 0x41], [0xC2, 0xC2, 0x80], [0xE2, 0x82, 0x41], [0xE2, 0x41, 0x80], [0xF0, 0x9F, 0x98, 0x41],
        [0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0xFF],
    ]

    private func isValid(_ bytes: [UInt8]) -> Bool {
        var validator = UTF8Validator()
        return bytes.withUnsafeBytes { validator.accept($0) } && validator.isComplete
    }

    private func isValidBytewise(_ bytes: [UInt8]) -> Bool {
        var validator = UTF8Validator()
        return bytes.allSatisfy { byte in withUnsafeBytes(of: byte) { validator.accept($0) } } && validator.isComplete
    }

    @Test(arguments: invalid)
    func `what is not UTF-8 is refused`(bytes: [UInt8]) {
        #expect(!isValid(bytes))
        #expect(!isValidBytewise(bytes))
    }

    @Test func `every scalar is accepted, and of every neighbour only what Swift accepts too`() {
        for value in 0...UInt32(0x10FFFF) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            if !isValid(Array(UTF8.encode(scalar)!)) { Issue.record("U+\(String(value, radix: 16))") }
        }
    }

    @Test func `each pair of bytes, alone and with a tail, is judged as Swift judges it`() {
        for first in UInt8.min...UInt8.max {
            // Outside the continuations and their neighbours all bytes are alike.
            for second in [0x00, 0x41] + Array(UInt8(0x7E)...0xC2) {
                for tail: [UInt8] in [[], [0x80], [0xBF], [0x80, 0x80], [0xBF, 0xBF], [0x41]] {
                    let bytes = [first, second] + tail
                    let expected = String(validating: bytes, as: UTF8.self) != nil
                    if isValid(bytes) != expected || isValidBytewise(bytes) != expected {
                        Issue.record("\(bytes) is \(expected ? "valid" : "invalid")")
                    }
                }
            }
        }
    }

    @Test func `the first impossible byte is found where it is, behind any cut`() {
        var text = Array("a longer run of ASCII, then κόσμε and 😀".utf8)
        let place = text.count
        text += [0xE2, 0x28, 0xA1]
        for cut in 0...place {
            var validator = UTF8Validator()
            let head = text[..<cut].withUnsafeBytes { validator.firstInvalid(in: $0) }
            let tail = text[cut...].withUnsafeBytes { validator.firstInvalid(in: $0) }
            #expect(head == nil)
            #expect(tail == place + 1 - cut)
        }
    }

    @Test func `once broken, it stays broken`() {
        var validator = UTF8Validator()
        #expect(![0xFF].withUnsafeBytes { validator.accept(UnsafeRawBufferPointer(rebasing: $0[..<1])) })
        #expect(!Array("fine".utf8).withUnsafeBytes { validator.accept($0) })
        #expect(!validator.isComplete)
    }
}
