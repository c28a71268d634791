import Foundation
import Logging
import TipwireCore
import TipwireNATS
import TipwirePostgres
import TipwireWebhooks

/// Why the settings can't be used: one line that names the spelling, the value and what is allowed.
public struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The line, ready for standard error: `--port: 'abc' is not a whole number from 0 to 65535`.
    public let description: String

    init(_ description: String) { self.description = description }

    /// A name that is in no table, with the nearest one that is.
    static func unknown(
        _ what: String, _ name: String, in file: String? = nil, among known: Set<String>
    ) -> ConfigurationError {
        let place = file.map { "\($0): " } ?? ""
        // Two letters swapped in a short name are a typing error; half of a name wrong is another name.
        let nearest = known.map { (name: $0, distance: editDistance($0, name)) }
            .filter { $0.distance <= min(4, max(2, $0.name.count / 3)) }
            .min { ($0.distance, $0.name) < ($1.distance, $1.name) }
        let hint = nearest.map { "; did you mean \($0.name)?" } ?? ""
        return ConfigurationError("\(place)\(name.quotable): there is no such \(what)\(hint)")
    }

    /// Whether one letter more, less or another, or two that are swapped, make a known name of it.
    static func isTypingError(_ name: String, of known: Set<String>) -> Bool {
        known.contains { editDistance($0, name) == 1 || $0 != name && $0.sorted() == name.sorted() }
    }

    private static func editDistance(_ left: String, _ right: String) -> Int {
        let right = Array(right.lowercased().prefix(100))
        var row = Array(0...right.count)
        for (i, character) in left.lowercased().enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in right.enumerated() {
                let substituted = diagonal + (character == other ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[right.count]
    }
}

extension String {
    /// The text for a one-line error: no line ends or other control characters, no secrets that were typed in the wrong
    /// place, and not longer than a line bears.
    var quotable: String {
        let text = Redaction.redacted(self)
        return LogLine.escaped(text.count > 200 ? text.prefix(200) + "…" : text)
    }
}

extension Setting {
    /// Checks a value and puts it into the configuration.
    func apply(
        _ value: SettingSource.Value, spelledAs spelling: String, to configuration: inout ServerConfiguration
    ) throws(ConfigurationError) {
        switch kind {
        case .networks(let path):
            configuration[keyPath: path] = try Self.items(of: value).map { (text) throws(ConfigurationError) in
                guard let range = AddressRange(text) else {
                    throw ConfigurationError(
                        "\(spelling): '\(text.quotable)' is not an address or a CIDR block such as 10.0.0.0/8 or fd00::/8"
                    )
                }
                return range
            }
        case .origins(let path):
            configuration[keyPath: path] = try Self.items(of: value).map { (text) throws(ConfigurationError) in
                guard text == "*" || Self.isOrigin(text) else {
                    throw ConfigurationError(
                        "\(spelling): '\(text.quotable)' is not * or an origin such as https://example.com")
                }
                return text.lowercased()
            }
        default:
            guard case .text(let text) = value else {
                throw ConfigurationError("\(spelling): a list is not \(allowed)")
            }
            // Only a shell knows whose folder ~ is, and it has no say in files and in the environment.
            if values == .file || values == .folder, text == "~" || text.hasPrefix("~/") {
                throw ConfigurationError("\(spelling): '\(text.quotable)' begins with ~; write the whole path")
            }
            guard set(text, in: &configuration) else {
                // Where a password stands in a URL that can't be read, nobody knows.
                if case .optionalWakeUp = kind, text.contains("@") {
                    throw ConfigurationError("\(spelling): what is given is not \(allowed)")
                }
                throw ConfigurationError("\(spelling): '\(text.quotable)' is not \(allowed)")
            }
        }
    }

    private static func items(of value: SettingSource.Value) -> [String] {
        switch value {
        case .list(let list): list
        case .text(""): []
        case .text(let text):
            text.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }

    /// Sets one value; `false` if it isn't allowed.
    private func set(_ text: String, in configuration: inout ServerConfiguration) -> Bool {
        switch kind {
        case .text(let rule, let path):
            guard rule.allows(text) else { return false }
            configuration[keyPath: path] = text
        case .number(let range, let path):
            guard let number = Self.number(text, in: range) else { return false }
            configuration[keyPath: path] = number
        case .optionalNumber(let range, let path):
            let number = Self.number(text, in: range)
            guard number != nil || text.isEmpty else { return false }
            configuration[keyPath: path] = number
        case .flag(let path):
            guard let flag = Self.flag(text) else { return false }
            configuration[keyPath: path] = flag
        case .optionalPath(let path):
            guard text.isEmpty || TextRule.path.allows(text) else { return false }
            configuration[keyPath: path] = text.isEmpty ? nil : text
        case .optionalURL(let path):
            guard text.isEmpty || Self.isBaseURL(text) else { return false }
            configuration[keyPath: path] = text.isEmpty ? nil : text
        case .optionalDatabase(let path):
            guard text.isEmpty || Self.isDatabaseURL(text) else { return false }
            configuration[keyPath: path] = text.isEmpty ? nil : text
        case .optionalName(let path):
            guard text.isEmpty || Self.isName(text) else { return false }
            configuration[keyPath: path] = text.isEmpty ? nil : text
        case .optionalWakeUp(let path):
            guard text.isEmpty || NATSAddress(text) != nil else { return false }
            configuration[keyPath: path] = text.isEmpty ? nil : text
        case .logLevel(let path):
            guard let level = Logger.Level(rawValue: text) else { return false }
            configuration[keyPath: path] = level
        case .logFormat(let path):
            guard let format = LogFormat(rawValue: text) else { return false }
            configuration[keyPath: path] = format
        case .ringUse(let path):
            guard let use = RingUse(rawValue: text) else { return false }
            configuration[keyPath: path] = use
        case .networks, .origins:
            preconditionFailure("Lists are read by apply")
        }
        return true
    }

    /// What people write for yes and no where a file of theirs, or an environment, has them already.
    private static func flag(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on", "1": true
        case "false", "no", "off", "0": false
        default: nil
        }
    }

    /// Decimal digits only: `Int` alone would take "+5".
    private static func number(_ text: String, in range: ClosedRange<Int>) -> Int? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text) else { return nil }
        return range.contains(number) ? number : nil
    }

    private static func isName(_ text: String) -> Bool {
        text.utf8.count <= 63
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || "-._".utf8.contains(byte)
            }
    }

    /// What libpq takes for the address of a server; what stands in it, libpq judges.
    static func isDatabaseURL(_ text: String) -> Bool {
        ["postgres://", "postgresql://"].contains { text.hasPrefix($0) }
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// `http(s)://host[:port]`, as a browser sends it.
    private static func isOrigin(_ text: String) -> Bool {
        let text = text.lowercased()
        return isBaseURL(text) && text.split(separator: "/", omittingEmptySubsequences: false).count == 3
    }

    /// `http(s)://host[:port][/path]`: others' paths are put behind it, so nothing may follow the path, and the path
    /// must not end in a slash. A user name would be shown to everyone.
    private static func isBaseURL(_ text: String) -> Bool {
        guard let scheme = ["https://", "http://"].first(where: { text.hasPrefix($0) }) else { return false }
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" }
        // Printable ASCII but what has a meaning of its own in a URL or in HTML.
        let refused = Set("?#@\\\"'<>`{}|^".utf8)
        guard rest.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !refused.contains($0) }) else { return false }
        // The host ends at its port's colon; the colons of an IPv6 address stand in brackets.
        let end = authority.lastIndex(of: "]").map(authority.index(after:)) ?? authority.firstIndex(of: ":")
        let host = authority[..<(end ?? authority.endIndex)]
        let port = authority[host.endIndex...]
        guard port.isEmpty || port.hasPrefix(":") && number(String(port.dropFirst()), in: 1...65_535) != nil else {
            return false
        }
        return !host.isEmpty && !rest.hasSuffix("/")
    }
}

extension Setting.TextRule {
    func allows(_ text: String) -> Bool {
        switch self {
        case .host:
            // Names, IPv4, IPv6, and an IPv6 zone (`fe80::1%eth0`).
            let others = Set(".:-_%".utf8)
            return !text.isEmpty
                && text.utf8.allSatisfy { byte in
                    (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || others.contains(byte)
                }
        case .path:
            return !text.isEmpty && !text.unicodeScalars.contains { $0.properties.generalCategory == .control }
        }
    }
}

extension ServerConfiguration {
    /// Checks what no setting can be blamed for alone. `origins` has the spelling of each setting that was given.
    func checkTogether(origins: [String: String]) throws(ConfigurationError) {
        // Only a probe that was asked for: who lowers the idle limit alone gets what it says, see `doubts`.
        if let spelling = origins["feed.probeSeconds"], feed.probeSeconds >= feed.idleSeconds {
            throw ConfigurationError(
                "\(spelling): '\(feed.probeSeconds)' is not below feed.idleSeconds (\(feed.idleSeconds))")
        }
        if let spelling = origins["metrics.port"], let metricsPort = metrics.port, metricsPort == port, port != 0 {
            throw ConfigurationError("\(spelling): '\(metricsPort)' is the main port already (port)")
        }
    }

    /// Checks what the files hold that settings name.
    public func checkFiles() throws {
        try DataFolder.requireFolder(dataFolder)
        if tls.certificate != nil, tls.key == nil { throw ConfigurationError("tls.certificate: needs tls.key too") }
        if tls.key != nil, tls.certificate == nil { throw ConfigurationError("tls.key: needs tls.certificate too") }
        if let database { try PostgresStore.check(database) }
        if wakeup != nil {
            // A file has one server, which has nobody to tell.
            if database == nil { throw ConfigurationError("wakeup: needs database too") }
            try NATSAddress.checkLibrary()
        }
        if let path = webhooks.trustRoots { _ = try TrustRoots(file: path) }
        if let files = tls.files { _ = try ServerCertificate(certificate: files.certificate, key: files.key) }
    }

    /// What is allowed but hardly meant, one line each.
    func doubts(origins: [String: String]) -> [String] {
        guard let spelling = origins["feed.idleSeconds"], feed.probeSeconds >= feed.idleSeconds else { return [] }
        return [
            "\(spelling): '\(feed.idleSeconds)' is not above feed.probeSeconds (\(feed.probeSeconds)), "
                + "so clients that send nothing are closed without a ping"
        ]
    }
}
