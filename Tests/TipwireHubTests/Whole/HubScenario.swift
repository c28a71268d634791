import NIOCore
import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport
import TipwireWire

@testable import TipwireHub

/// A house full of people doing things at random, all at once, on one hub.
struct HubScenario: Sendable {
    /// Someone who listens, again and again.
    struct Client: Sendable {
        let account: Account
        let audience: Audience
        let pages: Set<Page.ID>
    }

    /// Someone who will lose the right to listen.
    struct Doomed: Sendable {
        let listener: Listener
        let reason: EndReason
        /// How many events it had when the loss had been enforced; nil: not yet.
        let hadWhenLost = Watched<Int?>(nil)
    }

    static let tippers = 3
    static let tipsEach = 40

    let hub: Hub
    let seed: TestSeed
    let history = Watched(HubHistory())
    let olivia: Account
    let mia: Account
    let frank: Account
    let pages: [Page]

    init(_ hub: Hub, seed: TestSeed) async throws {
        self.hub = hub
        self.seed = seed
        olivia = try await hub.directory.makeAccount("olivia")
        mia = try await hub.directory.makeAccount("mia")
        frank = try await hub.directory.makeAccount("frank")
        var pages: [Page] = []
        for (slug, owner) in [("first", olivia), ("second", olivia), ("hers", mia), ("his", frank), ("doomed", frank)] {
            pages.append(try await hub.directory.makePage(slug, of: owner.id))
        }
        self.pages = pages
        try await hub.directory.addMember(mia.id, to: pages[0].id)
    }

    var clients: [Client] {
        let ids = pages.map(\.id)
        return [
            Client(account: olivia, audience: .page(ids[0]), pages: [ids[0]]),
            Client(account: olivia, audience: .owner(olivia.id, limit: nil), pages: [ids[0], ids[1]]),
            Client(account: olivia, audience: .owner(olivia.id, limit: [ids[1], ids[2]]), pages: [ids[1]]),
            Client(account: olivia, audience: .owner(olivia.id, limit: []), pages: []),
            Client(account: mia, audience: .page(ids[2]), pages: [ids[2]]),
            Client(account: mia, audience: .owner(mia.id, limit: nil), pages: [ids[2]]),
            Client(account: frank, audience: .owner(frank.id, limit: nil), pages: [ids[3], ids[4]]),
            Client(account: frank, audience: .page(ids[3]), pages: [ids[3]]),
        ]
    }

    // MARK: Tipping

    /// Tips, batches and replays to every page; retention now and then.
    func tip(_ index: Int) async throws {
        var seed = TestSeed(of: seed, index)
        for _ in 0..<Self.tipsEach {
            let page = pages.randomElement(using: &seed)!.id
            let command: LogCommand
            switch Int.random(in: 0..<10, using: &seed) {
            case 0..<7:
                command = .receive(
                    page: page, drafts: [try draft(.random(in: 1...500, using: &seed))], idempotencyKey: nil)
            case 7..<9:
                let count = Int.random(in: 2...12, using: &seed)
                command = .receive(page: page, drafts: try (1...count).map { try draft($0) }, idempotencyKey: nil)
            default:
                guard let tip = history.value.tips.randomElement(using: &seed) else { continue }
                command = .replay(page: tip.page, tip: tip.id)
            }
            do {
                let answers = try await hub.intake.submit(command)
                history.change { $0.add(answers) }
            } catch let refusal as LogRefusal {
                // Right for a page that was deleted meanwhile, and for nothing else.
                #expect(refusal == .unknownPage && !history.value.deleted.isEmpty, "\(seed)")
            }
            if seed.chance(5) { try await prune(keepingBytes: .random(in: 12_000...40_000, using: &seed)) }
        }
    }

    /// Keeps at least the newest commits: only what has been given out is ever removed by a real retention.
    private func prune(keepingBytes bytes: Int64) async throws {
        try await Retention(
            store: hub.store, position: hub.position, clock: hub.clock.wall, days: 90, bytes: bytes,
            interval: .seconds(3_600), metrics: hub.metrics, logger: silence
        ).prune()
    }

    // MARK: Listening

    /// Connects, slows down, goes and comes back until nothing more happens. The last session stays.
    func listen(as client: Client, _ index: Int) async throws -> [HubSession] {
        var seed = TestSeed(of: seed, 100 + index)
        var sessions: [HubSession] = []
        repeat {
            var session = try await connect(client, after: sessions.last, using: &seed)
            while !history.value.isOver, session.listener.sink.heard.value.end == nil {
                try await pass(.random(in: 1...12, using: &seed))
                switch Int.random(in: 0..<13, using: &seed) {
                case 0..<3: try await session.listener.setWritable(false)
                case 3..<6: try await session.listener.setWritable(true)
                case 6..<8:
                    let writes = Int.random(in: 1...3, using: &seed)
                    session.listener.sink.heard.change { $0.writesUntilFull = writes }
                case 8..<11: try await session.listener.take(.random(in: 1...3_000, using: &seed))
                default: session.left = !history.value.isOver
                }
                if session.left { break }
            }
            if session.left { try await session.listener.leave() }
            sessions.append(session)
        } while sessions.last!.left || !history.value.isOver
        try await sessions.last!.listener.takeAll()
        return sessions
    }

    private func connect(
        _ client: Client, after last: HubSession?, using seed: inout TestSeed
    ) async throws -> HubSession {
        let epoch = hub.position.epoch
        let before = hub.position.bounds
        let start: Subscription.Start
        switch Int.random(in: 0..<10, using: &seed) {
        case 0: start = .live
        case 1: start = .now
        case 2: start = .position(["", "nonsense", "ffff-1", "\(epoch)-\(Int64.max)"].randomElement(using: &seed)!)
        case 3: start = .position("\(epoch)-\(Int64.random(in: 0...before.head, using: &seed))")
        default: start = last?.cursor(epoch: epoch).map { .position($0) } ?? .now
        }
        let dialect = [
            Dialect.pally, .pally, .eventSub(.alerts, nil), .eventSub(.alerts, nil),
            .eventHook(hasIDs: true, .chunked), .overlay,
        ].randomElement(using: &seed)!
        // Each message of an EventSub subscription begins with words of its own.
        let beginning = dialect.kind == .eventsub ? ByteBuffer(string: words(using: &seed)) : nil
        let listener = try await hub.listen(
            client.audience, as: principal(client.account), in: dialect, from: start,
            loop: .random(in: 0...1, using: &seed),
            isWritable: start == .now || start == .live || seed.chance(80), hasSocket: seed.chance(60),
            beginning: beginning, keeping: .byChance(TestSeed(seed: seed.next())))
        return HubSession(
            listener: listener, audience: client.pages, start: start, dialect: dialect,
            beginning: beginning ?? ByteBuffer(), before: before, after: hub.position.bounds)
    }

    /// Unlike anyone else's, and of any length.
    private func words(using seed: inout TestSeed) -> String {
        "\(seed.next())" + String(repeating: ".", count: .random(in: 0...400, using: &seed))
    }

    /// Waits until so many more events are in the log, or nothing more comes.
    private func pass(_ count: Int) async throws {
        let target = history.value.count + count
        try await history.wait { $0.count >= target || $0.isOver }
    }

    // MARK: Losing rights

    /// Connects those who will lose their right, and takes it from them in the middle of everything.
    func doom() async throws -> [Doomed] {
        let key = principal(olivia, key: "revoked")
        // What is in a real socket comes behind the loss. A played one has it at once, and must get nothing more.
        let hasSocket = hub.sockets == nil
        let revoked = [
            Doomed(
                listener: try await hub.listen(.page(pages[0].id), as: key, hasSocket: hasSocket), reason: .keyRevoked),
            Doomed(
                listener: try await hub.listen(.owner(olivia.id, limit: nil), as: key, loop: 1), reason: .keyRevoked),
        ]
        let member = Doomed(
            listener: try await hub.listen(.page(pages[0].id), as: principal(mia), loop: 1, hasSocket: hasSocket),
            reason: .accessLost)
        let ofPage = Doomed(
            listener: try await hub.listen(.page(pages[4].id), as: principal(frank)), reason: .accessLost)
        func lost(_ doomed: Doomed) {
            let had = doomed.listener.sequences.count
            doomed.hadWhenLost.change { $0 = had }
        }
        try await pass(30)
        _ = try await hub.directory.revokeKey("revoked")
        revoked.forEach(lost)
        try await pass(30)
        try await hub.directory.removeMember(mia.id, from: pages[0].id)
        lost(member)
        try await pass(30)
        // Noted first: from here on its events may be missing.
        history.change { [id = pages[4].id] in _ = $0.deleted.insert(id) }
        try await hub.directory.deletePage(pages[4].id)
        lost(ofPage)
        return revoked + [member, ofPage]
    }
}
