import Testing
import TipwireCore

@Suite("PageReducer")
struct PageReducerTests {
    private func tip(_ id: String) throws -> Tip {
        Tip(try draft(TipFields(grossAmountInCents: 500)), id: TipIdentifier(id)!, committedAt: noon)
    }

    @Test("A new tip is one event that holds it")
    func receive() throws {
        var reducer = PageReducer()
        let tip = try tip("a")
        #expect(reducer.receive(tip).events == [.tipReceived(tip, goal: nil)])
    }

    @Test("A replay is one event of its own kind, and changes what follows in nothing")
    func replay() throws {
        var reducer = PageReducer()
        let first = try tip("a")
        let second = try tip("b")
        _ = reducer.receive(first)
        #expect(reducer.replay(first) == [.tipReplayed(first)])
        var untouched = PageReducer()
        _ = untouched.receive(first)
        #expect(reducer.receive(second).events == untouched.receive(second).events)
    }

    @Test("The kinds of events are called as the API calls them")
    func kinds() throws {
        let tip = try tip("a")
        #expect(EventBody.tipReceived(tip, goal: nil).kind.rawValue == "tip.received")
        #expect(EventBody.tipReplayed(tip).kind.rawValue == "tip.replayed")
        #expect(EventBody.tipRefunded(tip).kind.rawValue == "tip.refunded")
        #expect(
            EventKind.allCases.map(\.rawValue)
                == ["tip.received", "tip.replayed", "tip.refunded", "goal.completed", "goal.chain", "goal.queue"])
    }
}
