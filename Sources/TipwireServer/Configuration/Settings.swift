import Logging
import TipwireCore

/// One thing that an operator can set: its name, what may be written for it, and what it means.
///
/// The table `Setting.all` is the only list of settings. The three spellings, the help of `tipwire serve`, the reading,
/// the checks and the refusal of unknown names come from it, and tests hold `docs/configuration.md` and
/// `packaging/tipwire.yaml` against it.
public struct Setting: Sendable {
    /// The name as in the file: `port`, or `feed.idleSeconds` for `idleSeconds` below `feed`.
    public let name: String
    /// What one of the number is (`seconds`, `bytes`…); empty for what is no quantity.
    public let unit: String
    /// One sentence: what it does, and what happens at the limit.
    public let meaning: String
    let kind: Kind

    /// What may be written, and where in the configuration it goes.
    enum Kind: Sendable {
        case text(TextRule, any Path<String>)
        case number(ClosedRange<Int>, any Path<Int>)
        case optionalNumber(ClosedRange<Int>, any Path<Int?>)
        case flag(any Path<Bool>)
        case optionalPath(any Path<String?>)
        case optionalURL(any Path<String?>)
        case optionalDatabase(any Path<String?>)
        case optionalName(any Path<String?>)
        case optionalWakeUp(any Path<String?>)
        case networks(any Path<[AddressRange]>)
        case origins(any Path<[String]>)
        case logLevel(any Path<Logger.Level>)
        case logFormat(any Path<LogFormat>)
        case ringUse(any Path<RingUse>)
    }

    enum TextRule: Sendable { case host, path }

    typealias Path<Value> = WritableKeyPath<ServerConfiguration, Value> & Sendable

    init(_ name: String, _ kind: Kind, unit: String = "", _ meaning: String) {
        self.name = name
        self.kind = kind
        self.unit = unit
        self.meaning = meaning
    }
}

// MARK: - The table

extension Setting {
    /// Every setting, in the order of the documentation.
    public static let all: [Setting] =
        listening + feed + eventHook + eventSub + webhooks + storage + requests + watching

    private static let ports = 0...65_535
    private static let upToOneDay = 1...86_400
    private static let upToOneHour = 1...3_600

    private static let listening = [
        Setting("host", .text(.host, \.host), "Address or host name to listen on."),
        Setting("port", .number(ports, \.port), unit: "port", "TCP port to listen on; 0 picks a free one."),
        Setting(
            "data", .text(.path, \.dataFolder),
            "Folder for the database and the admin key file; made if it is missing."),
        Setting(
            "database", .optionalDatabase(\.database),
            "PostgreSQL to keep everything in, in place of the file in the data folder; several servers may share it."),
        Setting(
            "node.name", .optionalName(\.node.name),
            "What this server is called among those that share its database; without one, the name of its machine."),
        Setting(
            "wakeup", .optionalWakeUp(\.wakeup),
            "NATS by which the servers on one `database` hand each other new events, in place of reads of the database."
        ),
        Setting(
            "server.trustedProxies", .networks(\.server.trustedProxies),
            "Peers whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; from all others they are ignored."),
        Setting(
            "server.publicURL", .optionalURL(\.server.publicURL),
            "URL that users reach this server by; without one, the address of the 'listening' line."),
        Setting(
            "tls.certificate", .optionalPath(\.tls.certificate),
            "PEM file of the certificate for TLS and those between it and a root; read again on SIGHUP."),
        Setting(
            "tls.key", .optionalPath(\.tls.key),
            "PEM file of the certificate's private key, without a password; read again on SIGHUP."),
    ]

    private static let feed = [
        Setting(
            "feed.idleSeconds", .number(upToOneDay, \.feed.idleSeconds), unit: "seconds",
            "A WebSocket without any inbound frame for this long is closed (1001)."),
        Setting(
            "feed.probeSeconds", .number(upToOneDay, \.feed.probeSeconds), unit: "seconds",
            "A WebSocket without any inbound frame for this long gets a ping; must be below `feed.idleSeconds`."),
        Setting(
            "feed.maxMessageBytes", .number(1_024...16_777_216, \.feed.maxMessageBytes), unit: "bytes",
            "Longest message that a client may send; a longer one closes its connection (1009)."),
        Setting(
            "feed.maxConnections", .number(1...10_000_000, \.feed.maxConnections), unit: "connections",
            "Open streams of all kinds together; beyond it new ones are refused (503)."),
        Setting(
            "feed.maxLagBytes", .number(1_024...1_073_741_824, \.feed.maxLagBytes), unit: "bytes",
            "What may wait for one slow connection; beyond it, it is closed (1013) and can resume from the log."),
        Setting(
            "feed.maxLagSeconds", .number(upToOneHour, \.feed.maxLagSeconds), unit: "seconds",
            "How long the oldest byte may wait for one slow connection; beyond it, it is closed (1013)."),
        Setting(
            "feed.sendBufferBytes", .number(4_096...16_777_216, \.feed.sendBufferBytes), unit: "bytes",
            "The kernel's send buffer for one connection; what doesn't fit waits in the server and counts as lag."),
        Setting(
            "feed.ioUring", .ringUse(\.feed.ioUring),
            "Whether an event goes to many sockets in one system call (io_uring); auto: where this machine allows it."),
    ]

    private static let eventHook = [
        Setting(
            "sse.keepaliveSeconds", .number(upToOneHour, \.sse.keepaliveSeconds), unit: "seconds",
            "Time between two comments on a stream of server-sent events, which keep proxies from closing it."),
        Setting(
            "sse.maxStreamSeconds", .number(0...86_400, \.sse.maxStreamSeconds), unit: "seconds",
            "A stream of server-sent events is ended after this long, and its client connects again; 0 means never."),
        Setting(
            "cors.allowedOrigins", .origins(\.cors.allowedOrigins),
            "Web pages that may read server-sent events from a browser, as origins; `*` stands for all."),
    ]

    private static let eventSub = [
        Setting(
            "eventsub.maxPerKey", .number(1...1_000_000, \.eventsub.maxPerKey), unit: "subscriptions",
            "EventSub subscriptions of one key at a time; beyond it creations are refused (429)."),
        Setting(
            "eventsub.maxPerPage", .number(1...1_000_000, \.eventsub.maxPerPage), unit: "subscriptions",
            "EventSub subscriptions to one page at a time; beyond it creations are refused (429)."),
        Setting(
            "eventsub.maxCreationsPerMinute", .number(1...1_000_000, \.eventsub.maxCreationsPerMinute),
            unit: "subscriptions",
            "EventSub subscriptions that one key may make in a minute; beyond it creations are refused (429)."),
    ]

    private static let webhooks = [
        Setting(
            "webhooks.allowedNetworks", .networks(\.webhooks.allowedNetworks),
            "Addresses that webhooks may be sent to although they are private, of this machine or otherwise refused."),
        Setting(
            "webhooks.allowHTTP", .flag(\.webhooks.allowHTTP),
            "Whether webhooks may be sent to `http://`, where everyone on the way can read them."),
        Setting(
            "webhooks.requireChallenge", .flag(\.webhooks.requireChallenge),
            "Whether an endpoint must answer a challenge before a webhook to it is made."),
        Setting(
            "webhooks.trustRoots", .optionalPath(\.webhooks.trustRoots),
            "PEM file of certificates that vouch for receivers, beside those that this machine trusts."),
        Setting(
            "webhooks.secretOverlapSeconds", .number(0...2_592_000, \.webhooks.secretOverlapSeconds), unit: "seconds",
            "After a rotation messages are signed with the old secret too for this long."),
        Setting(
            "webhooks.maxPending", .number(1...1_000_000, \.webhooks.maxPending), unit: "deliveries",
            "Deliveries that may wait for one webhook; beyond it the oldest are given up (dead letters)."),
        Setting(
            "webhooks.maxConcurrent", .number(2...64, \.webhooks.maxConcurrent), unit: "attempts",
            "Attempts of one webhook at a time: one first attempt, and retries beside it; more wait."),
        Setting(
            "webhooks.maxAttempts", .number(1...100_000, \.webhooks.maxAttempts), unit: "attempts",
            "Attempts of all webhooks at a time, each with a socket; more wait."),
        Setting(
            "webhooks.maxHistory", .number(1...100_000, \.webhooks.maxHistory), unit: "deliveries",
            "Ended deliveries that are kept of one webhook; beyond it the oldest are removed within a minute or two."),
    ]

    private static let storage = [
        Setting(
            "intake.maxPending", .number(1_000...1_000_000, \.intake.maxPending), unit: "tips",
            "Tips that may wait for the disk; beyond it requests are refused (503) and nothing of them is stored."),
        Setting(
            "retention.days", .number(1...36_500, \.retention.days), unit: "days",
            "Events older than this are pruned; tips and goals stay."),
        Setting(
            "retention.bytes", .number(4_096...1_125_899_906_842_624, \.retention.bytes), unit: "bytes",
            "Events that are kept; beyond it the oldest are pruned, however young."),
        Setting(
            "retention.checkSeconds", .number(upToOneDay, \.retention.checkSeconds), unit: "seconds",
            "Time between two looks at the age and size of the log."),
    ]

    private static let requests = [
        Setting(
            "drain.seconds", .number(0...3_600, \.drain.seconds), unit: "seconds",
            "What open connections get after SIGTERM or SIGINT before they are cut; 0 cuts them at once."),
        Setting(
            "auth.maxFailuresPerMinute", .number(0...1_000_000, \.auth.maxFailuresPerMinute), unit: "requests",
            "Requests with a bad key, or guesses at a password, from one address (of IPv6, one /64 network) in a minute; "
                + "beyond it they get 429; 0 switches the limit off."),
        Setting(
            "http.headSeconds", .number(upToOneHour, \.http.headSeconds), unit: "seconds",
            "Time for the head of a request to arrive; a slower connection is closed."),
        Setting(
            "http.bodySeconds", .number(upToOneHour, \.http.bodySeconds), unit: "seconds",
            "Time for the body of a request to arrive; a slower request is refused (408)."),
        Setting(
            "http.idleSeconds", .number(upToOneHour, \.http.idleSeconds), unit: "seconds",
            "How long a kept-alive connection may be without a request; then it is closed."),
    ]

    private static let watching = [
        Setting(
            "metrics.port", .optionalNumber(ports, \.metrics.port), unit: "port",
            "Second TCP port, on which `/metrics` needs no key; without one, `/metrics` asks for an `admin` key."),
        Setting("log.level", .logLevel(\.log.level), "Entries below this level are not written."),
        Setting("log.format", .logFormat(\.log.format), "One line of text, or one line of JSON, for each log entry."),
    ]
}

// MARK: - Spellings

extension Setting {
    /// The option: `--feed-idle-seconds`, `--server-public-url`.
    public var option: String {
        "--" + words.joined().joined(separator: "-").lowercased()
    }

    /// The environment variable: `TIPWIRE_FEED_IDLE_SECONDS`, `TIPWIRE_SERVER_PUBLIC_URL`.
    public var environment: String {
        "TIPWIRE_" + words.joined().joined(separator: "_").uppercased()
    }

    /// Whether it is on or off.
    var isSwitch: Bool {
        if case .flag = kind { true } else { false }
    }

    /// The name's parts: `["feed", "idleSeconds"]`.
    var components: [String] { name.split(separator: ".").map(String.init) }

    /// The section that the setting stands under in the file; `nil` for those at the top.
    var section: String? { components.count > 1 ? components[0] : nil }

    /// The parts' words. A word begins where a capital follows a small letter, so `publicURL` has two.
    private var words: [[String]] {
        components.map { component in
            var words = [""]
            for character in component {
                if character.isUppercase, words[words.count - 1].last?.isLowercase == true { words.append("") }
                words[words.count - 1].append(character)
            }
            return words
        }
    }

    /// The names that take several settings together in the file: `feed`, `log`…
    static let sections = Set(all.compactMap(\.section))
}

// MARK: - Help

extension Setting {
    /// The value that this setting has in `configuration`, as one would write it.
    public func value(in configuration: ServerConfiguration) -> String {
        switch kind {
        case .text(_, let path): configuration[keyPath: path]
        case .number(_, let path): String(configuration[keyPath: path])
        case .optionalNumber(_, let path): configuration[keyPath: path].map(String.init) ?? ""
        case .flag(let path): configuration[keyPath: path] ? "true" : "false"
        case .optionalPath(let path), .optionalURL(let path), .optionalDatabase(let path), .optionalWakeUp(let path),
            .optionalName(let path):
            configuration[keyPath: path] ?? ""
        case .networks(let path): configuration[keyPath: path].map(\.description).joined(separator: ",")
        case .origins(let path): configuration[keyPath: path].joined(separator: ",")
        case .logLevel(let path): configuration[keyPath: path].rawValue
        case .logFormat(let path): configuration[keyPath: path].rawValue
        case .ringUse(let path): configuration[keyPath: path].rawValue
        }
    }

    /// The default, as one would write it; empty for none.
    public var defaultValue: String { value(in: ServerConfiguration()) }

    /// What may be written, to follow 'is not': `a whole number from 1 to 86400`.
    public var allowed: String {
        switch kind {
        case .text(.host, _): "an address or a host name"
        case .text(.path, _), .optionalPath: "a path"
        case .number(let range, _), .optionalNumber(let range, _):
            "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .flag: "true or false"
        case .optionalURL: "an http or https URL without a query and without a slash at its end"
        case .optionalDatabase: "a URL such as postgres://USER@HOST/DATABASE"
        case .optionalName: "1 to 63 letters, digits, '-', '.' and '_'"
        case .optionalWakeUp: "a URL such as nats://HOST:4222 or tls://HOST:4222"
        case .networks: "a list of addresses or CIDR blocks such as 10.0.0.0/8 or fd00::/8"
        case .origins: "* or a list of origins such as https://example.com"
        case .logLevel: "one of " + Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        case .logFormat: "one of " + LogFormat.allCases.map(\.rawValue).joined(separator: ", ")
        case .ringUse: "one of " + RingUse.allCases.map(\.rawValue).joined(separator: ", ")
        }
    }

    /// What a shell may offer for a value.
    public enum Values: Sendable, Equatable {
        case file
        case folder
        case oneOf([String])
        /// Nothing that a shell would know.
        case other
    }

    public var values: Values {
        switch kind {
        case .text(.path, _): .folder
        case .optionalPath: .file
        case .flag: .oneOf(["true", "false"])
        case .logLevel: .oneOf(Logger.Level.allCases.map(\.rawValue))
        case .logFormat: .oneOf(LogFormat.allCases.map(\.rawValue))
        case .ringUse: .oneOf(RingUse.allCases.map(\.rawValue))
        case .text(.host, _), .number, .optionalNumber, .optionalURL, .optionalDatabase, .optionalWakeUp, .optionalName,
            .networks,
            .origins:
            .other
        }
    }

    private var placeholder: String {
        switch kind {
        case .text(.host, _): "ADDRESS"
        case .text(.path, _): "PATH"
        case .number, .optionalNumber: unit.uppercased()
        case .flag: "true|false"
        case .optionalPath: "PATH"
        case .optionalURL, .optionalDatabase, .optionalWakeUp: "URL"
        case .optionalName: "NAME"
        case .networks: "CIDR,…"
        case .origins: "ORIGIN,…"
        case .logLevel: "LEVEL"
        case .logFormat: "FORMAT"
        case .ringUse: RingUse.allCases.map(\.rawValue).joined(separator: "|")
        }
    }

    fileprivate var help: String {
        let preset = defaultValue.isEmpty ? "none" : defaultValue
        let sentences = meaning.replacing("`", with: "") + " Allowed: \(allowed). Default: \(preset)."
        return "  \(option) \(placeholder)\n" + Self.wrapped(sentences.split(separator: " "))
    }

    private static func wrapped(_ words: [Substring], indent: String = "      ", width: Int = 80) -> String {
        var lines = [indent]
        for word in words {
            if lines[lines.count - 1].count + 1 + word.count > width { lines.append(indent) }
            lines[lines.count - 1] += (lines[lines.count - 1] == indent ? "" : " ") + word
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension Setting {
    /// Its row in the documentation.
    private var row: String {
        let cells = [
            "`\(name)`", "`\(option)`", "`\(environment)`", defaultValue.isEmpty ? "none" : "`\(defaultValue)`",
            allowed.replacing("a whole number from ", with: ""), unit.isEmpty ? "–" : unit, meaning,
        ]
        return "| \(cells.joined(separator: " | ")) |\n"
    }

    /// All settings as `docs/configuration.md` has them.
    public static var table: String {
        """
        | in the file | option | environment | default | allowed | unit | meaning |
        | --- | --- | --- | --- | --- | --- | --- |

        """ + all.map(\.row).joined()
    }
}

extension ServerConfiguration {
    /// What `tipwire serve --help` prints.
    public static var help: String {
        """
        Starts the server. Everything has a default. Options win over the environment,
        and the environment wins over the file. The option --feed-idle-seconds is
        TIPWIRE_FEED_IDLE_SECONDS in the environment and feed.idleSeconds in the file.

        usage: tipwire serve [--demo] [--check] [--config PATH] [--SETTING VALUE]…

          --config PATH
              A YAML file with any of the settings. Environment: TIPWIRE_CONFIG.
          --demo
              Makes a page 'demo' with a key and prints commands to try.
          --check
              Checks the settings and exits, 0 or 1.

        """ + Setting.all.map(\.help).joined()
    }
}
