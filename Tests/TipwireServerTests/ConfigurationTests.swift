import Foundation
import Logging
import Testing
import TipwireCore

@testable import TipwireServer

/// Settings of one run; the file, if any, lies in a folder of its own and is called `tipwire.yaml`.
private func read(
    _ arguments: [String] = [], _ environment: [String: String] = [:], file: String? = nil
) throws -> ServeInvocation {
    guard let file else { return try ServerConfiguration.read(arguments: arguments, environment: environment) }
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tipwire-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("tipwire.yaml").path
    try Data(file.utf8).write(to: URL(fileURLWithPath: path))
    return try ServerConfiguration.read(arguments: arguments + ["--config", path], environment: environment)
}

/// The line that the settings are refused with; `nil` if they aren't.
private func refusal(
    _ arguments: [String] = [], _ environment: [String: String] = [:], file: String? = nil
) throws -> String? {
    do {
        _ = try read(arguments, environment, file: file)
        return nil
    } catch let error as ConfigurationError {
        #expect(!error.description.contains { $0.isNewline })
        return error.description
    }
}

/// `feed.idleSeconds` and `5` as YAML.
private func yaml(_ setting: Setting, _ value: String) -> String {
    let parts = setting.components
    return parts.count == 1 ? "\(parts[0]): \(value)\n" : "\(parts[0]):\n  \(parts[1]): \(value)\n"
}

extension Setting {
    /// A value that is allowed alone and isn't the default.
    fileprivate var sample: String {
        switch kind {
        case .text(.host, _): "tipwire.example"
        case .text(.path, _): "/srv/tips, all"
        case .number(let range, _), .optionalNumber(let range, _):
            String(defaultValue == String(range.lowerBound) ? range.upperBound : range.lowerBound)
        case .flag: defaultValue == "true" ? "false" : "true"
        case .optionalPath: "/srv/roots, all.pem"
        case .optionalURL: "https://tips.example:8443/live"
        case .optionalDatabase: "postgres://tips@db.example/tips"
        case .optionalName: "stage-2"
        case .optionalWakeUp: "tls://tips:secret@nats.example:4223"
        case .networks: "10.0.0.0/8,fd00::/8"
        case .origins: "https://tips.example,http://localhost:3000"
        case .logLevel: "trace"
        case .logFormat: "json"
        case .ringUse: "never"
        }
    }
}

@Suite("Reading the configuration")
struct ConfigurationReadingTests {
    @Test("Nothing set gives the documented defaults")
    func defaults() throws {
        let invocation = try read()
        #expect(invocation == ServeInvocation())
        let configuration = invocation.configuration
        #expect([configuration.host, configuration.dataFolder] == ["127.0.0.1", "./tipwire-data"])
        #expect(configuration.server.trustedProxies.isEmpty && configuration.server.publicURL == nil)
        #expect(configuration.port == 8080 && configuration.feed.idleSeconds == 120)
        #expect(configuration.retention.days == 90 && configuration.retention.bytes == 2_147_483_648)
        #expect(configuration.drain.seconds == 30 && configuration.auth.maxFailuresPerMinute == 60)
        #expect(configuration.metrics.port == nil && configuration.log == ServerConfiguration.Log())
    }

    @Test("Every setting is read in each of its three spellings, and changes nothing else", arguments: Setting.all)
    func spellings(setting: Setting) throws {
        let value = setting.sample
        let invocations = [
            try read([setting.option, value]), try read(["\(setting.option)=\(value)"]),
            try read([], [setting.environment: value]), try read(file: yaml(setting, "\"\(value)\"")),
        ]
        for invocation in invocations {
            for other in Setting.all {
                let expected = other.name == setting.name ? value : other.defaultValue
                #expect(other.value(in: invocation.configuration) == expected, "\(other.name)")
            }
        }
    }

    @Test("Spellings follow from the name")
    func names() throws {
        let url = try #require(Setting.all.first { $0.name == "server.publicURL" })
        #expect(url.option == "--server-public-url" && url.environment == "TIPWIRE_SERVER_PUBLIC_URL")
        let idle = try #require(Setting.all.first { $0.name == "feed.idleSeconds" })
        #expect(idle.option == "--feed-idle-seconds" && idle.environment == "TIPWIRE_FEED_IDLE_SECONDS")
        #expect(Set(Setting.all.map(\.option)).count == Setting.all.count)
    }

    @Test("Options win over the environment, the environment over the file, the file over the defaults")
    func precedence() throws {
        let file = "port: 3\nfeed: {idleSeconds: 300, maxLagSeconds: 7}\n"
        let environment = ["TIPWIRE_PORT": "2", "TIPWIRE_FEED_IDLE_SECONDS": "200"]
        #expect(try read(["--port", "1"], environment, file: file).configuration.port == 1)
        let invocation = try read([], environment, file: file)
        #expect(invocation.configuration.port == 2)
        #expect(invocation.configuration.feed.idleSeconds == 200)
        #expect(invocation.configuration.feed.maxLagSeconds == 7)
        #expect(invocation.configuration.feed.maxLagBytes == 4_194_304)
    }

    @Test("An empty value in the environment or the file counts as not set")
    func empty() throws {
        let file = "port:\nhost: ~\nmetrics:\n  port: null\nfeed:\nserver:\n  trustedProxies: []\n"
        #expect(try read([], ["TIPWIRE_PORT": "", "TIPWIRE_CONFIG": ""], file: file) == ServeInvocation())
        #expect(try read([], ["TIPWIRE_PORT": ""], file: "port: 5").configuration.port == 5)
    }

    @Test("An empty option takes an optional setting back")
    func takenBack() throws {
        let environment = [
            "TIPWIRE_METRICS_PORT": "9", "TIPWIRE_SERVER_PUBLIC_URL": "http://a",
            "TIPWIRE_SERVER_TRUSTED_PROXIES": "::1",
        ]
        let arguments = ["--metrics-port=", "--server-public-url", "", "--server-trusted-proxies="]
        #expect(try read(arguments, environment) == ServeInvocation())
    }

    @Test("A list is comma-separated, and in the file a YAML list too")
    func lists() throws {
        let expected = ["10.0.0.0/8", "::1/128"]
        for invocation in [
            try read(["--server-trusted-proxies", "10.0.0.0/8,::1"]),
            try read([], ["TIPWIRE_SERVER_TRUSTED_PROXIES": "10.0.0.0/8, ::1"]),
            try read(file: "server:\n  trustedProxies: 10.0.0.0/8, ::1\n"),
            try read(file: "server:\n  trustedProxies:\n    - 10.0.0.0/8\n    - \"::1\"\n"),
        ] {
            #expect(invocation.configuration.server.trustedProxies.map(\.description) == expected)
        }
    }

    @Test("Flags are options without a value")
    func flags() throws {
        let invocation = try read(["--demo", "--port", "0", "--check"])
        #expect(invocation.isDemo && invocation.isCheck && invocation.configuration.port == 0)
        #expect(try read([], ["TIPWIRE_DEMO": "1", "TIPWIRE_CHECK": "1"]) == ServeInvocation())
    }

    @Test("The file is named by the option, else by the environment")
    func file() throws {
        let missing = ["TIPWIRE_CONFIG": "/nowhere/a.yaml"]
        #expect(try read([], missing, file: "port: 5").configuration.port == 5)
        #expect(try refusal([], missing) == "TIPWIRE_CONFIG: '/nowhere/a.yaml': there is no such file")
        #expect(try refusal(["--config=/tmp"]) == "--config: '/tmp': it can't be read as a file")
    }

    @Test("A file of comments alone sets nothing", arguments: ["", "# port: 5\n", "---\n\n  # all\n", "{}"])
    func comments(file: String) throws {
        #expect(try read(file: file) == ServeInvocation())
    }

    @Test("Variables of the client verbs and of others are no settings")
    func foreignEnvironment() throws {
        let invocation = try read(
            [],
            [
                "TIPWIRE_SERVER": "http://a", "TIPWIRE_KEY": "tw_", "TIPWIRE_KEY_FILE": "/a", "TIPWIRE_BINARY": "x",
                "TIPWIRE_PORT": "5", "PATH": "/", "TIPWIRE_FEEDER_X": "1",
            ])
        #expect(invocation.configuration.port == 5 && invocation.warnings.isEmpty)
    }

    @Test(
        "An unknown variable below our sections, or a typing error away from a setting, is refused with the nearest name",
        arguments: [
            ("TIPWIRE_FEED_IDLE_SECOND", "; did you mean TIPWIRE_FEED_IDLE_SECONDS?"),
            ("TIPWIRE_LOG_COLOUR_OF_ERRORS", ""), ("TIPWIRE_PROT", "; did you mean TIPWIRE_PORT?"),
            ("TIPWIRE_DATE", "; did you mean TIPWIRE_DATA?"), ("TIPWIRE_CONFG", "; did you mean TIPWIRE_CONFIG?"),
        ])
    func unknownEnvironment(_ name: String, _ hint: String) throws {
        #expect(try refusal([], [name: "5"]) == "\(name): there is no such setting\(hint)")
        #expect(try read([], [name: ""]).warnings.isEmpty, "an empty one is not set")
    }
}

@Suite("Refusing a bad configuration")
struct ConfigurationRefusalTests {
    private static let numbers = Setting.all.filter { setting in
        switch setting.kind {
        case .number, .optionalNumber: true
        default: false
        }
    }

    @Test("A number outside its range is refused in the spelling that was used", arguments: numbers)
    func ranges(setting: Setting) throws {
        let range =
            switch setting.kind {
            case .number(let range, _), .optionalNumber(let range, _): range
            default: 0...0
            }
        let allowed = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        let values = ["\(range.lowerBound - 1)", "\(range.upperBound + 1)", "abc", "1.5", "+70", "7_0", "1e3", "70 s"]
        for value in values {
            let complaint = "'\(value)' is not \(allowed)"
            #expect(try refusal([setting.option, value]) == "\(setting.option): \(complaint)")
            #expect(try refusal([], [setting.environment: value]) == "\(setting.environment): \(complaint)")
            #expect(try refusal(file: yaml(setting, value)) == "tipwire.yaml: \(setting.name): \(complaint)")
        }
        #expect(try refusal(file: yaml(setting, "[70]")) == "tipwire.yaml: \(setting.name): a list is not \(allowed)")
    }

    @Test("A switch takes what people write for yes and no, alone it is on, and nothing else")
    func switches() throws {
        for (value, isOn) in [("true", true), ("ON", true), ("1", true), ("false", false), ("no", false), ("0", false)]
        {
            let setting = ["--webhooks-allow-http", value]
            #expect(try read(setting).configuration.webhooks.allowHTTP == isOn)
        }
        let alone = try read(["--webhooks-allow-http", "--port", "1", "--webhooks-require-challenge"]).configuration
        #expect(alone.webhooks.allowHTTP && alone.webhooks.requireChallenge && alone.port == 1)
        #expect(try refusal(["--webhooks-allow-http=maybe"]) == "--webhooks-allow-http: 'maybe' is not true or false")
    }

    @Test("A file of trust roots must be there and hold a certificate")
    func files() throws {
        var configuration = ServerConfiguration()
        try configuration.checkFiles()
        configuration.webhooks.trustRoots = "/nowhere/roots.pem"
        let error = #expect(throws: (any Error).self) { try configuration.checkFiles() }
        #expect(
            error.map { "\($0)" }
                == "webhooks.trustRoots: '/nowhere/roots.pem' must be a readable PEM file with at least one certificate"
        )
    }

    @Test("Both ends of every range are allowed", arguments: numbers)
    func ends(setting: Setting) throws {
        guard case .number(let range, let path) = setting.kind else { return }
        for end in [range.lowerBound, range.upperBound] {
            // The longest idle limit makes room for the longest probe but one.
            let value = setting.name == "feed.probeSeconds" ? min(end, 86_399) : end
            let others = setting.name == "feed.probeSeconds" ? ["--feed-idle-seconds", "86400"] : []
            #expect(try read(others + [setting.option, "\(value)"]).configuration[keyPath: path] == value)
        }
    }

    @Test(
        "Options are read strictly",
        arguments: [
            (["--prot", "1"], "--prot: there is no such option; did you mean --port?"),
            (
                ["--webhooks-allow-tls"],
                "--webhooks-allow-tls: there is no such option; did you mean --webhooks-allow-http?"
            ),
            (
                ["--feed-idle-second=5"],
                "--feed-idle-second: there is no such option; did you mean --feed-idle-seconds?"
            ),
            (["--port"], "--port: needs a value"),
            (["--port", "--demo"], "--port: needs a value"),
            (["--config="], "--config: needs a value"),
            (["--port="], "--port: '' is not a whole number from 0 to 65535"),
            (["--port", "1", "--port=1"], "--port: given more than once"),
            (["--demo", "--demo"], "--demo: given more than once"),
            (["--demo=yes"], "--demo: takes no value"),
            (["--port", "1", "2"], "serve: takes options only, not '2'"),
            (["--", "-p"], "serve: takes options only, not '--'"),
            (["--a\nb"], "--a\\nb: there is no such option"),
            (["tw_0123456789abcdef"], "serve: takes options only, not 'tw_01234567…'"),
            (["--key=tw_0123456789abcdef"], "--key: there is no such option"),
        ])
    func options(arguments: [String], line: String) throws {
        #expect(try refusal(arguments) == line)
    }

    @Test(
        "Unknown and misplaced names in the file are refused",
        arguments: [
            ("prot: 1", "tipwire.yaml: prot: there is no such setting; did you mean port?"),
            (
                "feed:\n  idleSecond: 1",
                "tipwire.yaml: feed.idleSecond: there is no such setting; did you mean feed.idleSeconds?"
            ),
            (
                "webhooks:\n  allowTLS: true",
                "tipwire.yaml: webhooks.allowTLS: there is no such setting; did you mean webhooks.allowHTTP?"
            ),
            ("feed: 5", "tipwire.yaml: feed: is a section, its settings stand indented below it"),
            ("feed: [a]", "tipwire.yaml: feed: is a section, its settings stand indented below it"),
            ("port:\n  main: 5", "tipwire.yaml: port.main: there is no such setting"),
            ("- port", "tipwire.yaml: Top level YAML value is not a mapping"),
            ("5", "tipwire.yaml: Top level YAML value is not a mapping"),
        ])
    func names(file: String, line: String) throws {
        #expect(try refusal(file: file) == line)
    }

    @Test(
        "What is no YAML is refused in one line that begins with the file's name",
        arguments: ["port: [", "port: 1\nport: 2", "\tport: 1", "port: &x [*y]", "port: 1\n---\nport: 2"])
    func notYAML(file: String) throws {
        let line = try #require(try refusal(file: file))
        #expect(line.hasPrefix("tipwire.yaml: ") && line.count > 30 && !line.hasSuffix(":"))
    }

    @Test(
        "Text settings are checked",
        arguments: [
            ("--host", "a b", "is not an address or a host name"),
            ("--host", "http://a", "is not an address or a host name"),
            ("--host", "", "is not an address or a host name"),
            ("--data", "", "is not a path"),
            ("--data", "~/tips", "begins with ~; write the whole path"),
            ("--tls-key", "~", "begins with ~; write the whole path"),
            ("--log-level", "loud", "is not one of trace, debug, info, notice, warning, error, critical"),
            ("--log-format", "xml", "is not one of text, json"),
            (
                "--server-trusted-proxies", "10.0.0.0/33",
                "is not an address or a CIDR block such as 10.0.0.0/8 or fd00::/8"
            ),
        ])
    func texts(option: String, value: String, complaint: String) throws {
        #expect(try refusal([option, value]) == "\(option): '\(value)' \(complaint)")
    }

    @Test("Every item of a list is checked, and the bad one is named")
    func items() throws {
        let line = try refusal(file: "server: {trustedProxies: [10.0.0.0/8, here]}")
        #expect(line?.hasPrefix("tipwire.yaml: server.trustedProxies: 'here' is not an address") == true)
        #expect(try refusal(["--server-trusted-proxies", "::1,,::2"])?.contains("''") == true)
    }

    @Test(
        "The public URL is a base that paths can follow",
        arguments: [
            "ftp://a", "a.example", "https://", "https://a/", "https://a/b/", "https://a?x", "https://a#x",
            "https://u@a",
            "https://a b", "https://:80", "https://a:", "https://a:0", "https://a:65536", "https://a:b",
            "https://a:1:2",
            "//a", "https:///a", "https://[::1]x", "https://é", "https://a\"b",
        ])
    func publicURL(url: String) throws {
        let line = try #require(try refusal([], ["TIPWIRE_SERVER_PUBLIC_URL": url]))
        #expect(line.hasPrefix("TIPWIRE_SERVER_PUBLIC_URL: '\(url)' is not an http or https URL"))
    }

    @Test(
        "Usual public URLs are allowed",
        arguments: [
            "http://a", "https://tips.example", "http://[::1]:8080", "https://a:8443/tips/live", "http://10.0.0.1:80",
        ])
    func goodPublicURL(url: String) throws {
        #expect(try read(["--server-public-url", url]).configuration.server.publicURL == url)
    }

    @Test("A probe that was asked for must come before the idle limit; an idle limit alone is taken, with a warning")
    func probe() throws {
        #expect(
            try refusal(["--feed-probe-seconds", "120"])
                == "--feed-probe-seconds: '120' is not below feed.idleSeconds (120)")
        #expect(
            try refusal(["--feed-idle-seconds", "5"], file: "feed: {probeSeconds: 5}")
                == "tipwire.yaml: feed.probeSeconds: '5' is not below feed.idleSeconds (5)")
        let invocation = try read(["--feed-idle-seconds", "5"])
        #expect(invocation.configuration.feed.idleSeconds == 5)
        #expect(invocation.warnings.count == 1 && invocation.warnings[0].hasPrefix("--feed-idle-seconds: '5' "))
        #expect(try read(["--feed-idle-seconds", "5", "--feed-probe-seconds", "2"]).warnings.isEmpty)
    }

    @Test("The metrics port is another than the main port")
    func metricsPort() throws {
        let line = try refusal([], ["TIPWIRE_METRICS_PORT": "8080"])
        #expect(line == "TIPWIRE_METRICS_PORT: '8080' is the main port already (port)")
        #expect(try refusal(["--port", "0", "--metrics-port", "0"]) == nil)
    }

    @Test("A value can't bring control characters into the error")
    func escaped() throws {
        #expect(try refusal(["--port", "1\n\u{1b}[2J"])?.hasPrefix(#"--port: '1\n\u{1b}[2J' is not"#) == true)
    }
}

@Suite("What is written about the configuration")
struct ConfigurationDocumentationTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private func text(_ path: String) throws -> String {
        try String(contentsOf: Self.root.appendingPathComponent(path), encoding: .utf8)
    }

    @Test("docs/configuration.md has the table of the code; 'make docs' writes it there")
    func documentation() throws {
        let rows = Setting.table.split(separator: "\n")
        #expect(rows.count == Setting.all.count + 2)
        for (row, setting) in zip(rows.dropFirst(2), Setting.all) {
            #expect(row.hasPrefix("| `\(setting.name)` | `\(setting.option)` | `\(setting.environment)` | "))
            #expect(row.hasSuffix(" | \(setting.meaning) |") && row.split(separator: " | ").count == 7)
        }
        #expect(try text("docs/configuration.md").contains("\n\n\(Setting.table)\n"))
    }

    @Test("packaging/tipwire.yaml names every setting, in order, at its default, and says what it means")
    func defaultFile() throws {
        let path = Self.root.appendingPathComponent("packaging/tipwire.yaml").path
        #expect(try read(["--config", path]).configuration == ServerConfiguration())

        var section = ""
        var comment = ""
        var found: [String] = []
        for line in try text("packaging/tipwire.yaml").split(separator: "\n", omittingEmptySubsequences: false) {
            let words = line.trimmingCharacters(in: .whitespaces)
            if words.hasPrefix("#") {
                comment += words.dropFirst() + " "
            } else if words.isEmpty {
                comment = ""
            } else {
                let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
                if !line.hasPrefix(" ") { section = "" }
                let name = section + parts[0]
                if let setting = Setting.all.first(where: { $0.name == name }) {
                    found.append(name)
                    // YAML wants quotes around a bare star.
                    let written = parts.count > 1 ? parts[1].trimmingCharacters(in: ["\""]) : ""
                    let value = written == "[]" ? "" : written
                    #expect(value == setting.defaultValue, "\(name)")
                    let said = comment.split(separator: " ").joined(separator: " ")
                    #expect(said.hasPrefix(setting.meaning.replacing("`", with: "")), "\(name): \(said)")
                } else {
                    section = parts[0] + "."
                }
                comment = ""
            }
        }
        #expect(found == Setting.all.map(\.name))
    }

    @Test("The help names every option, its default and the three that are no settings")
    func help() {
        let help = ServerConfiguration.help
        for option in Setting.all.map(\.option) + ["--config", "--demo", "--check"] {
            #expect(help.contains("\n  \(option)"), "\(option)")
        }
        for line in help.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    }
}
