/// Text that is safe to print on a terminal: each scalar that could control it is spelled out.
///
/// Names and messages come from strangers. A raw escape sequence could clear the screen, set the window's title or, on
/// some terminals, type into the shell; a direction override could make one amount look like another. The server
/// refuses control characters at its intake, but a client must not rely on which server it talks to. `Table` and the
/// lines take only this type, so that forgetting is a compile error.
struct VisibleText: Hashable, Sendable, CustomStringConvertible {
    let description: String

    init(_ untrusted: String) {
        var visible = ""
        for scalar in untrusted.unicodeScalars {
            if Self.isHarmful(scalar) {
                visible += Self.spelling(of: scalar)
            } else {
                visible.unicodeScalars.append(scalar)
            }
        }
        description = visible
    }

    private init(visible: String) { description = visible }

    /// How many columns of a terminal the text takes, as near as can be told without asking the terminal.
    var columns: Int { description.reduce(0) { $0 + Self.columns(of: $1) } }

    /// The text cut to `limit` columns, the last of them an ellipsis if something was cut.
    func clipped(to limit: Int) -> VisibleText {
        guard columns > limit else { return self }
        var kept = ""
        var used = 0
        for character in description {
            let width = Self.columns(of: character)
            guard used + width <= limit - 1 else { break }
            kept.append(character)
            used += width
        }
        return VisibleText(visible: kept + "…")
    }

    /// `text` with each control character written as its JSON escape.
    ///
    /// For JSON that is printed as it came: inside a JSON text DEL and the C1 controls can stand raw, only within
    /// strings, where the escape means the same. Line ends and tabs are kept, the grammar allows them between values;
    /// a string can't hold them raw.
    static func harmlessJSON(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { isControl($0) && $0.value >= 0x7F }) else { return text }
        var harmless = ""
        for scalar in text.unicodeScalars {
            if isControl(scalar), scalar.value >= 0x7F {
                harmless += "\\u00" + String(scalar.value, radix: 16)
            } else {
                harmless.unicodeScalars.append(scalar)
            }
        }
        return harmless
    }
}

extension VisibleText {
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
    }

    private static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        // Line and paragraph separators, and the embeddings, overrides and isolates of text direction. Joiners and
        // marks stay: emoji and several scripts need them.
        case 0x2028...0x202E, 0x2066...0x2069: true
        default: isControl(scalar)
        }
    }

    private static func spelling(of scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        default: "\\u{" + String(scalar.value, radix: 16) + "}"
        }
    }

    private static func columns(of character: Character) -> Int {
        let scalars = character.unicodeScalars
        if scalars.contains(where: { isWide($0) || $0.value == 0xFE0F }) { return 2 }
        return scalars.allSatisfy(takesNoColumn) ? 0 : 1
    }

    private static func takesNoColumn(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: true
        default: false
        }
    }

    /// The blocks of East Asian Width `W` and `F`, and what is shown as emoji by default. Coarse on purpose: a wrong
    /// guess costs an unaligned cell, nothing else.
    private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF,
            0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x20000...0x3FFFD:
            true
        default: scalar.properties.isEmojiPresentation
        }
    }
}
