import ArgumentParser
import Testing

@testable import tipwire

@Suite struct CommandArgumentsTests {
    @Test("A minus begins an amount and no option", arguments: [["--amount", "-5.00"], ["--amount=-5.00"]])
    func negativeAmount(_ amount: [String]) throws {
        let command = try Tipwire.parseAsRoot(["goal", "adjust", "Demo", "g1"] + amount + ["--reason", "chargeback"])
        let adjust = try #require(command as? GoalCommand.Adjust)
        #expect(adjust.amount == "-5.00")
        #expect("\(adjust.goal.slug)" == "demo")
        #expect(adjust.goal.id == "g1")
    }

    @Test(
        "An amount below nothing is refused as one, not as missing",
        arguments: [
            ["tip", "demo", "--amount", "-5"], ["goal", "add", "demo", "Webcam", "--amount", "-5"],
            ["goal", "edit", "demo", "g1", "--amount", "-5"],
            ["subscription", "create", "demo", "https://example.com/", "--minimum-amount", "-5"],
        ])
    func negative(arguments: [String]) throws {
        let failure = #expect(throws: (any Error).self) { _ = try Tipwire.parseAsRoot(arguments) }
        let message = Tipwire.message(for: try #require(failure))
        #expect(message.contains("must be more than 0, a number like 5"))
        #expect(message.contains("not '-5'"))
    }

    @Test(
        "What can be told before asking the server is told as a mistake of usage",
        arguments: [
            ["add", "demo", "Webcam"], ["add", "demo", "Webcam", "--amount", "-5"], ["add", "demo", "--amount", "5"],
            ["add", "Not a slug", "Webcam", "--amount", "5"], ["edit", "demo", "g1"],
            ["edit", "demo", "g1", "--amount", "much"], ["move", "demo", "g1"], ["move", "demo", "g1", "--to", "0"],
            ["move", "demo", "g1", "--to", "1", "--last"], ["move", "demo", "g1", "--first", "--last"],
            ["remove", "demo", ""], ["adjust", "demo", "g1", "--amount", "5"],
            ["adjust", "demo", "g1", "--amount", "--reason", "x"],
            ["adjust", "demo", "g1", "--amount", "5", "--reason", "x", "--idempotency-key", "a b"],
        ])
    func usage(_ arguments: [String]) {
        #expect { _ = try Tipwire.parseAsRoot(["goal"] + arguments) } throws: { error in
            Tipwire.exitCode(for: error) == .validationFailure
        }
    }

    @Test("The ways to listen are named when another is asked for, and a cursor must be one that can be sent")
    func listen() throws {
        let failure = #expect(throws: (any Error).self) {
            _ = try Tipwire.parseAsRoot(["listen", "--via", "pigeon"])
        }
        #expect(Tipwire.message(for: try #require(failure)).contains("this version offers: feed, sse, eventsub"))
        #expect(throws: (any Error).self) { _ = try Tipwire.parseAsRoot(["listen", "--since", "a\nb"]) }
        let listen = try #require(
            try Tipwire.parseAsRoot(["listen", "--via", "sse", "--since", "e-1"]) as? ListenCommand)
        #expect(listen.via == "sse")
    }

    @Test("A cursor doesn't go with a subscription, which is told why, nor a type with anything else")
    func subscribe() throws {
        let failure = #expect(throws: (any Error).self) {
            _ = try Tipwire.parseAsRoot(["listen", "--via", "eventsub", "--since", "now"])
        }
        #expect(Tipwire.message(for: try #require(failure)).contains("a subscription begins when it is made"))
        #expect(Tipwire.exitCode(for: try #require(failure)) == .validationFailure)
        for arguments in [["--type", "goals.queue"], ["--via", "sse", "--type", "goals.queue"]] {
            #expect(throws: (any Error).self) { _ = try Tipwire.parseAsRoot(["listen"] + arguments) }
        }
        let listen = try #require(
            try Tipwire.parseAsRoot(["listen", "--via", "eventsub", "--type", "goals.queue"]) as? ListenCommand)
        #expect(listen.type == "goals.queue")
    }
}
