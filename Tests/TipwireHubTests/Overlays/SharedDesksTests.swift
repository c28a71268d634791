import NIOCore
import NIOPosix
import Testing
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireTestSupport

@Suite("The overlay desks of two nodes", .timeLimit(.minutes(1)))
struct SharedDesksTests {
    private struct Node: Sendable {
        let store: SharedOverlayDouble
        let desk: OverlayDesk

        func connect(_ screen: String) async throws -> OverlayPresence {
            let place = OverlayPlace(page: SharedDesksTests.page, kind: .alerts, screen: ScreenName(screen)!)
            return try #require(try await tryToConnect(place))
        }

        func tryToConnect(_ place: OverlayPlace) async throws -> OverlayPresence? {
            desk.arrive(place, key: nil, try await desk.open(page: place.page, tips: 1))
        }
    }

    private struct House: Sendable {
        let table: SharedOverlayTable
        let a: Node
        let b: Node
    }

    private static let page = Page.ID(rawValue: 1)
    private static let loop = MultiThreadedEventLoopGroup.singleton.any()

    /// Two nodes whose desks are at work.
    private func withHouse(_ body: @Sendable (House) async throws -> Void) async throws {
        try await withStore { store in
            let table = SharedOverlayTable()
            let nodes = (0..<2).map { _ in node(SharedOverlayDouble(store.real, table)) }
            try await withServices(nodes.map(\.desk)) { _ in
                try await body(House(table: table, a: nodes[0], b: nodes[1]))
            }
        }
    }

    private func node(_ store: SharedOverlayDouble) -> Node {
        let desk = OverlayDesk(store: store, shared: store, clock: TestClock().wall, logger: silence)
        return Node(store: store, desk: desk)
    }

    private func claim(_ sequence: Int64, _ presence: OverlayPresence) async throws -> AlertLease {
        try await answer(to: presence.claim(sequence, on: Self.loop))
    }

    private func answer(to claim: OverlayDesk.Claim?) async throws -> AlertLease {
        switch try #require(claim) {
        case .settled(let lease): lease
        case .asked(let lease): try await lease.get()
        }
    }

    private let tip = TipIdentifier("t")!

    @Test("Of copies on two nodes one is given an alert, and when it is shown nobody is")
    func once() async throws {
        try await withHouse { house in
            let (one, two, three) = (
                try await house.a.connect("one"), try await house.a.connect("two"), try await house.b.connect("three")
            )
            #expect(try await claim(5, one) == .granted)
            #expect(try await claim(5, two) == .held)
            #expect(try await claim(5, three) == .held)
            #expect(try await claim(5, one) == .granted, "it asks again while it is at it")
            one.shown(tip, sequence: 5)
            await house.a.desk.flush()
            for presence in [two, three] { #expect(try await claim(5, presence) == .shown) }
            #expect(try await claim(5, one) == .granted, "who shows it goes on")
            #expect(try await claim(6, three) == .granted)
            #expect(try await claim(6, one) == .held)
        }
    }

    @Test("What a copy leaves is for the others, on this node and on that")
    func heirs() async throws {
        try await withHouse { house in
            let (one, two, three) = (
                try await house.a.connect("one"), try await house.a.connect("two"), try await house.b.connect("three")
            )
            #expect(try await claim(5, one) == .granted)
            one.leave()
            #expect(try await claim(5, two) == .granted)
            two.leave()
            await house.a.desk.flush()
            #expect(try await claim(5, three) == .granted)
        }
    }

    @Test("An alert that is granted to a copy that has gone meanwhile is given back")
    func tooLate() async throws {
        try await withHouse { house in
            let (one, two) = (try await house.a.connect("one"), try await house.b.connect("two"))
            let gate = house.a.store.gated()
            async let answer = claim(5, one)
            try await gate.arrived()
            one.leave()
            gate.open()
            #expect(try await answer == .granted)
            await house.a.desk.flush()
            #expect(try await claim(5, two) == .granted)
        }
    }

    @Test("Of copies of one node that claim an alert at once one is given it, also when another of them goes")
    func rivals() async throws {
        try await withHouse { house in
            let (one, two) = (try await house.a.connect("one"), try await house.a.connect("two"))
            let three = try await house.b.connect("three")
            await house.a.desk.flush()
            let gate = house.a.store.gated()
            async let first = claim(5, one)
            try await gate.arrived()
            one.leave()
            async let second = claim(5, two)
            gate.open()
            // The first has it until it is known that it has gone; what it gives back then is its own alone.
            _ = try await (first, second)
            await house.a.desk.flush()
            #expect(try await claim(5, two) == .granted)
            await house.a.desk.flush()
            #expect(try await claim(5, three) == .held)
        }
    }

    @Test("A claim that waits is not made a second time, and of a page only so many wait")
    func many() async throws {
        try await withHouse { house in
            let (one, two) = (try await house.a.connect("one"), try await house.a.connect("two"))
            let beyond = try await house.a.connect("beyond")
            await house.a.desk.flush()
            let gate = house.a.store.gated()
            let first = one.claim(1, on: Self.loop)
            try await gate.arrived()
            #expect(one.claim(1, on: Self.loop) == nil)
            for sequence in 2...990 { _ = one.claim(Int64(sequence), on: Self.loop) }
            for sequence in 1...10 { _ = two.claim(Int64(sequence), on: Self.loop) }
            #expect(try await claim(1, beyond) == .held, "it isn't waited for")
            gate.open()
            guard case .asked(let lease) = first else { throw StoreFailing("it was not asked") }
            #expect(try await lease.get() == .granted)
        }
    }

    @Test("What is claimed while the store is busy is asked for together")
    func together() async throws {
        try await withHouse { house in
            let one = try await house.a.connect("one")
            await house.a.desk.flush()
            let gate = house.a.store.gated()
            try await withThrowingTaskGroup(of: AlertLease.self) { group in
                group.addTask { try await claim(1, one) }
                try await gate.arrived()
                let claims = (2...9).map { one.claim(Int64($0), on: Self.loop) }
                gate.open()
                #expect(try await group.next() == .granted)
                for claim in claims { #expect(try await answer(to: claim) == .granted) }
            }
            let claims = house.table.state.value.errands.map(\.claims).filter { !$0.isEmpty }
            #expect(claims.map(\.count).prefix(2) == [1, 8])
        }
    }

    @Test("A claim that the store fails at has no answer, and what was shown is kept when it is back")
    func failing() async throws {
        try await withHouse { house in
            let (one, two) = (try await house.a.connect("one"), try await house.b.connect("two"))
            #expect(try await claim(5, one) == .granted)
            house.a.store.before.change { $0 = { throw StoreFailing("as it was told to") } }
            one.shown(tip, sequence: 5)
            await #expect(throws: StoreFailing.self) { try await claim(6, one) }
            #expect(try await claim(5, two) == .held)
            house.a.store.before.change { $0 = {} }
            await house.a.desk.flush()
            #expect(try await claim(5, two) == .shown)
            #expect(try await claim(6, one) == .granted)
        }
    }

    @Test("Screens are those of both nodes, a failing store is told of them later")
    func presences() async throws {
        try await withHouse { house in
            let one = try await house.a.connect("one")
            await house.a.desk.flush()
            house.a.store.before.change { $0 = { throw StoreFailing("as it was told to") } }
            one.leave()
            await house.a.desk.flush()
            #expect(try await house.b.desk.present(on: Self.page).keys.map(\.screen.text) == ["one"])
            house.a.store.before.change { $0 = {} }
            let two = try await house.b.connect("two")
            await house.a.desk.flush()
            await house.b.desk.flush()
            for node in [house.a, house.b] {
                #expect(try await node.desk.present(on: Self.page) == [two.place: noon])
            }
        }
    }

    @Test("A page has as many screens as it may on all nodes together")
    func room() async throws {
        try await withHouse { house in
            let places = (0...Limits.screens).map {
                OverlayPlace(page: Self.page, kind: .alerts, screen: ScreenName("s\($0)")!)
            }
            var here: [OverlayPresence] = []
            for (number, place) in places.dropLast().enumerated() {
                let node = number % 2 == 0 ? house.a : house.b
                here.append(try #require(try await node.tryToConnect(place)))
            }
            for node in [house.a, house.b] { await node.desk.flush() }
            for node in [house.a, house.b] { #expect(try await node.tryToConnect(places.last!) == nil) }
            #expect(try await house.b.tryToConnect(places[0]) != nil, "a screen that is there is no other one")
        }
    }

    @Test("At its end a desk leaves nobody waiting")
    func end() async throws {
        let waiting = Watched<[EventLoopFuture<AlertLease>]>([])
        let gate = Gate()
        try await withHouse { house in
            let one = try await house.a.connect("one")
            house.a.store.before.change { $0 = { try await gate.pass() } }
            for sequence in 1...2 {
                guard case .asked(let lease) = one.claim(Int64(sequence), on: Self.loop) else { continue }
                waiting.change { $0.append(lease) }
                try await gate.arrived()
            }
            gate.open()
        }
        #expect(waiting.value.count == 2)
        for lease in waiting.value { #expect(try await lease.get() == .granted) }
    }
}
