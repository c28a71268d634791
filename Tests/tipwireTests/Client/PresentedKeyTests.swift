import ArgumentParser
import Foundation
import Testing
import TipwireCore

@testable import tipwire

@Suite struct PresentedKeyTests {
    private static func key(_ letter: String) -> String { "tw_" + String(repeating: letter, count: 64) }

    @Test("The option wins over the environment, and the environment over the file")
    func order() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data((Self.key("c") + "\n").utf8).write(to: folder.appendingPathComponent("admin.key"))
        var environment = ["TIPWIRE_DATA": folder.path, "TIPWIRE_KEY": Self.key("b")]

        let option = try PresentedKey.find(option: Self.key("a"), environment: environment)
        #expect(option.key.reveal() == Self.key("a") && option.source == .option)
        let variable = try PresentedKey.find(option: nil, environment: environment)
        #expect(variable.key.reveal() == Self.key("b") && variable.source == .environment)
        environment["TIPWIRE_KEY"] = ""
        let file = try PresentedKey.find(option: nil, environment: environment)
        #expect(file.key.reveal() == Self.key("c") && file.source == .file(folder.path + "/admin.key"))
    }

    @Test("A file that is named holds the key, by option or environment, and both ways at once are refused")
    func files() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        try Data((Self.key("d") + "\n").utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let option = try PresentedKey.find(option: nil, file: path, environment: ["TIPWIRE_KEY": Self.key("b")])
        #expect(option.key.reveal() == Self.key("d") && option.source == .file(path))
        let variable = try PresentedKey.find(
            option: nil, environment: ["TIPWIRE_KEY_FILE": path, "TIPWIRE_KEY": "", "TIPWIRE_DATA": "/nowhere"])
        #expect(variable.key.reveal() == Self.key("d") && variable.source == .file(path))
        let both = try #require(throws: Failure.self) {
            _ = try PresentedKey.find(
                option: nil, environment: ["TIPWIRE_KEY_FILE": path, "TIPWIRE_KEY": Self.key("b")])
        }
        #expect(both.message.contains("TIPWIRE_KEY and TIPWIRE_KEY_FILE"))
        let missing = try #require(throws: Failure.self) {
            _ = try PresentedKey.find(option: nil, file: "/nowhere/a.key", environment: [:])
        }
        #expect(missing.message.hasPrefix("cannot read the key file /nowhere/a.key"))
        #expect(throws: (any Error).self) {
            try ClientOptions.parse(["--key", Self.key("a"), "--key-file", path]).validate()
        }
    }

    @Test("Without a key all three places are named")
    func none() throws {
        let failure = try #require(throws: Failure.self) {
            _ = try PresentedKey.find(option: nil, environment: ["TIPWIRE_DATA": "/nowhere/at/all"])
        }
        for place in ["--key", "TIPWIRE_KEY", "/nowhere/at/all/admin.key"] {
            #expect(failure.message.contains(place))
        }
    }

    @Test(
        "What can't be a key is refused without repeating it",
        arguments: ["", "secret-password", "tw_ABC", "tw_a\r\nb"])
    func malformed(_ text: String) throws {
        let failure = try #require(throws: Failure.self) {
            _ = try PresentedKey.find(option: text, environment: [:])
        }
        #expect(failure.message.contains("--key"))
        #expect(text.isEmpty || !failure.message.contains(text))
    }

    @Test("A key doesn't show itself when it is printed by mistake")
    func redacted() throws {
        let presented = try PresentedKey.find(option: Self.key("a"), environment: [:])
        #expect(!"\(presented)".contains(Self.key("a")))
        #expect(!String(reflecting: presented).contains(Self.key("a")))
    }
}
