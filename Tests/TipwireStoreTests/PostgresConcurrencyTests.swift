import Foundation
import Testing
import TipwireCore
import TipwireStore

@testable import TipwirePostgres

/// Several nodes on one database, at the same time: what the contract can't ask of a store that has its file for itself.
@Suite(.enabled(if: StoreKind.postgres != nil, "TIPWIRE_TEST_POSTGRES names no server"))
struct PostgresConcurrencyTests {
    private struct Nodes: Sendable {
        let first: PostgresStore
        let second: PostgresStore
        let scene: Scene

        var all: [PostgresStore] { [first, second] }

        /// The outcomes of `body` on each node at once.
        func both<T: Sendable>(
            _ body: @escaping @Sendable (PostgresStore) async throws -> T
        ) async -> [Result<T, any Error>] {
            await withTaskGroup(of: Result<T, any Error>.self) { group in
                for node in all { group.addTask { await outcome { try await body(node) } } }
                return await group.reduce(into: []) { $0.append($1) }
            }
        }

        func outcome<T>(_ body: () async throws -> T) async -> Result<T, any Error> {
            do { return .success(try await body()) } catch { return .failure(error) }
        }
    }

    private func withNodes(_ body: (Nodes) async throws -> Void) async throws {
        let kind = try #require(StoreKind.postgres)
        try await withFolder { folder in
            let opened = [try await kind.open(folder), try await kind.open(folder)]
            let stores = try opened.map { try #require($0.store as? PostgresStore) }
            let nodes = Nodes(first: stores[0], second: stores[1], scene: try await Scene(stores[0]))
            let outcome = await nodes.outcome { try await body(nodes) }
            for store in opened { try await store.close() }
            try outcome.get()
        }
    }

    // MARK: Names

    @Test func `of two nodes that take one name, one has it`() async throws {
        try await withNodes { nodes in
            let admin = nodes.scene.account
            for round in 0..<10 {
                let name = "n\(round)"
                let key = KeyRecord.sample(name, account: admin.id, pages: [nodes.scene.page.id])
                let code = SecretHash(of: name)
                let outcomes: [[Result<Void, any Error>]] = [
                    await nodes.both { node in
                        _ = try await node.createAccount(
                            NewAccount(name: Slug(name)!, passwordHash: nil, createdAt: .zero))
                    },
                    await nodes.both { node in _ = try await node.createPage(.named(name, owner: admin)) },
                    await nodes.both { node in try await node.createKey(key) },
                    await nodes.both { node in
                        try await node.createLoginCode(code, account: admin.id, expiresAt: .seconds(9))
                    },
                ]
                for outcome in outcomes {
                    #expect(outcome.compactMap(\.failure).map { $0 as? DirectoryRefusal } == [.taken])
                }
            }
            let directory = try await nodes.second.directory()
            #expect(directory.accounts.count == 11 && directory.pages.count == 12 && directory.keys.count == 10)
            #expect(directory.keys.allSatisfy { $0.pages == [nodes.scene.page.id] })
        }
    }

    @Test func `a code that is redeemed on two nodes gives its account once`() async throws {
        try await withNodes { nodes in
            for round in 0..<20 {
                let code = SecretHash(of: "code \(round)")
                try await nodes.first.createLoginCode(code, account: nodes.scene.account.id, expiresAt: .seconds(9))
                let accounts = try await nodes.both { try await $0.redeemLoginCode(code, at: .zero) }.map {
                    try $0.get()
                }
                #expect(accounts.compactMap { $0 } == [nodes.scene.account.id])
            }
        }
    }

    // MARK: Pages and the log

    @Test func `a page that is deleted while tips come in leaves nothing, and the log's counters are right`()
        async throws
    {
        try await withNodes { nodes in
            let scene = nodes.scene
            var appended: Int64 = 0
            for round in 0..<8 {
                let page = try await nodes.first.createPage(.named("p\(round)", owner: scene.account))
                let (answered, continuation) = AsyncStream<Void>.makeStream()
                async let kept = Self.commitUntilRefused(scene, page, on: nodes.second) { continuation.yield() }
                // Under way by now, and not at its end.
                for await _ in answered.prefix(5) {}
                try await nodes.first.deletePage(page.id)
                appended += try await kept

                #expect(try await nodes.second.bounds().head == appended)
                let (counted, orphans) = try await Self.count(nodes.first, page.id)
                #expect(orphans == 0)
                for node in nodes.all {
                    let statistics = try await node.logStatistics()
                    #expect([statistics.events, statistics.bytes] == counted)
                }
            }
        }
    }

    /// Commits tips to `page` and to the scene's own until the first is refused.
    ///
    /// - Returns: how many events were added in all.
    private static func commitUntilRefused(
        _ scene: Scene, _ page: Page, on node: PostgresStore, answered: @Sendable () -> Void
    ) async throws -> Int64 {
        var added: Int64 = 0
        for number in 0..<10_000 {
            let key = TipIdentifier("k\(number)")!
            let commit = try await node.commit(
                [
                    scene.tip(draft(), to: page), scene.tip(draft()),
                    .receive(page: page.id, drafts: [draft()], idempotencyKey: key),
                ], at: .zero)
            added += Int64(commit.results.count { $0.failure == nil })
            answered()
            if commit.results[0].failure == .unknownPage {
                #expect(commit.results.map(\.failure) == [.unknownPage, nil, .unknownPage])
                return added
            }
        }
        Issue.record("the page was never gone")
        return added
    }

    /// What the log holds by its rows, and how many rows of a page there are.
    private static func count(_ node: PostgresStore, _ page: Page.ID) async throws -> (log: [Int64], orphans: Int) {
        try await node.read { db in
            let log = try db.execute(
                "SELECT count(*), coalesce(sum(octet_length(data) + $1::bigint), 0)::bigint FROM events",
                LogRow.allowancePerEvent)[0]
            let tables = ["events", "tips", "idempotency", "goals", "members", "key_pages", "webhooks", "screens"]
            let orphans = try tables.reduce(0) { sum, table in
                try sum + db.execute("SELECT count(*) FROM \(table) WHERE page_id = $1", page.rawValue)[0][0]
            }
            return ([log[0], log[1]], orphans)
        }
    }

    @Test func `a page's currency changes before its first tip or not at all`() async throws {
        try await withNodes { nodes in
            let euro = Currency(code: "EUR")!
            for round in 0..<20 {
                let page = try await nodes.first.createPage(.named("p\(round)", owner: nodes.scene.account))
                var changed = page
                changed.currency = euro
                async let answer = nodes.second.commit([nodes.scene.tip(draft(), to: page)], at: .zero)
                var isChanged = true
                do {
                    try await nodes.first.updatePage(changed)
                } catch DirectoryRefusal.currencyInUse {
                    isChanged = false
                }
                let told = try await answer.results[0].get()[0].page.currency
                #expect(told == (isChanged ? euro : .usd))
                let kept = try await nodes.second.directory().pages.first { $0.id == page.id }
                #expect(kept?.currency == told)
            }
        }
    }

    // MARK: Webhooks

    @Test func `tests of a webhook that are made on two nodes have different numbers`() async throws {
        try await withNodes { nodes in
            let webhook = try await nodes.scene.makeWebhook()
            let label = nodes.scene.page.label
            let made = try await nodes.both { node in
                var ids: [DeliveryID] = []
                for _ in 0..<25 {
                    ids.append(
                        try await node.createTest(
                            of: webhook, after: 3, id: PublicID.random(), body: .tipReplayed(.sample), page: label,
                            at: .zero))
                }
                return ids
            }.flatMap { try $0.get() }
            #expect(made.map(\.test).sorted() == Array(1...50))
            #expect(try await nodes.first.firsts(of: webhook, after: nil, limit: 99) == made.sorted())
        }
    }

    @Test func `a webhook that is disabled amid a dispatch of another node has a place in the log`()
        async throws
    {
        try await withNodes { nodes in
            for round: Int64 in 1...30 {
                let webhook = try await nodes.scene.makeWebhook("w\(round)", position: round * 10 - 1)
                var levelling = WebhookDispatch(level: round * 10)
                levelling.positions = [webhook: nil]
                _ = try await nodes.first.dispatch(levelling)
                let outcomes = await nodes.both { node in
                    if node === nodes.second {
                        return try await node.updateWebhook(webhook, disabled: .owner, key: nil)
                    }
                    var dispatch = WebhookDispatch(level: round * 10 + 3)
                    dispatch.add(round * 10 + 1...round * 10 + 3, to: webhook)
                    _ = try await node.dispatch(dispatch)
                }
                let isRefused = outcomes.contains { $0.failure is WebhooksChanged }
                for outcome in outcomes where !(outcome.failure is WebhooksChanged) { try outcome.get() }
                let stored = try #require(
                    try await nodes.first.webhooks().webhooks.first { $0.webhook.number == webhook }?.webhook)
                let firsts = try await nodes.first.firsts(of: webhook, after: nil, limit: 9)
                let position = try #require(stored.position)
                #expect(stored.disabled == .owner && [round * 10, round * 10 + (isRefused ? 0 : 3)].contains(position))
                #expect(firsts.count == (isRefused ? 0 : 3), "what is read once more is there already")
            }
        }
    }

    @Test func `nothing is kept while other nodes have changed webhooks since they were read`() async throws {
        try await withNodes { nodes in
            let webhook = try await nodes.scene.makeWebhook()
            func isKept(at level: Int64) async throws -> Bool {
                var dispatch = WebhookDispatch(level: level)
                dispatch.add(level...level, to: webhook)
                do {
                    _ = try await nodes.first.dispatch(dispatch)
                } catch is WebhooksChanged {
                    #expect(try await nodes.second.webhooks().level < level)
                    return false
                }
                return true
            }
            _ = try await nodes.first.webhooks()
            #expect(try await isKept(at: 1))
            try await nodes.first.updateWebhook(webhook, disabled: .owner, key: nil)
            #expect(try await isKept(at: 2), "what it does itself it knows")
            try await nodes.second.setSecrets([StoredSecret("whsec_b")], of: webhook)
            #expect(try await !isKept(at: 3))
            try await nodes.first.updateWebhook(webhook, disabled: nil, key: nil)
            #expect(try await !isKept(at: 4), "with what it does itself it doesn't know the rest")
            _ = try await nodes.first.webhooks()
            #expect(try await isKept(at: 5))
            try await nodes.second.deleteWebhook(webhook)
            #expect(try await !isKept(at: 6))
        }
    }

    private static let report = NodeReport(name: "a", version: "1", url: "http://a.example", startedAt: .zero)

    @Test func `deliveries are kept for the node that sends alone, all of them or none`() async throws {
        try await withNodes { nodes in
            let webhook = try await nodes.scene.makeWebhook()
            #expect(try await nodes.first.beat(Self.report).isSender)
            #expect(try await !nodes.second.beat(Self.report).isSender)
            var dispatch = WebhookDispatch(level: 3)
            dispatch.add(1...3, to: webhook)
            dispatch.positions = [webhook: nil]
            let refused = dispatch
            await #expect(throws: SendingElsewhere.self) { _ = try await nodes.second.dispatch(refused) }
            let snapshot = try await nodes.first.webhooks()
            #expect(snapshot.level == 0 && snapshot.webhooks[0].webhook.position == 0)
            #expect(snapshot.webhooks[0].backlog == WebhookBacklog())
            _ = try await nodes.first.dispatch(dispatch)

            try await nodes.first.leave()
            #expect(try await nodes.second.beat(Self.report).isSender)
            dispatch.level = 4
            let late = dispatch
            await #expect(throws: SendingElsewhere.self) { _ = try await nodes.first.dispatch(late) }
            #expect(try await nodes.second.webhooks().level == 3)
            _ = try await nodes.second.dispatch(late)
            // An attempt that was made is kept, whoever made it.
            let id = DeliveryID(webhook: webhook, sequence: 1)
            try await nodes.first.record([.attempt(1, of: id, .delivered)], standings: [:])
            #expect(try await nodes.second.delivery(id)?.state == .delivered)
        }
    }

    @Test func `the sending can't become another node's amid a dispatch`() async throws {
        try await withNodes { nodes in
            let webhook = try await nodes.scene.makeWebhook()
            for round: Int64 in 1...20 {
                let sender = round % 2 == 1 ? nodes.first : nodes.second
                #expect(try await sender.beat(Self.report).isSender)
                let outcomes = await nodes.both { node in
                    if node === sender {
                        var dispatch = WebhookDispatch(level: round * 10)
                        dispatch.add(round * 10 - 9...round * 10, to: webhook)
                        _ = try await node.dispatch(dispatch)
                    } else {
                        try await sender.leave()
                        _ = try await node.beat(Self.report)
                        // What was dispatched by then is all there is of the other one's.
                        let level = try await node.webhooks().level
                        #expect(try await node.backlog(of: webhook).pending == Int(level))
                    }
                }
                if outcomes.contains(where: { $0.failure != nil }) {
                    #expect(outcomes.compactMap(\.failure).allSatisfy { $0 is SendingElsewhere })
                    var dispatch = WebhookDispatch(level: round * 10)
                    dispatch.add(round * 10 - 9...round * 10, to: webhook)
                    let other = sender === nodes.first ? nodes.second : nodes.first
                    _ = try await other.dispatch(dispatch)
                }
            }
            #expect(try await nodes.first.backlog(of: webhook).pending == 200)
        }
    }

    @Test func `what is changed of webhooks on one node is news to the other`() async throws {
        try await withNodes { nodes in
            let store = nodes.first
            let webhook = try await nodes.scene.makeWebhook("a")
            let ids = try await nodes.scene.dispatch(1...2, to: webhook)
            var news = nodes.second.listen().makeAsyncIterator()
            _ = try await nodes.second.beat(Self.report)
            let scene = nodes.scene
            let gone = EndpointStanding(failingSince: .zero, disabled: .gone)
            let changes: [@Sendable () async throws -> Void] = [
                {},
                { _ = try await scene.makeWebhook("b") },
                { try await store.setSecrets([StoredSecret("whsec_b")], of: webhook) },
                { _ = try await scene.makeTest(of: webhook, after: 2) },
                { _ = try await store.retry(ids[0], at: .zero) },
                { try await store.updateWebhook(webhook, disabled: .owner, key: nil) },
                { try await store.record([], standings: [webhook: gone]) },
                { try await store.deleteWebhook(webhook) },
            ]
            for change in changes {
                try await change()
                // What was told before anybody listened is found so.
                _ = try await nodes.second.beat(Self.report)
                while try !#require(await news.next()).changes.contains(.webhooks) {}
            }
        }
    }

    @Test func `secrets that two nodes put in force at once are all kept`() async throws {
        try await withNodes { nodes in
            let webhook = try await nodes.scene.makeWebhook("a")
            for outcome in await nodes.both({ node in
                for _ in 0..<20 {
                    _ = try await node.changeSecrets(of: webhook) { before in
                        [StoredSecret("whsec_\(PublicID.random())")]
                            + before.map { StoredSecret($0.text, expiresAt: .seconds(9)) }
                    }
                }
            }) { try outcome.get() }
            let secrets = try await nodes.second.webhooks().webhooks[0].webhook.secrets
            #expect(Set(secrets.map(\.text)).count == 41 && secrets.last?.text == "whsec_a")
        }
    }

    @Test func `a stretch of the log that is dispatched on two nodes gives each delivery once`() async throws {
        try await withNodes { nodes in
            let webhooks = [try await nodes.scene.makeWebhook("a"), try await nodes.scene.makeWebhook("b")]
            for round: Int64 in 0..<10 {
                var dispatch = WebhookDispatch(level: round * 10 + 10)
                for webhook in webhooks { dispatch.add(round * 10 + 1...round * 10 + 10, to: webhook) }
                dispatch.positions = [webhooks[0]: nil, webhooks[1]: round]
                dispatch.room = [webhooks[1]: 8]
                // In the other order on one of them.
                var reversed = dispatch
                reversed.deliveries.reverse()
                let calls = [dispatch, reversed]
                let displaced = try await nodes.both { node in
                    try await node.dispatch(calls[node === nodes.first ? 0 : 1]).displaced
                }.flatMap { try $0.get() }
                // For what the first has kept the second needs no room.
                #expect(Set(displaced).count == 2 && displaced.count == 2)
            }
            #expect(try await nodes.second.webhooks().level == 100)
            for webhook in webhooks {
                let all = try await nodes.second.deliveries(of: webhook, kind: nil, before: nil, limit: 1_000)
                #expect(all.map(\.id.sequence) == (1...100).reversed())
            }
            #expect(try await nodes.second.deadCounts(of: webhooks) == [webhooks[0]: 0, webhooks[1]: 20])
            #expect(try await nodes.second.backlog(of: webhooks[1]).pending == 80)
        }
    }

    @Test func `deliveries that two nodes dispatch, record, retry, displace and trim at once stay whole`() async throws
    {
        try await withNodes { nodes in
            let scene = nodes.scene
            var made: [WebhookNumber] = []
            for name in ["a", "b", "c"] { made.append(try await scene.makeWebhook(name)) }
            let webhooks = made
            for webhook in webhooks { try await scene.dispatch(1...20, to: webhook) }
            let outcomes = await nodes.both { node in
                for round: Int64 in 0..<30 {
                    var dispatch = WebhookDispatch(level: 20 + round)
                    for webhook in webhooks.shuffled() { dispatch.add(20 + round...21 + round, to: webhook) }
                    dispatch.room = Dictionary(uniqueKeysWithValues: webhooks.map { ($0, 1) })
                    dispatch.positions = Dictionary(uniqueKeysWithValues: webhooks.map { ($0, nil) })
                    _ = try await node.dispatch(dispatch)
                    let steps = webhooks.shuffled().flatMap { webhook in
                        (1...20).shuffled().map { sequence in
                            DeliveryProgress.attempt(
                                Int(round) + 1, of: DeliveryID(webhook: webhook, sequence: sequence),
                                .retry(due: .seconds(round)))
                        }
                    }
                    let standing = EndpointStanding(failingSince: .zero, disabled: round == 20 ? .gone : nil)
                    try await node.record(
                        steps, standings: Dictionary(uniqueKeysWithValues: webhooks.map { ($0, standing) }))
                    for webhook in webhooks {
                        _ = try await node.retry(RetrySelection(kind: .dead), of: webhook, at: .seconds(round))
                        _ = try await node.trimDeliveries(of: webhook, keeping: 5, limit: 99)
                    }
                }
            }
            for outcome in outcomes { #expect(throws: Never.self) { try outcome.get() } }
            for webhook in webhooks {
                let all = try await nodes.first.deliveries(of: webhook, kind: nil, before: nil, limit: 1_000)
                #expect(all.count { $0.state.isPending } == (try await nodes.second.backlog(of: webhook).pending))
                #expect(all.allSatisfy { $0.attempts == 0 || $0.last?.number == $0.attempts })
                #expect(Set(all.map(\.id)).count == all.count)
                let stored = try await scene.webhook(webhook)
                #expect(stored.disabled == .gone && stored.position != nil)
            }
        }
    }

    // MARK: Screens, keys and sockets

    @Test func `screens and receipts that two nodes report keep to their limits`() async throws {
        try await withNodes { nodes in
            let scene = nodes.scene
            let tips = (0..<5).map { TipIdentifier("t\($0)")! }
            try await scene.receive(tips.map { draft(id: $0.text) })
            for tip in tips {
                let outcomes = await nodes.both { node in
                    let name = node === nodes.first ? "a" : "b"
                    for round in 1...12 {
                        var reports = OverlayReports()
                        for number in (0..<7).shuffled() {
                            let place = OverlayPlace(
                                page: scene.page.id, kind: .alerts,
                                screen: ScreenName("\(tip.text)-\(name)\(round)-\(number)")!)
                            reports.sightings[place] = .init(key: nil, seenAt: .seconds(Int64(round)))
                            reports.receipts[.init(place: place, tip: tip)] = .init(
                                sequence: 1, receivedAt: .zero, shownAt: nil)
                        }
                        try await node.keep(reports)
                    }
                }
                for outcome in outcomes { #expect(throws: Never.self) { try outcome.get() } }
                let receipts = try await nodes.first.receipts(page: scene.page.id, tips: [tip])[tip]
                #expect(receipts?.count == Limits.receipts)
                #expect(try await nodes.second.screens(page: scene.page.id).count == Limits.screens)
            }
        }
    }

    @Test func `of what two nodes report of one screen the latest is kept`() async throws {
        try await withNodes { nodes in
            let scene = nodes.scene
            try await scene.receive([draft(id: "t")])
            let tip = TipIdentifier("t")!
            let place = OverlayPlace(page: scene.page.id, kind: .goal, screen: ScreenName("obs")!)
            let outcomes = await nodes.both { node in
                // One tells of the odd seconds, the other of the even ones.
                for time in stride(from: node === nodes.first ? 1 : 2, through: 40, by: 2) {
                    var reports = OverlayReports()
                    reports.sightings[place] = .init(key: nil, seenAt: .seconds(Int64(time)))
                    reports.receipts[.init(place: place, tip: tip)] = .init(
                        sequence: Int64(time), receivedAt: .seconds(Int64(time)), shownAt: .seconds(Int64(time)))
                    try await node.keep(reports)
                }
            }
            for outcome in outcomes { #expect(throws: Never.self) { try outcome.get() } }
            let screens = try await nodes.second.screens(page: scene.page.id)
            #expect(screens.map(\.lastSeenAt) == [.seconds(40)] && screens.map(\.lastShownAt) == [.seconds(40)])
            #expect(try await nodes.first.receipts(page: scene.page.id, tips: [tip])[tip]?.count == 1)
        }
    }

    @Test func `sockets' positions and keys' uses are kept from two nodes while keys and pages go`() async throws {
        try await withNodes { nodes in
            let scene = nodes.scene
            let ids = (10..<30).map { "k\($0)" }
            for id in ids { try await nodes.first.createKey(.sample(id, account: scene.account.id)) }
            for id in ids {
                try await nodes.first.createSocketSubscription(
                    StoredSocket(
                        subscription: scene.subscription(
                            id, page: id < "k25" ? scene.page.id : scene.other.id, key: id),
                        position: 0))
            }
            for (index, id) in ids.enumerated() {
                let node = nodes.all[index % 2]
                _ = try await node.beat(NodeReport(name: "n", version: "1", url: "http://n", startedAt: .zero))
                _ = try await node.claimSocket(id, asked: nil)
            }
            let outcomes = await nodes.both { node in
                for round: Int64 in 1...20 {
                    let used = ids.shuffled().map { ($0, Timestamp.seconds(round)) }
                    try await node.recordKeyUse(Dictionary(uniqueKeysWithValues: used))
                    let own = Dictionary(uniqueKeysWithValues: ids.shuffled().map { ($0, round) })
                    try await node.recordSocketPositions(SocketPositions(level: round, own: own))
                    switch (round, node === nodes.first) {
                    case (8, true): try await node.deletePage(scene.other.id)
                    case (10, false): _ = try await node.deleteKey(ids[0])
                    case (12, _): try await node.deleteSocketSubscriptions([ids[1], ids[2]])
                    default: break
                    }
                }
            }
            for outcome in outcomes { #expect(throws: Never.self) { try outcome.get() } }
            let sockets = try await nodes.second.socketSubscriptions()
            #expect(Set(sockets.map(\.subscription.id)) == Set(ids.filter { $0 < "k25" }).subtracting(ids[0...2]))
            #expect(sockets.allSatisfy { $0.position == 20 })
            let keys = try await nodes.second.directory().keys
            #expect(keys.count == 19 && keys.allSatisfy { $0.lastUsedAt == .seconds(20) })
        }
    }

    // MARK: Deadlocks

    @Test func `of two transactions that wait for each other both are kept`() async throws {
        try await withNodes { nodes in
            let pages = [nodes.scene.page.id.rawValue, nodes.scene.other.id.rawValue]
            let meeting = Meeting()
            let attempts = try await nodes.both { node in
                let order = node === nodes.first ? pages : pages.reversed()
                let name = node === nodes.first ? "first" : "second"
                return try await node.write { db in
                    try db.execute("UPDATE pages SET title = title || $1 WHERE id = $2", name, order[0])
                    let attempt = meeting.attend(name)
                    try db.execute("UPDATE pages SET title = title || $1 WHERE id = $2", name, order[1])
                    return attempt
                }
            }.map { try $0.get() }
            // More than once, when the one that was stopped comes back before the other has gone on.
            #expect(attempts.reduce(0, +) >= 3, "one of them was stopped, and run again")
            for page in try await nodes.first.directory().pages {
                for name in ["first", "second"] {
                    #expect(page.title.components(separatedBy: name).count == 2, "\(page.title)")
                }
            }
        }
    }
}

/// Where two threads wait until both have come, the first time that each does.
private final class Meeting: @unchecked Sendable {
    // Guarded by the condition's lock.
    private var attempts: [String: Int] = [:]
    private let condition = NSCondition()

    /// - Returns: how often this one has come.
    func attend(_ name: String) -> Int {
        condition.lock()
        defer { condition.unlock() }
        attempts[name, default: 0] += 1
        condition.broadcast()
        while attempts.count < 2 { condition.wait() }
        return attempts[name]!
    }
}
