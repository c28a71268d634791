import Testing
import TipwireCore

@testable import tipwire

@Suite struct ReconnectionTests {
    private static let address = ServerAddress("http://h:8080")!
    private static let start = ContinuousClock.now

    private static func decide(
        _ reconnection: inout Reconnection, _ ending: ListeningEnding = .lost, at seconds: Double = 0,
        lived: Duration = .zero, random: Double = 1, page: Slug? = nil
    ) -> Reconnection.Decision {
        reconnection.decide(
            after: ending, at: start + .seconds(seconds), lived: lived, random: random,
            asked: .init(address: address, source: .option, page: page))
    }

    @Test("The ceiling doubles from half a second to thirty and stays there")
    func ceiling() {
        var reconnection = Reconnection()
        let waits = (0..<9).map { _ in Self.decide(&reconnection) }
        let seconds = [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
        #expect(waits == seconds.map { .again(in: .milliseconds(Int($0 * 1_000))) })
    }

    @Test("For a minute after a good connection the ceiling stays at five seconds, then it goes on doubling")
    func early() {
        var reconnection = Reconnection()
        let ends = [(0.0, 60), (1, 0), (2, 0), (4, 0), (8, 0), (13, 0), (59.9, 0), (60, 0), (65, 0), (75, 0), (95, 0)]
        let waits = ends.map { Self.decide(&reconnection, at: $0, lived: .seconds($1)) }
        let seconds = [0.5, 1, 2, 4, 5, 5, 5, 5, 10, 20, 30]
        #expect(waits == seconds.map { .again(in: .milliseconds(Int($0 * 1_000))) })
    }

    @Test("Another good connection gives another minute")
    func earlyAgain() {
        var reconnection = Reconnection()
        for second in [0.0, 70, 80, 90, 100, 110] { _ = Self.decide(&reconnection, at: second, lived: .seconds(10)) }
        let waits = (0..<5).map { Self.decide(&reconnection, at: 120 + Double($0)) }
        let seconds = [1, 2, 4, 5, 5]
        #expect(waits == seconds.map { .again(in: .seconds($0)) })
    }

    @Test("Jitter is full: the wait may be anything down to nothing", arguments: [(0.0, 0), (0.25, 125), (0.5, 250)])
    func jitter(_ random: Double, _ milliseconds: Int) {
        var reconnection = Reconnection()
        #expect(Self.decide(&reconnection, random: random) == .again(in: .milliseconds(milliseconds)))
    }

    @Test("A connection that lived starts the backoff anew; one that was cut at once does not")
    func lived() {
        var reconnection = Reconnection()
        _ = Self.decide(&reconnection)
        #expect(Self.decide(&reconnection, lived: .seconds(9)) == .again(in: .seconds(1)))
        #expect(Self.decide(&reconnection, lived: .seconds(10)) == .again(in: .milliseconds(500)))
        #expect(Self.decide(&reconnection) == .again(in: .seconds(1)))
    }

    @Test(
        "Retry-After comes first and the jitter on top, within reason",
        arguments: [(3, 3_500), (-1, 500), (86_400, 300_500)])
    func retryAfter(_ seconds: Int, _ milliseconds: Int) {
        var reconnection = Reconnection()
        let ending = ListeningEnding.refused(status: 503, detail: nil, retryAfterSeconds: seconds)
        #expect(Self.decide(&reconnection, ending) == .again(in: .milliseconds(milliseconds)))
    }

    @Test(
        "What may pass is tried again",
        arguments: [
            ListeningEnding.lost, .ended, .silent("nothing came"), .unreachable(.refused), .unreachable(.unknownHost),
            .closed(code: 1012, reason: ""), .closed(code: 1013, reason: "slow"), .closed(code: 1001, reason: ""),
            .subscriptionOver("unknown"),
            .refused(status: 429, detail: nil, retryAfterSeconds: nil),
            .refused(status: 502, detail: nil, retryAfterSeconds: nil),
        ])
    func passing(_ ending: ListeningEnding) {
        var reconnection = Reconnection()
        #expect(Self.decide(&reconnection, ending) == .again(in: .milliseconds(500)))
    }

    @Test(
        "What would be answered the same is final, and says what to do",
        arguments: [
            (ListeningEnding.refused(status: 401, detail: nil, retryAfterSeconds: nil), "--key (401)"),
            (.refused(status: 403, detail: "no access", retryAfterSeconds: 5), "--key may not see it (403)"),
            (.refused(status: 400, detail: "bad channel", retryAfterSeconds: nil), "bad channel"),
            (.refused(status: 404, detail: nil, retryAfterSeconds: nil), "is --server right?"),
            (.refused(status: 200, detail: nil, retryAfterSeconds: nil), "is --server right?"),
            (.closed(code: 1008, reason: "key \u{7}revoked"), "key \\u{7}revoked"),
            (.oversized(bytes: 65_536), "longer than 65536 bytes"),
        ])
    func final(_ ending: ListeningEnding, _ part: String) {
        var reconnection = Reconnection()
        guard case .final(let words) = Self.decide(&reconnection, ending) else {
            Issue.record("tried again")
            return
        }
        #expect(words.contains(part))
    }

    @Test("A stream that was never up and one that was cut at once wait longer each time; one that lived does not")
    func streams() {
        var reconnection = Reconnection()
        #expect(Self.decide(&reconnection, .ended, lived: .seconds(1)) == .again(in: .milliseconds(500)))
        #expect(Self.decide(&reconnection, .silent("nothing came"), lived: .seconds(1)) == .again(in: .seconds(1)))
        #expect(Self.decide(&reconnection, .ended, lived: .seconds(300)) == .again(in: .milliseconds(500)))
    }

    @Test("Only who named no page is told how to")
    func pageOption() {
        let ending = ListeningEnding.refused(status: 400, detail: "name one of a, b.", retryAfterSeconds: nil)
        var reconnection = Reconnection()
        #expect(
            Self.decide(&reconnection, ending)
                == .final("the server does not take the request (400): name one of a, b. (the option is --page)"))
        #expect(
            Self.decide(&reconnection, ending, page: Slug("a"))
                == .final("the server does not take the request (400): name one of a, b."))
    }
}
