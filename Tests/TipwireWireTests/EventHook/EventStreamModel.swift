import TipwireWire

/// The standard's text, step by step, over a whole stream: decode, cut into lines, process each. Slow, and written
/// without the parser's shortcuts.
enum EventStreamModel {
    static func messages(of stream: [UInt8]) -> [EventStreamParser.Message] {
        var text = decoded(stream)
        if text.first == "\u{FEFF}" { text.removeFirst() }
        var messages: [EventStreamParser.Message] = []
        var (data, type, id) = ("", "", "")
        for line in lines(of: text) {
            if line.isEmpty {
                if !data.unicodeScalars.isEmpty {
                    data.unicodeScalars.removeLast()
                    messages.append(.init(type: type.isEmpty ? "message" : type, data: data, lastEventID: id))
                }
                (data, type) = ("", "")
                continue
            }
            guard line.first != ":" else { continue }
            let name = line.prefix { $0 != ":" }
            var value = line.dropFirst(name.count + 1)
            if value.first == " " { value = value.dropFirst() }
            switch string(name) {
            case "data": data += string(value) + "\n"
            case "event": type = string(value)
            case "id" where !value.contains("\0"): id = string(value)
            default: break
            }
        }
        return messages
    }

    /// The lines that are ended; what stands behind the last end is none.
    private static func lines(of text: [Unicode.Scalar]) -> [[Unicode.Scalar]] {
        var lines: [[Unicode.Scalar]] = []
        var line: [Unicode.Scalar] = []
        var index = 0
        while index < text.count {
            if text[index] == "\r" || text[index] == "\n" {
                lines.append(line)
                line = []
                if text[index] == "\r", index + 1 < text.count, text[index + 1] == "\n" { index += 1 }
            } else {
                line.append(text[index])
            }
            index += 1
        }
        return lines
    }

    private static func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var text = ""
        text.unicodeScalars.append(contentsOf: scalars)
        return text
    }

    /// The decoder of the WHATWG Encoding Standard, section 8.1.1, in the error mode that replaces.
    private static func decoded(_ bytes: [UInt8]) -> [Unicode.Scalar] {
        var scalars: [Unicode.Scalar] = []
        var (point, seen, needed): (UInt32, Int, Int) = (0, 0, 0)
        var range: ClosedRange<UInt8> = 0x80...0xBF
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if needed == 0 {
                switch byte {
                case 0x00...0x7F: scalars.append(Unicode.Scalar(byte))
                case 0xC2...0xDF: (needed, point) = (1, UInt32(byte & 0x1F))
                case 0xE0...0xEF:
                    if byte == 0xE0 { range = 0xA0...0xBF }
                    if byte == 0xED { range = 0x80...0x9F }
                    (needed, point) = (2, UInt32(byte & 0x0F))
                case 0xF0...0xF4:
                    if byte == 0xF0 { range = 0x90...0xBF }
                    if byte == 0xF4 { range = 0x80...0x8F }
                    (needed, point) = (3, UInt32(byte & 0x07))
                default: scalars.append("\u{FFFD}")
                }
                index += 1
                continue
            }
            guard range.contains(byte) else {
                // The byte is looked at once more, as the first of what follows.
                (point, seen, needed, range) = (0, 0, 0, 0x80...0xBF)
                scalars.append("\u{FFFD}")
                continue
            }
            range = 0x80...0xBF
            point = point << 6 | UInt32(byte & 0x3F)
            seen += 1
            if seen == needed {
                scalars.append(Unicode.Scalar(point)!)
                (point, seen, needed) = (0, 0, 0)
            }
            index += 1
        }
        if needed > 0 { scalars.append("\u{FFFD}") }
        return scalars
    }
}
