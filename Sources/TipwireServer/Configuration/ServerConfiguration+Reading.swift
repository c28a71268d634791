import Configuration

/// What `tipwire serve` was asked to do.
public struct ServeInvocation: Sendable, Equatable {
    /// The settings, checked.
    public var configuration = ServerConfiguration()
    /// `--demo`: make a page and a key to try it with.
    public var isDemo = false
    /// `--check`: stop here, the settings are good.
    public var isCheck = false
    /// Lines to log as warnings once there is a log.
    public var warnings: [String] = []

    public init() {}
}

extension ServerConfiguration {
    /// Reads the settings: options win over the environment, the environment over the file, the file over the defaults.
    ///
    /// - Parameters:
    ///   - arguments: what follows `tipwire serve`.
    ///   - environment: all variables of the process. An empty one counts as not set.
    /// - Throws: the first fault, as one line that names the spelling that was used. An unknown name is a fault wherever it
    ///   stands.
    public static func read(
        arguments: [String], environment: [String: String]
    ) throws(ConfigurationError) -> ServeInvocation {
        var invocation = ServeInvocation()
        let options = try ServeOptions(arguments)
        invocation.isDemo = options.isDemo
        invocation.isCheck = options.isCheck

        let environment = environment.filter { !$0.value.isEmpty }
        try refuseUnknown(in: environment)
        var sources = [SettingSource(options: options.arguments), SettingSource(environment: environment)]
        if let path = options.configurationPath {
            sources.append(try SettingSource(file: path, askedBy: ServeOptions.config))
        } else if let path = environment[ServeOptions.configEnvironment] {
            sources.append(try SettingSource(file: path, askedBy: ServeOptions.configEnvironment))
        }

        // `ConfigReader` asks providers in this very order, but answers with the value alone. Our errors name the
        // spelling that the user typed, so the order is walked here.
        var origins: [String: String] = [:]
        for setting in Setting.all {
            for source in sources {
                guard let value = source.value(of: setting) else { continue }
                let spelling = source.spelling(of: setting)
                try setting.apply(value, spelledAs: spelling, to: &invocation.configuration)
                origins[setting.name] = spelling
                break
            }
        }
        try invocation.configuration.checkTogether(origins: origins)

        invocation.warnings = invocation.configuration.doubts(origins: origins)
        return invocation
    }

    /// A server that runs without the limit that was meant for it is worse than one that says so and doesn't start.
    ///
    /// Refused is what begins like a section (`TIPWIRE_FEED_…`), and what is one typing error away from a setting; others
    /// may have variables of our prefix for their own ends. `TIPWIRE_SERVER` and `TIPWIRE_KEY`, which belong to the
    /// client verbs, are neither: a section's names go on behind the underscore.
    private static func refuseUnknown(in environment: [String: String]) throws(ConfigurationError) {
        let known = Set(Setting.all.map(\.environment) + [ServeOptions.configEnvironment])
        let prefixes = Setting.sections.map { "TIPWIRE_\($0.uppercased())_" }
        for name in environment.keys.sorted() where name.hasPrefix("TIPWIRE_") && !known.contains(name) {
            let isOurs = prefixes.contains { name.hasPrefix($0) }
            guard isOurs || ConfigurationError.isTypingError(name, of: known) else { continue }
            throw ConfigurationError.unknown("setting", name, among: known)
        }
    }
}

/// The options of `tipwire serve`, passed strictly before the library looks values up in them.
///
/// The library's own parser is made for programs that know some options among others': it takes every value up to the
/// next option, joins repeated options and skips what it can't place. For a server each of these is a typing error.
private struct ServeOptions {
    static let config = "--config"
    static let configEnvironment = "TIPWIRE_CONFIG"

    var isDemo = false
    var isCheck = false
    var configurationPath: String?
    /// All of them, each with its value.
    private(set) var arguments: [String] = []

    init(_ typed: [String]) throws(ConfigurationError) {
        let valued = Set(Setting.all.map(\.option) + [Self.config])
        let flags = ["--demo", "--check"]
        let switches = Set(Setting.all.filter(\.isSwitch).map(\.option))
        var seen: Set<String> = []
        var rest = typed[...]
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("--"), argument != "--" else {
                throw ConfigurationError("serve: takes options only, not '\(argument.quotable)'")
            }
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let name = parts[0]
            guard valued.contains(name) || flags.contains(name) else {
                throw ConfigurationError.unknown("option", name, among: valued.union(flags))
            }
            guard seen.insert(name).inserted else { throw ConfigurationError("\(name): given more than once") }
            if flags.contains(name) {
                guard parts.count == 1 else { throw ConfigurationError("\(name): takes no value") }
                if name == "--demo" { isDemo = true } else { isCheck = true }
                continue
            }
            let next = rest.first.flatMap { $0.hasPrefix("--") ? nil : $0 }
            if parts.count == 1, next != nil { rest.removeFirst() }
            // A switch alone is on.
            guard let value = parts.count == 2 ? parts[1] : next ?? (switches.contains(name) ? "true" : nil) else {
                throw ConfigurationError("\(name): needs a value")
            }
            arguments.append("\(name)=\(value)")
            if name == Self.config {
                guard !value.isEmpty else { throw ConfigurationError("\(name): needs a value") }
                configurationPath = value
            }
        }
    }
}
