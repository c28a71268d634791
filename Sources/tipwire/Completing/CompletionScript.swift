import ArgumentParser
import Foundation
import TipwireServer

/// The library's script for a shell, and what it can't know: the settings, which `serve` and `doctor` take unparsed.
///
/// Functions that are defined again replace the first ones, in bash and in zsh; fish adds up what it is told.
struct CompletionScript {
    let text: String

    init(_ shell: CompletionCommand.Shell) {
        switch shell {
        case .bash:
            text = Tipwire.completionScript(for: .bash) + Self.commands.map(\.bash).joined()
        case .zsh:
            // The library's ends with a call of what it defines, when the shell has loaded it for the first completion.
            let script = Tipwire.completionScript(for: .zsh)
            let end = script.range(of: "\nif [[ \"${funcstack[1]}\"")?.lowerBound ?? script.endIndex
            text = script[..<end] + "\n" + Self.commands.map(\.zsh).joined(separator: "\n") + script[end...]
        case .fish:
            text = Tipwire.completionScript(for: .fish) + Self.commands.map(\.fish).joined()
        }
    }

    private static let commands = [
        SettingsCompletion(
            command: "serve",
            own: [
                .init("--config", "YAML file of settings.", .file),
                .init("--demo", "Make a page and a key to try.", .none),
                .init("--check", "Check the settings and end.", .none),
            ]),
        SettingsCompletion(
            command: "doctor",
            own: [
                .init("--config", "YAML file of settings.", .file),
                .init("--url", "Address that clients reach the server by.", .text),
                .init("--key-file", "File with the API key to open streams with.", .file),
            ]),
    ]
}

/// The options of one command that takes settings.
private struct SettingsCompletion {
    struct Option {
        let name: String
        let meaning: String
        let value: Value

        init(_ name: String, _ meaning: String, _ value: Value) {
            self.name = name
            self.meaning = meaning
            self.value = value
        }
    }

    enum Value {
        /// None: the option stands alone.
        case none
        case text
        case file
        case folder
        case oneOf([String])
    }

    let command: String
    let options: [Option]

    init(command: String, own: [Option]) {
        self.command = command
        options =
            own + [Option("--help", "Show help.", .none)]
            + Setting.all.map { Option($0.option, $0.meaning, Value($0.values)) }
    }

    var bash: String {
        func pattern(_ isIncluded: (Value) -> Bool) -> String {
            options.filter { isIncluded($0.value) }.map(\.name).joined(separator: "|")
        }
        let choices = options.compactMap { option -> String? in
            guard case .oneOf(let words) = option.value else { return nil }
            return "\(option.name)) COMPREPLY=($(compgen -W '\(words.joined(separator: " "))' -- \"${cur}\")) ;;"
        }
        return """

            _tipwire_\(command)() {
                case "${prev}" in
                \(pattern { if case .file = $0 { true } else { false } })) COMPREPLY=($(compgen -f -- "${cur}")) ;;
                \(pattern { if case .folder = $0 { true } else { false } })) COMPREPLY=($(compgen -d -- "${cur}")) ;;
                \(pattern { if case .text = $0 { true } else { false } })) ;;
                \(choices.joined(separator: "\n    "))
                *) COMPREPLY=($(compgen -W '\(options.map(\.name).joined(separator: " "))' -- "${cur}")) ;;
                esac
            }

            """
    }

    var zsh: String {
        let specifications = options.map { option in
            let meaning = Self.quoted(option.meaning, escaping: "[]:\\")
            let action =
                switch option.value {
                case .none: ""
                case .text: ":value: "
                case .file: ":file:_files"
                case .folder: ":folder:_files -/"
                case .oneOf(let words): ":value:(\(words.joined(separator: " ")))"
                }
            return "'\(option.name)[\(meaning)]\(action)'"
        }
        return """
            _tipwire_\(command)() {
                local -ar arg_specs=(
                    \(specifications.joined(separator: "\n        "))
                )
                _arguments -w -s -S : "${arg_specs[@]}"
            }

            """
    }

    var fish: String {
        options.map { option in
            let value =
                switch option.value {
                case .none: " -f"
                case .text: " -x"
                case .file: " -r -F"
                case .folder: " -x -a '(__fish_complete_directories)'"
                case .oneOf(let words): " -x -a '\(words.joined(separator: " "))'"
                }
            return "complete -c tipwire -n '__fish_seen_subcommand_from \(command)' -l \(option.name.dropFirst(2))"
                + "\(value) -d '\(Self.quoted(option.meaning, escaping: "\\"))'\n"
        }.joined()
    }

    /// Text between single quotes: without the marks of Markdown, and without quotes of its own.
    private static func quoted(_ text: String, escaping special: String) -> String {
        text.reduce(into: "") { result, character in
            if character == "`" { return }
            if special.contains(character) { result.append("\\") }
            result.append(character == "'" ? "’" : character)
        }
    }
}

extension SettingsCompletion.Value {
    init(_ values: Setting.Values) {
        self =
            switch values {
            case .file: .file
            case .folder: .folder
            case .oneOf(let words): .oneOf(words)
            case .other: .text
            }
    }
}
