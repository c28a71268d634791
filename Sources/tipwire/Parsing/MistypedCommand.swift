import ArgumentParser

/// A word that stands where a command's name does and is none: `tipwire tpi`, `tipwire goal lst`.
///
/// ArgumentParser proposes an option for a mistyped one, but calls a mistyped command an unexpected argument.
struct MistypedCommand {
    let word: String
    /// What was understood before it, as it is typed: `tipwire goal`.
    let command: String
    /// The name that was likely meant; nil if none is near.
    let likely: String?

    /// Nil where every word that must be a command's name is one; options and arguments are the parser's.
    init?(in arguments: [String], of root: any ParsableCommand.Type) {
        var type = root
        var path = [Self.name(of: root)]
        for word in arguments {
            let commands = type.configuration.subcommands
            guard !commands.isEmpty, !word.hasPrefix("-") else { return nil }
            if path.count == 1, word == Self.help { continue }
            guard let next = commands.first(where: { Self.name(of: $0) == word }) else {
                self.word = word
                self.command = path.joined(separator: " ")
                self.likely = Self.nearest(to: word, among: commands.map(Self.name))
                return
            }
            type = next
            path.append(word)
        }
        return nil
    }

    /// In the form of ArgumentParser's own messages.
    var text: String {
        let proposal = likely.map { "; did you mean '\($0)'?" } ?? ""
        return """
            Error: \(command) has no command '\(VisibleText(word))'\(proposal)
            Usage: \(command) <subcommand>
              See '\(command) --help' for more information.
            """
    }

    /// ArgumentParser's own command, which takes the names of others.
    private static let help = "help"

    private static func name(of type: any ParsableCommand.Type) -> String { type.configuration.commandName ?? "" }

    /// The name that begins with the word, or else the one that the fewest slips make it of, if they are no more than half
    /// its letters.
    private static func nearest(to word: String, among names: [String]) -> String? {
        if !word.isEmpty, let whole = names.first(where: { $0.hasPrefix(word) }) { return whole }
        guard word.count <= 2 * (names.map(\.count).max() ?? 0) else { return nil }
        let nearest = names.map { (name: $0, slips: slips(between: word, and: $0)) }.min { $0.slips < $1.slips }
        return nearest.flatMap { 2 * $0.slips <= $0.name.count ? $0.name : nil }
    }

    /// Letters left out, added or taken for others, and neighbours that changed places, each counted once (the optimal
    /// string alignment distance).
    private static func slips(between word: String, and name: String) -> Int {
        let (typed, meant) = (Array(word), Array(name))
        var beforeLast: [Int] = []
        var last = Array(0...meant.count)
        for row in typed.indices {
            var current = [row + 1]
            for column in meant.indices {
                var least = min(last[column + 1], current[column]) + 1
                least = min(least, last[column] + (typed[row] == meant[column] ? 0 : 1))
                if row > 0, column > 0, typed[row] == meant[column - 1], typed[row - 1] == meant[column] {
                    least = min(least, beforeLast[column - 1] + 1)
                }
                current.append(least)
            }
            (beforeLast, last) = (last, current)
        }
        return last[meant.count]
    }
}
