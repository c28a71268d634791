import Foundation
import Logging

/// One log entry as one line: pure functions from an entry to text.
///
/// Whatever the entry holds, the line has exactly one line end, at its end, and nothing in it that moves a terminal's
/// cursor or turns its text around; secrets are taken out first (`Redaction`).
struct LogLine {
    var time: Date
    var level: Logger.Level
    var label: String
    var message: String
    var metadata: Logger.Metadata

    /// The longest message or metadata value, in Unicode scalars; longer ones are cut and end in `…`. A line that a
    /// client can lengthen at will would fill the disk at the cost of one request.
    private static let maxValueLength = 4_096

    func formatted(as format: LogFormat) -> String {
        switch format {
        case .text: text
        case .json: json
        }
    }

    // MARK: - Text

    /// `2026-01-31T12:00:00.000Z info message key=value other="two words"`
    private var text: String {
        var line = "\(timestamp) \(level.rawValue) \(Self.escaped(Self.clean(message)))"
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            line += " \(Self.quotedIfNeeded(Self.clean(key)))=\(Self.quotedIfNeeded(Self.clean(Self.flat(value))))"
        }
        return line + "\n"
    }

    private static func quotedIfNeeded(_ text: String) -> String {
        let needsQuotes =
            text.isEmpty
            || text.unicodeScalars.contains { scalar in
                scalar == "\"" || scalar == "=" || scalar == "\\" || scalar.properties.isWhitespace || isUnsafe(scalar)
            }
        return needsQuotes ? "\"" + escaped(text, quotes: true) + "\"" : text
    }

    /// Nested metadata in one string: `[a, b]`, `{k=v, l=w}`.
    private static func flat(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): text
        case .stringConvertible(let other): other.description
        case .array(let values): "[" + values.map(flat).joined(separator: ", ") + "]"
        case .dictionary(let members):
            "{" + members.sorted { $0.key < $1.key }.map { "\($0.key)=\(flat($0.value))" }.joined(separator: ", ") + "}"
        }
    }

    // MARK: - JSON

    private static let ownMembers: Set = ["time", "level", "message", "label"]

    /// `{"time":…,"level":…,"message":…,"label":…,` and the metadata, sorted. Metadata whose key is one of these four
    /// names stands under `metadata.<key>`, for a member that comes twice is read differently by every reader.
    private var json: String {
        var members = [
            ("time", Self.quoted(timestamp)), ("level", Self.quoted(level.rawValue)),
            ("message", Self.quoted(Self.clean(message))), ("label", Self.quoted(Self.clean(label))),
        ]
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            members.append((Self.ownMembers.contains(key) ? "metadata." + key : key, Self.json(value)))
        }
        return Self.object(members) + "\n"
    }

    private static func json(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): quoted(clean(text))
        case .stringConvertible(let other): quoted(clean(other.description))
        case .array(let values): "[" + values.map(json).joined(separator: ",") + "]"
        case .dictionary(let members):
            object(members.sorted { $0.key < $1.key }.map { ($0.key, json($0.value)) })
        }
    }

    private static func object(_ members: [(String, String)]) -> String {
        "{" + members.map { "\(quoted(clean($0.0))):\($0.1)" }.joined(separator: ",") + "}"
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            // All of these lie below U+10000, so four digits do.
            case _ where isUnsafe(scalar): result += "\\u" + hex(scalar, digits: 4)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    // MARK: - Both

    private var timestamp: String {
        time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    /// Without secrets, and cut to length. In this order: half a key would not be recognised.
    private static func clean(_ text: String) -> String {
        let redacted = Redaction.redacted(text)
        let scalars = redacted.unicodeScalars
        guard let end = scalars.index(scalars.startIndex, offsetBy: maxValueLength, limitedBy: scalars.endIndex),
            end < scalars.endIndex
        else { return redacted }
        return String(scalars[..<end]) + "…"
    }

    /// The text with everything that could end the line or command a terminal spelled out: `\n`, `\u{1b}`.
    static func escaped(_ text: String, quotes: Bool = false) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\"" where quotes: result += "\\\""
            case "\\" where quotes: result += "\\\\"
            case _ where isUnsafe(scalar): result += "\\u{" + hex(scalar, digits: 1) + "}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Control characters, the two Unicode line ends, and the marks that turn the direction of text.
    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0...0x1F, 0x7F...0x9F, 0x61C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    private static func hex(_ scalar: Unicode.Scalar, digits: Int) -> String {
        let text = String(scalar.value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
