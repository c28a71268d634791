import Testing
import TipwireCore

@testable import TipwireStore

extension Scene {
    private static let code = SecretHash(of: "code")
    private static let session = SecretHash(of: "session")

    /// A scene in which every table has a row, and a beginning of the log is gone.
    static func rich(_ store: any Store) async throws -> Scene {
        let scene = try await Scene(store)
        let page = scene.page.id
        try await store.setPasswordHash("$scrypt$x", of: scene.account.id)
        let ann = try await store.createAccount(NewAccount(name: Slug("ann")!, passwordHash: nil, createdAt: .zero))
        try await store.addMember(ann.id, to: page)
        try await store.createKey(.sample("k1", account: scene.account.id))
        try await store.createKey(.sample("k2", account: ann.id, pages: [page, scene.other.id]))
        try await store.recordKeyUse(["k1": .seconds(7)])
        try await store.createLoginCode(code, account: ann.id, expiresAt: .seconds(1_000))
        try await store.createSession(session, account: ann.id, expiresAt: .seconds(1_000))
        try await scene.makeLog()
        try await scene.makeSubscriptions()
        var reports = OverlayReports()
        let place = OverlayPlace(page: page, kind: .alerts, screen: ScreenName("obs")!)
        reports.sightings[place] = .init(key: "k1", seenAt: .seconds(9))
        reports.receipts[.init(place: place, tip: TipIdentifier("keyed")!)] = .init(
            sequence: 5, receivedAt: .seconds(8), shownAt: .seconds(9))
        try await store.keep(reports)
        return scene
    }

    private func makeLog() async throws {
        func goals(_ command: GoalCommand, _ key: String? = nil) -> LogCommand {
            .changeGoals(page: page.id, command, idempotencyKey: key.map { TipIdentifier($0)! })
        }
        _ = try await store.commit(
            [
                goals(.add("a", description: "Goal \"a\", 🐈", amountInCents: 100)),
                goals(.add("b", description: "{b}\\", amountInCents: 900)),
                tip(draft(id: "x", 150, createdAt: .seconds(-90))), tip(draft(id: "y", 30, name: nil)),
            ], at: .seconds(1))
        try await receive([draft(id: "keyed")], key: "idem", at: .seconds(2))
        // More rows than one batch of a copy has.
        for part in 0..<6 {
            try await receive((0..<1_000).map { draft(id: "t\(part)-\($0)", 20 + $0) }, to: other, at: .seconds(3))
        }
        _ = try await store.commit(
            [
                goals(.adjust("b", amountInCents: 30, reason: "cash"), "adjusted"),
                .refund(page: page.id, tip: TipIdentifier("y")!, idempotencyKey: TipIdentifier("refunded")!),
                .replay(page: page.id, tip: TipIdentifier("x")!),
            ], at: .seconds(4))
        _ = try await store.prune(olderThan: .seconds(2), keepingBytes: 1 << 40, limit: 3)
    }

    private func makeSubscriptions() async throws {
        for (id, position) in [("s1", Int64(3)), ("s2", 4)] {
            try await store.createSocketSubscription(
                StoredSocket(subscription: subscription(id, key: "k1"), position: position))
        }
        try await store.recordSocketPositions(SocketPositions(level: 6, levelled: ["s1"]))
        let webhook = try await makeWebhook("w", key: "k1")
        try await store.setSecrets(
            [StoredSecret("whsec_new"), StoredSecret("whsec_w", expiresAt: .seconds(500))], of: webhook)
        let disabled = try await makeWebhook("v", page: other)
        try await store.updateWebhook(disabled, disabled: .owner, key: nil)
        let ids = try await dispatch(5...9, to: webhook)
        _ = try await makeTest(of: webhook, after: 9)
        try await store.record(
            [
                .attempt(1, of: ids[0], .delivered, status: 204), .attempt(1, of: ids[1], .retry(due: .seconds(900))),
                .attempt(1, of: ids[2], .dead(.refused), status: nil),
            ], standings: [webhook: EndpointStanding(failingSince: .seconds(5))])
    }

    /// What a store answers to every question that can be put to it, each as a text.
    func everything(_ store: any Store) async throws -> [String] {
        var texts: [String] = []
        func note(_ name: String, _ answer: Any) { texts.append("\(name): \(answer)") }
        let bounds = try await store.bounds()
        note("bounds", bounds)
        note("log", try await store.logStatistics())
        let directory = try await store.directory()
        note("accounts", directory.accounts)
        note("pages", directory.pages)
        // A key's pages have no order.
        for key in directory.keys {
            note("key \(key.id)", (key.hash.bytes, key.scopes, key.account, key.createdAt, key.lastUsedAt as Any))
            note("pages of \(key.id)", (key.pages?.map(\.rawValue).sorted()) as Any)
        }
        for account in directory.accounts { note("password", try await store.passwordHash(of: account.id) as Any) }
        note("session", try await store.session(Self.session, at: .seconds(500)) as Any)
        for page in directory.pages.map(\.id) { texts += try await everything(store, of: page) }
        var position: Int64 = 0
        while position < bounds.head {
            let slice = try await store.events(after: position, pages: .all, limit: 1_000)
            note("events", slice.events)
            position = slice.through
        }
        note("sockets", try await store.socketSubscriptions())
        let webhooks = try await store.webhooks()
        note("level", webhooks.level)
        for (webhook, backlog) in webhooks.webhooks {
            note("webhook", (webhook, webhook.secrets.map(\.text), backlog))
            texts += try await everything(store, of: webhook.number)
        }
        // Last: it is spent by this.
        note("code", try await store.redeemLoginCode(Self.code, at: .seconds(500)) as Any)
        return texts
    }

    private func everything(_ store: any Store, of page: Page.ID) async throws -> [String] {
        var texts: [String] = []
        func note(_ name: String, _ answer: Any) { texts.append("\(name) of \(page.rawValue): \(answer)") }
        let tips = try await store.tips(page: page, before: nil, limit: 10_000)
        note("tips", tips)
        note("search", try await store.search(page: page, before: nil, limit: 5, for: TipFilter(text: "ann")))
        for tip in tips.prefix(9) {
            note("tip", try await store.tip(page: page, id: tip.tip.id) as Any)
            note("credits", try await store.credits(page: page, tip: tip.tip.id))
            note("deliveries", try await store.deliveries(ofTip: tip.tip.id, page: page))
            note("receipts", try await store.receipts(page: page, tips: [tip.tip.id]))
        }
        note("goals", try await store.goals(page: page).listed)
        note("overlay", try await store.overlayView(page: page, tips: 9).recent)
        note("shown", try await store.shownSequences(page: page, since: .zero).sorted())
        note("screens", try await store.screens(page: page))
        let span = BucketedSpan(from: .seconds(-10), to: .seconds(10), bucket: 1_000)
        let statistics = try await store.statistics(page: page, over: span)
        note("buckets", statistics.buckets)
        note("supporters", statistics.supporters)
        note("completions", statistics.completions)
        return texts
    }

    private func everything(_ store: any Store, of webhook: WebhookNumber) async throws -> [String] {
        var texts: [String] = []
        func note(_ name: String, _ answer: Any) { texts.append("\(name) of \(webhook.rawValue): \(answer)") }
        note("dead", try await store.deadCounts(of: [webhook]))
        note("firsts", try await store.firsts(of: webhook, after: nil, limit: 99))
        note("retries", try await store.retries(of: webhook, limit: 99))
        note("test", try await store.test("test", of: webhook) as Any)
        for delivery in try await store.deliveries(of: webhook, kind: nil, before: nil, limit: 99) {
            note("delivery", delivery)
            note("attempts", try await store.attempts(of: delivery.id))
            note("content", try await store.testContent(of: delivery.id) as Any)
        }
        return texts
    }
}
