import Testing
import TipwireCore
import TipwireStore

// MARK: - Webhooks

extension Scene {
    func subscription(
        _ id: String = "w", page: Page.ID? = nil, account: Account.ID? = nil, key: String? = nil,
        condition: EventSubCondition? = nil
    ) -> EventSubscription {
        EventSubscription(
            id: id, page: page ?? self.page.id, account: account ?? self.account.id, key: key, type: .alerts,
            condition: condition, createdAt: .seconds(1))
    }

    func makeWebhook(
        _ id: String = "w", page: Page? = nil, key: String? = nil, position: Int64 = 0
    ) async throws -> WebhookNumber {
        try await store.createWebhook(
            subscription(id, page: page?.id, key: key), callback: "https://bot.example/\(id)",
            secret: StoredSecret("whsec_\(id)"), position: position)
    }

    /// The webhooks as `webhooks()` tells of them, without what waits for them.
    var webhooks: [StoredWebhook] {
        get async throws { try await store.webhooks().webhooks.map(\.webhook) }
    }

    func webhook(_ number: WebhookNumber) async throws -> StoredWebhook {
        try #require(try await webhooks.first { $0.number == number })
    }
}

extension WebhookStore {
    /// Replaces all secrets of a webhook.
    func setSecrets(_ secrets: [StoredSecret], of number: WebhookNumber) async throws {
        _ = try await changeSecrets(of: number) { _ in secrets }
    }
}

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `a webhook comes back as it was made, until it is deleted`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let condition = EventSubCondition(minimumAmountInCents: 500, minimumAmount: "5")
            let subscription = scene.subscription("w", key: "k1", condition: condition)
            let number = try await scene.store.createWebhook(
                subscription, callback: "https://bot.example/?a=1&b=ä", secret: StoredSecret("whsec_a"), position: 7)
            let made = StoredWebhook(
                number: number, subscription: subscription, callback: "https://bot.example/?a=1&b=ä",
                secrets: [StoredSecret("whsec_a")], position: 7)
            let other = try await scene.makeWebhook("v", page: scene.other)
            #expect(try await scene.webhooks.map(\.number) == [number, other])
            #expect(try await scene.webhook(number) == made)
            #expect(try await scene.webhook(other).subscription.key == nil)
            #expect(try await scene.store.webhooks().level == 0)
            for _ in 0..<2 { try await scene.store.deleteWebhook(other) }
            #expect(try await scene.webhooks == [made])
            #expect(try await scene.makeWebhook("v") > other, "a number came to stand for another webhook")
        }
    }

    @Test(arguments: StoreKind.all)
    func `a webhook needs its page and its account`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            for subscription in [
                scene.subscription(page: Page.ID(rawValue: 99)), scene.subscription(account: Account.ID(rawValue: 99)),
            ] {
                await #expect(throws: DirectoryRefusal.missingReference) {
                    try await scene.store.createWebhook(
                        subscription, callback: "https://bot.example", secret: StoredSecret("whsec_a"), position: 0)
                }
            }
            let webhooks = try await scene.webhooks
            #expect(webhooks == [])
        }
    }

    @Test(arguments: StoreKind.all)
    func `the secret that holds comes first, then the others in their order`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook("a")
            let other = try await scene.makeWebhook("b")
            // Neither the texts nor the times are in this order.
            let secrets = [
                StoredSecret("whsec_m"), StoredSecret("whsec_z", expiresAt: .seconds(5)),
                StoredSecret("whsec_a", expiresAt: .seconds(9)), StoredSecret("whsec_c", expiresAt: .seconds(1)),
            ]
            try await scene.store.setSecrets(secrets, of: number)
            #expect(try await scene.webhook(number).secrets == secrets)
            try await scene.store.setSecrets([secrets[0]], of: number)
            #expect(try await scene.webhook(number).secrets == [secrets[0]])
            #expect(try await scene.webhook(other).secrets == [StoredSecret("whsec_b")])
        }
    }

    @Test(arguments: StoreKind.all)
    func `secrets that can't be kept leave those that were there`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook("a")
            await #expect(throws: (any Error).self) {
                // None of them would hold.
                try await scene.store.setSecrets([StoredSecret("whsec_b", expiresAt: .seconds(1))], of: number)
            }
            #expect(try await scene.webhook(number).secrets == [StoredSecret("whsec_a")])
        }
    }

    @Test func `a secret is in no log`() {
        let secret = StoredSecret("whsec_c2VjcmV0", expiresAt: .zero)
        #expect(!"\(secret)\([secret])\(String(reflecting: secret))".contains("c2VjcmV0"))
    }

    @Test(arguments: StoreKind.all)
    func `a webhook is disabled with a reason and a place, and enabled without a failure`(
        kind: StoreKind
    ) async throws {
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook("a", key: "k1", position: 3)
            let other = try await scene.makeWebhook("b", position: 3)
            let untouched = try await scene.webhook(other)
            try await scene.store.record(
                [], standings: [number: EndpointStanding(failingSince: .seconds(7), disabled: nil)])
            try await scene.store.updateWebhook(number, disabled: .keyRevoked, key: "k1")
            var webhook = try await scene.webhook(number)
            #expect(webhook.disabled == .keyRevoked && webhook.position == 3)
            #expect(webhook.failingSince == .seconds(7), "what led to it is still to be seen")
            try await scene.store.updateWebhook(number, disabled: nil, key: nil)
            webhook = try await scene.webhook(number)
            #expect(webhook.disabled == nil && webhook.position == 3)
            #expect(webhook.failingSince == nil && webhook.subscription.key == nil)
            #expect(try await scene.webhook(other) == untouched)
        }
    }

    @Test(arguments: StoreKind.all)
    func `a webhook that was level is disabled where the level is, and goes on from there`(
        kind: StoreKind
    ) async throws {
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook()
            var dispatch = WebhookDispatch(level: 4)
            dispatch.positions = [number: nil]
            _ = try await scene.store.dispatch(dispatch)
            try await scene.store.updateWebhook(number, disabled: nil, key: "k2")
            var webhook = try await scene.webhook(number)
            #expect(webhook.position == nil && webhook.subscription.key == "k2")
            try await scene.store.updateWebhook(number, disabled: .owner, key: "k2")
            _ = try await scene.store.dispatch(WebhookDispatch(level: 9))
            for reason in [DisabledReason.gone, nil] {
                try await scene.store.updateWebhook(number, disabled: reason, key: "k2")
                webhook = try await scene.webhook(number)
                #expect(webhook.position == 4 && webhook.disabled == reason)
            }
        }
    }

    @Test(arguments: StoreKind.all)
    func `secrets are changed by what they are, and not at all when that fails`(kind: StoreKind) async throws {
        struct Refused: Error {}
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook("a")
            for text in ["whsec_b", "whsec_c"] {
                let changed = try await scene.store.changeSecrets(of: number) { before in
                    [StoredSecret(text)] + before.map { StoredSecret($0.text, expiresAt: .seconds(9)) }
                }
                #expect(try await scene.webhook(number).secrets == changed)
            }
            let secrets = try await scene.webhook(number).secrets
            #expect(secrets.map(\.text) == ["whsec_c", "whsec_b", "whsec_a"])
            await #expect(throws: Refused.self) {
                _ = try await scene.store.changeSecrets(of: number) { _ in throw Refused() }
            }
            #expect(try await scene.webhook(number).secrets == secrets)
            try await scene.store.deleteWebhook(number)
            #expect(try await scene.store.changeSecrets(of: number) { $0 } == nil)
        }
    }

    @Test(arguments: StoreKind.all)
    func `what somebody asked for is told of until it is attempted`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            let number = try await scene.makeWebhook("a")
            let other = try await scene.makeWebhook("b")
            let ids = try await scene.dispatch(1...3, to: number)
            try await store.record(
                [.attempt(1, of: ids[0], .retry(due: .seconds(900))), .attempt(1, of: ids[1], .delivered)],
                standings: [:])
            #expect(try await store.asked() == [:], "nobody asked for what the schedule has")
            _ = try await store.retry(RetrySelection(kind: nil), of: number, at: .seconds(5))
            let test = try await scene.makeTest(of: other, after: 3, at: .seconds(7))
            #expect(try await store.asked() == [number: .seconds(5), other: .seconds(7)])
            for id in ids[0...1] + [test] {
                try await store.record([.attempt(2, of: id, .retry(due: .seconds(900)))], standings: [:])
            }
            #expect(try await store.asked() == [:])
        }
    }

    @Test(arguments: StoreKind.all)
    func `every reason to disable a webhook comes back`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook()
            for reason in DisabledReason.allCases {
                try await scene.store.updateWebhook(number, disabled: reason, key: nil)
                #expect(try await scene.webhook(number).disabled == reason)
            }
        }
    }

    @Test(arguments: StoreKind.all)
    func `a webhook outlives its key, and not its page`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.store.createKey(.sample("k1", account: scene.account.id))
            let kept = try await scene.makeWebhook("a", key: "k1")
            let lost = try await scene.makeWebhook("b", page: scene.other, key: "k1")
            try await scene.dispatch(1...3, to: kept)
            try await scene.dispatch(1...3, to: lost)
            let test = try await scene.makeTest(of: lost, after: 3)
            try await scene.store.record([.attempt(1, of: test, .delivered, status: 200)], standings: [:])
            let before = try await scene.webhook(kept)

            _ = try await scene.store.deleteKey("k1")
            #expect(try await scene.webhook(kept) == before && before.subscription.key == "k1")
            try await scene.store.deletePage(scene.other.id)
            #expect(try await scene.webhooks == [before])
            #expect(try await scene.store.backlog(of: kept).pending == 3)
            #expect(try await scene.store.backlog(of: lost) == WebhookBacklog())
            #expect(try await scene.store.deliveries(of: lost, kind: nil, before: nil, limit: 9) == [])
            #expect(try await scene.store.attempts(of: test) == [])
            #expect(try await scene.store.test("test", of: lost) == nil)
        }
    }

    @Test(arguments: StoreKind.all)
    func `what names a webhook that is gone does nothing`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            let gone = try await scene.makeWebhook("a")
            try await scene.dispatch(1...3, to: gone)
            try await store.deleteWebhook(gone)
            let id = DeliveryID(webhook: gone, sequence: 1)

            try await store.updateWebhook(gone, disabled: .owner, key: nil)
            try await store.setSecrets([StoredSecret("whsec_b")], of: gone)
            let standing = EndpointStanding(failingSince: .zero, disabled: .gone)
            try await store.record([.attempt(1, of: id, .delivered)], standings: [gone: standing])
            let none = RetriedDeliveries(count: 0, revived: 0)
            #expect(try await store.retry(RetrySelection(kind: nil), of: gone, at: .zero) == none)
            #expect(try await store.retry(id, at: .zero) == none)
            #expect(try await store.trimDeliveries(of: gone, keeping: 0, limit: 99) == 0)
            #expect(try await store.delivery(id) == nil)
            #expect(try await store.firsts(of: gone, after: nil, limit: 9) == [])
            #expect(try await store.retries(of: gone, limit: 9).isEmpty)
            #expect(try await store.attempts(of: id) == [])
            #expect(try await scene.webhooks == [])
            // It has no answer to give without one.
            await #expect(throws: DirectoryRefusal.missingReference) { try await scene.makeTest(of: gone, after: 1) }
        }
    }

    @Test(arguments: StoreKind.all)
    func `all webhooks are told of with what waits for them`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            let busy = try await scene.makeWebhook("a")
            let idle = try await scene.makeWebhook("b")
            let ids = try await scene.dispatch(1...6, to: busy)
            try await store.record(
                [
                    .attempt(1, of: ids[0], .retry(due: .seconds(60))), .attempt(1, of: ids[1], .delivered),
                    .attempt(1, of: ids[2], .retry(due: .seconds(50))), .attempt(1, of: ids[3], .dead(.refused)),
                ], standings: [:])
            let waiting = WebhookBacklog(pending: 4, firsts: 2, earliestRetry: .seconds(50))
            let snapshot = try await store.webhooks()
            #expect(snapshot.level == 6)
            #expect(snapshot.webhooks.map(\.webhook.number) == [busy, idle])
            #expect(snapshot.webhooks.map(\.backlog) == [waiting, WebhookBacklog()])
            #expect(try await store.backlog(of: busy) == waiting)
            #expect(try await store.backlog(of: idle) == WebhookBacklog())
        }
    }

    @Test(arguments: StoreKind.all)
    func `webhooks and what waits for them outlive a restart`(kind: StoreKind) async throws {
        try await withFolder { folder in
            let first = try await kind.open(folder)
            let scene = try await Scene(first.store)
            let number = try await scene.makeWebhook("a", position: 2)
            let ids = try await scene.dispatch(1...3, to: number)
            try await scene.store.record(
                [.attempt(1, of: ids[0], .retry(due: .seconds(9)))],
                standings: [number: EndpointStanding(failingSince: .seconds(4))])
            let webhook = try await scene.webhook(number)
            let deliveries = try await scene.store.deliveries(of: number, kind: nil, before: nil, limit: 9)
            try await first.close()

            let second = try await kind.open(folder)
            let snapshot = try await second.store.webhooks()
            #expect(snapshot.level == 3 && snapshot.webhooks.map(\.webhook) == [webhook])
            #expect(
                snapshot.webhooks[0].backlog == WebhookBacklog(pending: 3, firsts: 2, earliestRetry: .seconds(9)))
            #expect(try await second.store.deliveries(of: number, kind: nil, before: nil, limit: 9) == deliveries)
            try await second.close()
        }
    }
}
