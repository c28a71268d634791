import Configuration
import Foundation
import Synchronization

/// One of the three places that settings come from, with values looked up by the library.
struct SettingSource {
    private enum Place {
        case options, environment
        case file(name: String)
    }

    /// What was found for one setting, before it is checked.
    enum Value {
        case text(String)
        /// Only a file has lists; elsewhere a list is text with commas.
        case list([String])
    }

    private let place: Place
    private let snapshot: any ConfigSnapshot

    /// Options that `ServeOptions` let pass.
    init(options: [String]) {
        self.place = .options
        // The provider skips the program's name.
        self.snapshot = CommandLineArgumentsProvider(arguments: ["serve"] + options).snapshot()
    }

    init(environment: [String: String]) {
        self.place = .environment
        self.snapshot = EnvironmentVariablesProvider(environmentVariables: environment).snapshot()
    }

    /// How the user spelled the setting here, the way errors begin.
    func spelling(of setting: Setting) -> String {
        switch place {
        case .options: setting.option
        case .environment: setting.environment
        case .file(let name): "\(name): \(setting.name)"
        }
    }

    /// The value given here; `nil` if there is none. A name without a value in the file counts as none.
    func value(of setting: Setting) -> Value? {
        switch place {
        case .options:
            // The provider splits at commas; only together are the parts what was typed.
            list(setting.components).map { .text($0.joined(separator: ",")) }
        case .environment:
            text(["tipwire"] + setting.components).map { .text($0) }
        case .file:
            if let text = text(setting.components) {
                Self.isNothing(text) ? nil : .text(text)
            } else {
                list(setting.components).map { .list($0) }
            }
        }
    }

    // Asking for the wrong type is the only error of these look-ups, so an error means: not of that type.

    private func text(_ key: [String]) -> String? {
        let found = try? snapshot.value(forKey: AbsoluteConfigKey(key), type: .string).value
        guard case .string(let text)? = found?.content else { return nil }
        return text
    }

    private func list(_ key: [String]) -> [String]? {
        let found = try? snapshot.value(forKey: AbsoluteConfigKey(key), type: .stringArray).value
        guard case .stringArray(let list)? = found?.content else { return nil }
        return list
    }

    private static func isNothing(_ yaml: String) -> Bool { ["", "~", "null"].contains(yaml) }
}

// MARK: - The file

extension SettingSource {
    /// The longest file that is read, in bytes. All settings with comments are 5 kB; more is some other file.
    private static let maxFileBytes = 1_048_576

    /// Reads a YAML file; `askedBy` is the spelling that named it, for errors.
    init(file path: String, askedBy spelling: String) throws(ConfigurationError) {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        self.place = .file(name: name)
        let data = try Self.contents(of: path, askedBy: spelling)
        // A file in which everything is commented out is no mapping, for YAML, but means: all defaults.
        let lines = data.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
        let hasContent = lines.contains { line in
            let text = line.trimmingCharacters(in: .whitespaces)
            return !text.isEmpty && !text.hasPrefix("#") && text != "---"
        }
        let names = NameList()
        do {
            self.snapshot = try YAMLSnapshot(
                data: (hasContent ? data : Data("{}".utf8)).bytes, providerName: name,
                // A snapshot lists no names, but asks about each, once, while it parses, whether it is secret.
                parsingOptions: .init(secretsSpecifier: .dynamic { key, _ in names.add(key) }))
        } catch {
            throw ConfigurationError("\(name): \(Self.reason(of: error).quotable)")
        }
        try refuseUnknown(names.all, in: name)
    }

    /// What the parser says, in one line: it goes on, behind a colon or a stop, with a drawing of the place.
    private static func reason(of error: any Error) -> String {
        let lines = String(describing: error).split(whereSeparator: \.isNewline)
        let end = lines.firstIndex { $0.hasSuffix(":") || $0.hasSuffix(".") } ?? lines.startIndex
        let reason = lines.isEmpty ? "not YAML" : lines[...end].joined(separator: ", ")
        let words = reason.hasSuffix(":") || reason.hasSuffix(".") ? String(reason.dropLast()) : reason
        // A * alone means all, in some settings, and something else in YAML.
        return words + (words.contains("alias") ? "; put a value that begins with * or & into quotes" : "")
    }

    private func refuseUnknown(_ names: [String], in file: String) throws(ConfigurationError) {
        let known = Set(Setting.all.map(\.name))
        for name in names.sorted() where !known.contains(name) {
            // `feed:` with nothing below it: its lines were commented out.
            if Setting.sections.contains(name) {
                if let text = text([name]), Self.isNothing(text) { continue }
                throw ConfigurationError("\(file): \(name): is a section, its settings stand indented below it")
            }
            throw ConfigurationError.unknown("setting", name, in: file, among: known)
        }
    }

    private static func contents(of path: String, askedBy spelling: String) throws(ConfigurationError) -> Data {
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            let data = try file.read(upToCount: maxFileBytes + 1) ?? Data()
            guard data.count <= maxFileBytes else {
                throw ConfigurationError("\(spelling): '\(path.quotable)' is longer than \(maxFileBytes) bytes")
            }
            guard String(validating: data, as: UTF8.self) != nil else {
                throw ConfigurationError("\(spelling): '\(path.quotable)' is not UTF-8 text")
            }
            return data
        } catch let error as ConfigurationError {
            throw error
        } catch {
            let reason =
                switch (error as? CocoaError)?.code {
                case .fileReadNoSuchFile?, .fileNoSuchFile?: "there is no such file"
                case .fileReadNoPermission?: "no permission to read it"
                default: "it can't be read as a file"
                }
            throw ConfigurationError("\(spelling): '\(path.quotable)': \(reason)")
        }
    }
}

/// Names gathered from a callback that must be `@Sendable`, though it is called in place.
private final class NameList: Sendable {
    private let names = Mutex<[String]>([])

    var all: [String] { names.withLock { $0 } }

    /// Adds a name; always `false`, for nothing in the file is secret.
    func add(_ name: String) -> Bool {
        names.withLock { $0.append(name) }
        return false
    }
}
