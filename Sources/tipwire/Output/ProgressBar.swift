import Foundation

/// How much of an amount is there, as a bar of a fixed width and as a percentage.
///
/// Both are exact at the ends, which people act on: full and 100 % mean that nothing is missing, empty and 0 % that
/// nothing has come. In between they are rounded down, by integers.
struct ProgressBar: Equatable {
    /// Terminal columns, those of the brackets of `.ascii` not counted.
    static let width = 20

    enum Style: Equatable {
        /// Blocks, in eighths of a column.
        case blocks
        /// `[####------]`, for terminals that would show blocks as something else.
        case ascii
    }

    let progress: Int
    let amount: Int

    func drawn(_ style: Style) -> VisibleText {
        switch style {
        case .blocks:
            let eighths = share(of: Self.width * 8)
            let full = eighths / 8
            let part = eighths % 8
            let drawn = full + (part > 0 ? 1 : 0)
            return VisibleText(
                String(repeating: Self.blocks[8], count: full) + (part > 0 ? Self.blocks[part] : "")
                    + String(repeating: Self.blocks[0], count: Self.width - drawn))
        case .ascii:
            let full = share(of: Self.width)
            return VisibleText(
                "[" + String(repeating: "#", count: full) + String(repeating: "-", count: Self.width - full) + "]")
        }
    }

    /// `32%`; `<1%` for what is more than nothing.
    var percent: VisibleText {
        let percent = hundredths
        return VisibleText(percent == 0 && progress > 0 ? "<1%" : "\(percent)%")
    }

    private static let blocks = ["░", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"]

    /// Steps of `steps` that are drawn: none only for no progress, all only when nothing is missing.
    private func share(of steps: Int) -> Int {
        guard progress > 0 else { return 0 }
        guard progress < amount else { return steps }
        return min(max(floor(of: steps), 1), steps - 1)
    }

    private var hundredths: Int {
        guard progress > 0 else { return 0 }
        return progress < amount ? floor(of: 100) : 100
    }

    /// `steps * progress / amount`, with the product in 128 bits: the amounts are a server's, and may be anything.
    private func floor(of steps: Int) -> Int {
        amount.dividingFullWidth(progress.multipliedFullWidth(by: steps)).quotient
    }
}

extension ProgressBar.Style {
    /// Blocks, unless the locale says that the terminal has another encoding than UTF-8. One that says nothing (no
    /// variable is set) is taken for UTF-8, as all other text is.
    static func fitting(environment: [String: String] = ProcessInfo.processInfo.environment) -> Self {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
        guard let locale = locale?.lowercased() else { return .blocks }
        return locale.contains("utf-8") || locale.contains("utf8") ? .blocks : .ascii
    }
}
