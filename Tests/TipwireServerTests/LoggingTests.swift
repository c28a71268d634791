import Foundation
import Logging
import Testing

@testable import TipwireServer

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

private let key = "tw_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

@Suite("Redaction")
struct RedactionTests {
    @Test(
        "An API key keeps its public prefix and nothing else",
        arguments: [
            (key, "tw_01234567…"),
            ("key \(key), done", "key tw_01234567…, done"),
            ("Bearer \(key)", "Bearer tw_01234567…"),
            ("\(key)\(key)", "tw_01234567…"),
            ("xtw_0123456789\n", "xtw_01234567…\n"),
            ("tw_012345678", "tw_01234567…"),
            ("tw_0123456789ABCDEF", "tw_01234567…"),
        ])
    func keys(text: String, expected: String) {
        #expect(Redaction.redacted(text) == expected)
    }

    @Test(
        "Values of the query parameters that carry secrets are hidden",
        arguments: [
            ("/?auth=abc", "/?auth=[redacted]"),
            ("postgres://tip:s3cr%40t@db/tips", "postgres://tip:[redacted]@db/tips"),
            ("postgres://db/tips?password=abc&user=tip", "postgres://db/tips?password=[redacted]&user=tip"),
            ("'nats://s3cr3t@host:4222'", "'nats://[redacted]@host:4222'"),
            ("https://user@host/", "https://user@host/"),
            ("https://tips.example:8443/a@b", "https://tips.example:8443/a@b"),
            ("/stream?token=abc&page=a", "/stream?token=[redacted]&page=a"),
            ("/overlay/a?x=1&key=\(key)", "/overlay/a?x=1&key=[redacted]"),
            ("/login?code=a%2Fb#top", "/login?code=[redacted]#top"),
            ("AUTH=Abc and Token=x", "AUTH=[redacted] and Token=[redacted]"),
            ("auth=a&auth=b", "auth=[redacted]&auth=[redacted]"),
            ("access_token=abc", "access_token=[redacted]"),
            (#"GET "/?auth=abc" 401"#, #"GET "/?auth=[redacted]" 401"#),
            ("callback=https%3A%2F%2Fa%3Ftoken%3Dabc%26x%3D1", "callback=https%3A%2F%2Fa%3Ftoken%3D[redacted]%26x%3D1"),
        ])
    func parameters(text: String, expected: String) {
        #expect(Redaction.redacted(text) == expected)
    }

    @Test(
        "Of a webhook's secret nothing is left but its kind",
        arguments: [
            ("secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, done", "secret whsec_…, done"),
            (#"{"secret":"whsec_a/b+c=="}"#, #"{"secret":"whsec_…"}"#),
            ("transport%5Bsecret%5D=whsec_a%2Fb%3D&type=x", "transport%5Bsecret%5D=whsec_…&type=x"),
            ("whsec_ and nothing", "whsec_ and nothing"),
        ])
    func webhookSecrets(text: String, expected: String) {
        #expect(Redaction.redacted(text) == expected)
    }

    @Test(
        "Everything else is left as it is",
        arguments: [
            "", "tw_", "tw_01234567", "tw_0123456g89", "auth=", "token=&page=a", "monkey=banana", "decode=1",
            "authority=x",
            "key: value", "é tw_ß auth", "page=demo&since=12",
        ])
    func rest(text: String) {
        #expect(Redaction.redacted(text) == text)
    }

    @Test("No cut of a line brings a hidden key back")
    func prefixes() {
        let line = "GET /?auth=\(key)&x=1 by \(key)"
        for end in line.indices {
            let redacted = Redaction.redacted(String(line[..<end]))
            #expect(!redacted.contains("tw_012345678"), "\(redacted)")
        }
    }
}

@Suite("Log lines")
struct LogLineTests {
    private func line(
        _ message: String, _ metadata: Logger.Metadata = [:], level: Logger.Level = .info
    ) -> LogLine {
        LogLine(
            time: Date(timeIntervalSince1970: 1_769_860_800.5), level: level, label: "tipwire", message: message,
            metadata: metadata)
    }

    @Test("Text has time, level, message and sorted metadata, quoted where it must be")
    func text() {
        let line = line(
            "page made",
            [
                "slug": "demo", "count": "\(3)", "title": "Two words", "empty": "", "quote": #"say "hi" \o/"#,
                "nested": ["b", .dictionary(["k": "v"])],
            ], level: .notice)
        #expect(
            line.formatted(as: .text)
                == #"2026-01-31T12:00:00.500Z notice page made count=3 empty="" nested="[b, {k=v}]" "#
                + #"quote="say \"hi\" \\o/" slug=demo title="Two words""# + "\n")
    }

    @Test("JSON has time, level, message, label and the metadata, in this order")
    func json() throws {
        let line = line(
            "page made", ["slug": "demo", "level": "mine", "list": ["a", .dictionary(["k": "say \"hi\""])]])
        #expect(
            line.formatted(as: .json)
                == #"{"time":"2026-01-31T12:00:00.500Z","level":"info","message":"page made","label":"tipwire","#
                + #""metadata.level":"mine","list":["a",{"k":"say \"hi\""}],"slug":"demo"}"# + "\n")
    }

    @Test("No text from outside can begin a second line or command a terminal", arguments: LogFormat.allCases)
    func injection(format: LogFormat) throws {
        let hostile =
            "a\nb\r\n2026 error\u{0}\u{1b}[2J\u{7f}\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}\u{200f}\t\"\\c"
        let line = line(hostile, [hostile: "\(hostile)", "nested": [.dictionary([hostile: "\(hostile)"])]])
            .formatted(as: format)
        #expect(line.hasSuffix("\n"))
        let unsafe = line.dropLast().unicodeScalars.filter { scalar in
            scalar.properties.generalCategory == .control || (0x2028...0x202E).contains(scalar.value)
                || (0x2066...0x2069).contains(scalar.value) || scalar.value == 0x200F
        }
        #expect(unsafe.isEmpty)
        guard format == .json else { return }
        let members = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(members["message"] as? String == hostile)
        #expect(members[hostile] as? String == hostile)
    }

    @Test("Text spells control characters out")
    func escapes() {
        #expect(line("a\nb\u{1b}c\u{202e}").formatted(as: .text).contains(#"info a\nb\u{1b}c\u{202e}"#))
        #expect(line("m", ["k": "a\nb"]).formatted(as: .text).hasSuffix(#" k="a\nb""# + "\n"))
        #expect(line("m", ["a b": "c"]).formatted(as: .text).hasSuffix(#" "a b"=c"# + "\n"))
    }

    @Test("Secrets are hidden in the message and in metadata at any depth", arguments: LogFormat.allCases)
    func secrets(format: LogFormat) {
        let line = line(
            "GET /?auth=hunter2 \(key)",
            ["uri": "/?token=hunter2", "list": [.dictionary(["k": "code=hunter2"]), "\(key)"], "key": "\(key)"]
        ).formatted(as: format)
        #expect(!line.contains("hunter2"))
        #expect(!line.contains("tw_012345678"))
        #expect(line.contains("tw_01234567…"))
    }

    @Test("A value that a client can lengthen is cut", arguments: LogFormat.allCases)
    func cut(format: LogFormat) {
        let long = String(repeating: "x", count: 1_000_000)
        let line = line(long, ["uri": "\(long)"]).formatted(as: format)
        #expect(line.utf8.count < 9_000)
        #expect(line.contains("x…"))
        let whole = String(repeating: "x", count: 4_096)
        #expect(!self.line(whole).formatted(as: format).contains("…"))
    }
}

@Suite("The log handler")
struct StandardErrorLogHandlerTests {
    private struct Fault: Error {}

    /// What each `write(2)` of the body wrote: a datagram socket keeps them apart.
    private func writes(_ body: (Int32) -> Void) throws -> [String] {
        var pair: [Int32] = [0, 0]
        #if canImport(Darwin)
        let datagram = SOCK_DGRAM
        #else
        let datagram = Int32(SOCK_DGRAM.rawValue)
        #endif
        try #require(socketpair(AF_UNIX, datagram, 0, &pair) == 0)
        defer { for descriptor in pair { close(descriptor) } }
        body(pair[0])
        var result: [String] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let dontWait = Int32(MSG_DONTWAIT)
        while true {
            let count = recv(pair[1], &buffer, buffer.count, dontWait)
            guard count > 0 else { return result }
            result.append(String(decoding: buffer[..<count], as: UTF8.self))
        }
    }

    @Test("Each entry is one line in one write", arguments: LogFormat.allCases)
    func oneWrite(format: LogFormat) throws {
        let lines = try writes { descriptor in
            let logger = StandardErrorLogHandler.makeLogger(label: "a", format: format, descriptor: descriptor)
            logger.info("one\ntwo", metadata: ["k": "v"])
            logger.error("three")
        }
        try #require(lines.count == 2)
        for line in lines { #expect(line.last == "\n" && line.count { $0 == "\n" } == 1) }
        let entry = format == .text ? #" info one\ntwo k=v"# : #""message":"one\ntwo","label":"a","k":"v""#
        #expect(lines[0].contains(entry))
    }

    @Test("Entries below the level are not written")
    func level() throws {
        let lines = try writes { descriptor in
            let logger = StandardErrorLogHandler.makeLogger(label: "a", level: .warning, descriptor: descriptor)
            logger.info("no")
            logger.warning("yes")
        }
        #expect(lines.count == 1)
        #expect(lines.first?.hasSuffix(" warning yes\n") == true)
    }

    @Test("The entry's metadata wins over the provider's, and that over the logger's")
    func metadata() throws {
        let lines = try writes { descriptor in
            let provider = Logger.MetadataProvider { ["a": "provider", "b": "provider"] }
            var logger = Logger(label: "a") { label in
                StandardErrorLogHandler(
                    label: label, level: .info, format: .text, metadataProvider: provider, descriptor: descriptor)
            }
            logger[metadataKey: "a"] = "logger"
            logger[metadataKey: "c"] = "logger"
            logger.info("m", error: Fault(), metadata: ["b": "entry"])
        }
        #expect(lines.first?.hasSuffix(" m a=provider b=entry c=logger error=Fault()\n") == true)
    }

    @Test("A closed descriptor loses the line and nothing else")
    func closed() {
        StandardErrorLogHandler.makeLogger(label: "a", descriptor: -1).error("lost")
    }
}
