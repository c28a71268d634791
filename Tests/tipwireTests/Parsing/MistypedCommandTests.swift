import Testing

@testable import tipwire

@Suite struct MistypedCommandTests {
    @Test(
        "A slip in a command's name is answered with the name",
        arguments: [
            (["tpi", "demo", "--amount", "5"], "tipwire", "tip"), (["tis"], "tipwire", "tip"),
            (["reply", "demo"], "tipwire", "replay"), (["sub"], "tipwire", "subscription"),
            (["subscriptoin", "list"], "tipwire", "subscription"), (["goal", "lst", "demo"], "tipwire goal", "list"),
            (["page", "member", "ad"], "tipwire page member", "add"), (["help", "lisen"], "tipwire", "listen"),
        ])
    func likely(_ arguments: [String], _ command: String, _ name: String) throws {
        let mistyped = try #require(MistypedCommand(in: arguments, of: Tipwire.self))
        #expect(mistyped.command == command)
        #expect(mistyped.likely == name)
        #expect(mistyped.text.contains("did you mean '\(name)'?"))
        #expect(mistyped.text.contains("See '\(command) --help'"))
    }

    @Test("What resembles no command gets no proposal, and nothing of it reaches the terminal raw")
    func unlikely() throws {
        let mistyped = try #require(MistypedCommand(in: ["frobnicate\u{1B}[2J"], of: Tipwire.self))
        #expect(mistyped.likely == nil)
        #expect(!mistyped.text.contains("did you mean"))
        #expect(!mistyped.text.contains("\u{1B}"))
        #expect(try #require(MistypedCommand(in: ["page", ""], of: Tipwire.self)).likely == nil)
        let long = try #require(MistypedCommand(in: [String(repeating: "x", count: 100_000)], of: Tipwire.self))
        #expect(long.likely == nil)
    }

    @Test(
        "Commands, options and arguments are left to the parser",
        arguments: [
            [], ["--help"], ["--version"], ["help"], ["help", "tip"], ["tip", "tpi"], ["goal"], ["goal", "--help"],
            ["goal", "list", "lst"], ["page", "member", "add", "demo"], ["serve", "--demo"],
        ])
    func understood(_ arguments: [String]) {
        #expect(MistypedCommand(in: arguments, of: Tipwire.self) == nil)
    }
}
