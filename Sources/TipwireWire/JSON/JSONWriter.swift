import NIOCore
import TipwireCore

/// Writes one JSON text, front to back, into a buffer that can go out as it is.
///
/// Every event passes here once per dialect, so there is no tree and no reflection between a value and its bytes.
/// The caller is trusted with the structure; commas are the writer's:
///
///     var json = JSONWriter(capacity: 512)
///     json.beginObject()
///     json.member("type", "campaigntip.notify")
///     json.key("amounts")
///     json.beginArray()
///     json.value(500)
///     json.endArray()
///     json.endObject()
///     let bytes = json.finish()
public struct JSONWriter: ~Copyable {
    /// What has been written so far. Memory of its own, because a text is made of many small pieces: for each an array looks whether
    /// it is the only holder of its bytes, and a `ByteBuffer` at more than that. The one copy at the end costs less.
    private var bytes: UnsafeMutablePointer<UInt8>
    private var count = 0
    private var capacity: Int

    /// A comma stands between a value and what follows it in the same container; after an opening bracket or a
    /// name there is none. So the last thing written decides alone, and nesting needs no stack.
    private var needsComma = false

    /// Open containers, to catch a forgotten `end`.
    private var depth = 0

    /// The time that was written last, and where: the times of a tip, and of all tips of a batch, are mostly the same.
    private var lastTime: (time: Timestamp, offset: Int)?

    public init(capacity: Int) {
        self.capacity = max(capacity, 16)
        bytes = .allocate(capacity: self.capacity)
    }

    deinit { bytes.deallocate() }

    /// The text, complete. To leave a container open is a mistake in the program.
    public consuming func finish() -> ByteBuffer {
        precondition(depth == 0, "a JSON container was left open")
        var buffer = ByteBufferAllocator().buffer(capacity: count)
        buffer.writeBytes(UnsafeRawBufferPointer(start: bytes, count: count))
        return buffer
    }

    /// Where the next `length` bytes go. Whoever asks writes at most these, and adds to `count` what it wrote.
    @inline(__always)
    private mutating func place(_ length: Int) -> UnsafeMutablePointer<UInt8> {
        if capacity - count < length { grow(by: length) }
        return bytes + count
    }

    @inline(never)
    private mutating func grow(by length: Int) {
        capacity = max(2 * capacity, count + length)
        let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        moved.update(from: bytes, count: count)
        bytes.deallocate()
        bytes = moved
    }

    private mutating func append(_ byte: UInt8) {
        place(1).pointee = byte
        count += 1
    }

    private mutating func append(_ text: UnsafeBufferPointer<UInt8>) {
        guard let start = text.baseAddress else { return }
        place(text.count).update(from: start, count: text.count)
        count += text.count
    }

    private mutating func append(_ text: StaticString) { text.withUTF8Buffer { append($0) } }

    private mutating func separate() {
        if needsComma { append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func begin(_ bracket: UInt8) {
        separate()
        append(bracket)
        needsComma = false
        depth += 1
    }

    private mutating func end(_ bracket: UInt8) {
        append(bracket)
        needsComma = true
        depth -= 1
    }
}

// MARK: - Structure

extension JSONWriter {
    public mutating func beginObject() { begin(UInt8(ascii: "{")) }
    public mutating func endObject() { end(UInt8(ascii: "}")) }
    public mutating func beginArray() { begin(UInt8(ascii: "[")) }
    public mutating func endArray() { end(UInt8(ascii: "]")) }

    /// The name of the next value. A name in the source code needs no look at its characters: it must be one that
    /// JSON writes as it is.
    public mutating func key(_ name: StaticString) {
        assert(
            name.withUTF8Buffer { Self.firstEscape(in: $0, from: 0) } == name.utf8CodeUnitCount,
            "write this name with key(String)")
        name.withUTF8Buffer { name in
            // In one go: there is one before nearly every value.
            var end = place(name.count + 4)
            if needsComma {
                end.pointee = UInt8(ascii: ",")
                end += 1
            }
            end.pointee = UInt8(ascii: "\"")
            if let start = name.baseAddress { (end + 1).update(from: start, count: name.count) }
            end += name.count + 1
            end[0] = UInt8(ascii: "\"")
            end[1] = UInt8(ascii: ":")
            count = end + 2 - bytes
        }
        needsComma = false
    }

    /// The name of the next value, any string. Disfavoured, or each literal would come here.
    @_disfavoredOverload
    public mutating func key(_ name: String) {
        writeQuoted(name)
        append(UInt8(ascii: ":"))
        needsComma = false
    }
}

// MARK: - Values

extension JSONWriter {
    public mutating func value(_ string: String) {
        writeQuoted(string)
    }

    /// The string, or `null`.
    public mutating func value(_ string: String?) {
        if let string { value(string) } else { null() }
    }

    public mutating func value(_ integer: Int) {
        value(Int64(integer))
    }

    public mutating func value(_ integer: Int64) {
        separate()
        appendDigits(of: integer)
    }

    private mutating func appendDigits(of integer: Int64) {
        var rest = integer.magnitude
        // Twenty digits are the most that 64 bits have, and a sign; they come from behind.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 21) { digits in
            var start = 21
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            if integer < 0 {
                start -= 1
                digits[start] = UInt8(ascii: "-")
            }
            append(UnsafeBufferPointer(rebasing: digits[start...]))
        }
    }

    /// As its description.
    public mutating func value(_ time: Timestamp) {
        separate()
        let end = place(Timestamp.textBytes + 2)
        if let last = lastTime, last.time == time {
            end.update(from: bytes + last.offset, count: Timestamp.textBytes + 2)
        } else {
            end[0] = UInt8(ascii: "\"")
            time.write(to: end + 1)
            end[Timestamp.textBytes + 1] = UInt8(ascii: "\"")
            lastTime = (time, count)
        }
        count += Timestamp.textBytes + 2
    }

    /// As its description.
    public mutating func value(_ cursor: Cursor) {
        separate()
        append(UInt8(ascii: "\""))
        appendEscaped(cursor.epoch)
        append(UInt8(ascii: "-"))
        appendDigits(of: cursor.sequence)
        append(UInt8(ascii: "\""))
    }

    public mutating func value(_ bool: Bool) {
        separate()
        append(bool ? "true" : "false")
    }

    public mutating func null() {
        separate()
        append("null")
    }

    /// A value that is JSON already. It is not looked at.
    public mutating func raw(_ json: ByteBuffer) {
        separate()
        json.withUnsafeReadableBytes { append($0.assumingMemoryBound(to: UInt8.self)) }
    }

    /// A value that is JSON already. It is not looked at.
    public mutating func raw(_ json: [UInt8]) {
        separate()
        json.withUnsafeBufferPointer { append($0) }
    }

    /// A value that is JSON already. It is not looked at.
    public mutating func raw(_ json: String) {
        separate()
        var json = json
        json.withUTF8 { append($0) }
    }
}

// MARK: - Members

extension JSONWriter {
    public mutating func member(_ name: StaticString, _ value: String) {
        key(name)
        self.value(value)
    }

    /// The member is there in any case; without a string it is `null`.
    public mutating func member(_ name: StaticString, _ value: String?) {
        key(name)
        self.value(value)
    }

    public mutating func member(_ name: StaticString, _ value: Int) {
        key(name)
        self.value(value)
    }

    /// The member is there in any case; without a number it is `null`.
    public mutating func member(_ name: StaticString, _ value: Int?) {
        key(name)
        if let value { self.value(value) } else { null() }
    }

    public mutating func member(_ name: StaticString, _ value: Int64) {
        key(name)
        self.value(value)
    }

    public mutating func member(_ name: StaticString, _ value: Int64?) {
        key(name)
        if let value { self.value(value) } else { null() }
    }

    public mutating func member(_ name: StaticString, _ value: Bool) {
        key(name)
        self.value(value)
    }

    public mutating func member(_ name: StaticString, _ cursor: Cursor) {
        key(name)
        value(cursor)
    }

    public mutating func member(_ name: StaticString, _ time: Timestamp) {
        key(name)
        value(time)
    }

    /// The member is there in any case; without a time it is `null`.
    public mutating func member(_ name: StaticString, _ time: Timestamp?) {
        key(name)
        if let time { value(time) } else { null() }
    }
}

// MARK: - Escapes

extension JSONWriter {
    private mutating func writeQuoted(_ string: String) {
        separate()
        append(UInt8(ascii: "\""))
        appendEscaped(string)
        append(UInt8(ascii: "\""))
    }

    private mutating func appendEscaped(_ string: String) {
        var string = string
        string.withUTF8 { utf8 in
            var start = 0
            while start < utf8.count {
                let end = Self.firstEscape(in: utf8, from: start)
                append(UnsafeBufferPointer(rebasing: utf8[start..<end]))
                guard end < utf8.count else { return }
                start = end + writeEscape(of: utf8, at: end)
            }
        }
    }

    /// Where the next character stands that may not stand for itself, or the end.
    ///
    /// Beside what JSON demands these are U+2028 and U+2029: JSON allows them, JavaScript before 2019 takes them
    /// for ends of lines, and messages end up in scripts and in `data:` lines.
    private static func firstEscape(in utf8: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var index = start
        while index < utf8.count {
            let byte = utf8[index]
            if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return index }
            // Swift's strings are valid UTF-8: behind E2 there are two more bytes.
            if byte == 0xE2, utf8[index + 1] == 0x80, utf8[index + 2] | 1 == 0xA9 { return index }
            index += 1
        }
        return index
    }

    /// Writes the escape for the character at `index` and returns the bytes that the character takes.
    private mutating func writeEscape(of utf8: UnsafeBufferPointer<UInt8>, at index: Int) -> Int {
        switch utf8[index] {
        case UInt8(ascii: "\""): append("\\\"")
        case UInt8(ascii: "\\"): append("\\\\")
        case 0x08: append("\\b")
        case 0x09: append("\\t")
        case 0x0A: append("\\n")
        case 0x0C: append("\\f")
        case 0x0D: append("\\r")
        case 0xE2:
            append(utf8[index + 2] == 0xA8 ? "\\u2028" : "\\u2029")
            return 3
        case let control:
            append(control < 0x10 ? "\\u000" : "\\u001")
            let digit = control & 0x0F
            append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
        return 1
    }
}
