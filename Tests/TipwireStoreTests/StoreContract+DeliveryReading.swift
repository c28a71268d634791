import Testing
import TipwireCore
import TipwireStore

// MARK: - Retries by hand

extension StoreContract {
    /// Deliveries 1 to 7: delivered, dead by 500, dead by 404, dead without an answer, to be tried again after a 500,
    /// and two that wait for their first attempts.
    private func withMixture(
        _ kind: StoreKind, _ body: (Scene, WebhookNumber, [DeliveryID]) async throws -> Void
    ) async throws {
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook("a")
            let ids = try await scene.dispatch(1...7, to: number)
            try await scene.dispatch(1...7, to: try await scene.makeWebhook("b"))
            try await scene.store.record(
                [
                    .attempt(1, of: ids[0], .delivered, status: 200),
                    .attempt(1, of: ids[1], .retry(due: .seconds(5)), status: 404),
                    .attempt(2, of: ids[1], .dead(.attemptsExhausted), status: 500),
                    .attempt(1, of: ids[2], .dead(.attemptsExhausted), status: 404),
                    .attempt(1, of: ids[3], .dead(.refused), status: nil),
                    .attempt(1, of: ids[4], .retry(due: .seconds(500)), status: 500),
                ], standings: [:])
            try await body(scene, number, ids)
        }
    }

    @Test(
        arguments: StoreKind.all,
        [
            // Which of the seven, how many of them had ended.
            (RetrySelection(kind: nil), 1...7, 4),
            (RetrySelection(kind: .dead), 2...4, 3),
            (RetrySelection(kind: .delivered), 1...1, 1),
            (RetrySelection(kind: .pending), 5...7, 0),
            // The status of the last attempt, and not of the one before.
            (RetrySelection(kind: nil, status: 404), 3...3, 1),
            (RetrySelection(kind: .dead, status: 500), 2...2, 1),
            (RetrySelection(kind: .pending, status: 500), 5...5, 0),
            (RetrySelection(kind: nil, from: .seconds(3)), 3...7, 2),
            (RetrySelection(kind: nil, to: .seconds(3)), 1...2, 2),
            (RetrySelection(kind: .dead, from: .seconds(2), to: .seconds(4)), 2...3, 2),
            (RetrySelection(kind: .dead, status: 404, from: .seconds(1), to: .seconds(9)), 3...3, 1),
        ] as [(RetrySelection, ClosedRange<Int64>, Int)])
    func `a retry by hand puts back what it picks out, and nothing else`(
        kind: StoreKind, choice: (selection: RetrySelection, picked: ClosedRange<Int64>, revived: Int)
    ) async throws {
        try await withMixture(kind) { scene, number, ids in
            let others = try await scene.store.webhooks().webhooks[1].backlog
            var expected: [StoredDelivery] = []
            for id in ids {
                let delivery = try await scene.delivery(id)
                expected.append(choice.picked.contains(id.sequence) ? delivery.putBack(at: .seconds(60)) : delivery)
            }
            #expect(
                try await scene.store.retry(choice.selection, of: number, at: .seconds(60))
                    == RetriedDeliveries(count: choice.picked.count, revived: choice.revived))
            #expect(
                try await scene.store.deliveries(of: number, kind: nil, before: nil, limit: 9) == expected.reversed())
            #expect(try await scene.store.firsts(of: number, after: nil, limit: 9) == Array(ids[5...]))
            #expect(try await scene.store.webhooks().webhooks[1].backlog == others)
        }
    }

    @Test(arguments: StoreKind.all)
    func `one delivery is put back by its id`(kind: StoreKind) async throws {
        try await withMixture(kind) { scene, number, ids in
            for (index, revived) in [(1, 1), (1, 0), (4, 0), (6, 0), (0, 1)] {
                let before = try await scene.delivery(ids[index])
                let answer = try await scene.store.retry(ids[index], at: .seconds(60))
                #expect(answer == RetriedDeliveries(count: 1, revived: revived))
                #expect(try await scene.delivery(ids[index]) == before.putBack(at: .seconds(60)))
            }
            #expect(try await scene.store.retries(of: number, limit: 9).map(\.id) == [ids[0], ids[1], ids[4]])
            let nobody = DeliveryID(webhook: number, sequence: 1, test: 1)
            #expect(try await scene.store.retry(nobody, at: .zero) == RetriedDeliveries(count: 0, revived: 0))
        }
    }

    @Test(arguments: StoreKind.all)
    func `a delivery that was put back goes on counting its attempts`(kind: StoreKind) async throws {
        try await withMixture(kind) { scene, _, ids in
            _ = try await scene.store.retry(ids[1], at: .seconds(60))
            let third = StoredAttempt.sample(3, status: 200)
            try await scene.store.record(
                [DeliveryProgress(id: ids[1], attempt: third, round: 1, state: .delivered)], standings: [:])
            let delivery = try await scene.delivery(ids[1])
            #expect(delivery.state == .delivered && delivery.attempts == 3 && delivery.round == 1)
            #expect(try await scene.store.attempts(of: ids[1]).map(\.status) == [404, 500, 200])
        }
    }
}

extension StoredDelivery {
    /// As it is after a retry by hand.
    func putBack(at now: Timestamp) -> StoredDelivery {
        StoredDelivery(
            id: id, createdAt: createdAt, state: state == .first ? .first : .retry(due: now), attempts: attempts,
            round: 0, last: last, testID: testID)
    }
}

// MARK: - Tests

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `a test is a delivery of its own, behind all before it`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            let number = try await scene.makeWebhook("a")
            let other = try await scene.makeWebhook("b")
            // Before there was any event.
            let first = try await scene.makeTest("x", of: number, after: 0, at: .seconds(3))
            let events = try await scene.dispatch(1...2, to: number)
            let second = try await scene.makeTest("y", of: number, after: 2)
            let third = try await scene.makeTest("z", of: number, after: 2)
            try await scene.dispatch(3...3, to: number)
            #expect(first < events[0] && events[1] < second && second < third)
            #expect(third < DeliveryID(webhook: number, sequence: 3))
            #expect(first.isTest && second.isTest && !events[0].isTest)

            #expect(try await store.test("y", of: number) == second)
            #expect(try await store.test("y", of: other) == nil)
            #expect(try await store.test("w", of: number) == nil)
            // The id of a message is its webhook's own.
            let elsewhere = try await scene.makeTest("y", of: other, after: 2)
            #expect(try await store.test("y", of: other) == elsewhere)
            #expect(try await store.test("y", of: number) == second)

            #expect(
                try await scene.delivery(first)
                    == StoredDelivery(
                        id: first, createdAt: .seconds(3), state: .first, attempts: 0, round: 0, last: nil,
                        testID: "x"))
            #expect(try await store.testContent(of: first) == .tipReplayed(.sample))
            #expect(try await scene.delivery(events[0]).testID == nil)
            #expect(try await store.testContent(of: events[0]) == nil)
        }
    }

    @Test(arguments: StoreKind.all)
    func `a delivery and what a test tells of outlive the events of the log`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.receive([draft()])
            let number = try await scene.makeWebhook()
            let ids = try await scene.dispatch(1...1, to: number)
            let test = try await scene.makeTest(of: number, after: 1)
            _ = try await scene.store.prune(olderThan: .seconds(9), keepingBytes: .max, limit: 1)
            #expect(try await scene.events() == [])
            #expect(try await scene.delivery(ids[0]).state == .first)
            #expect(try await scene.store.testContent(of: test) == .tipReplayed(.sample))
            #expect(try await scene.store.delivery(DeliveryID(webhook: number, sequence: 9)) == nil)
        }
    }
}

// MARK: - Listing

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `deliveries are listed newest first, by kind and in pages`(kind: StoreKind) async throws {
        try await withMixture(kind) { scene, number, ids in
            let test = try await scene.makeTest(of: number, after: 4)
            func list(
                _ kind: DeliveryKind?, before id: DeliveryID? = nil, limit: Int = 9
            ) async throws -> [DeliveryID] {
                try await scene.store.deliveries(of: number, kind: kind, before: id, limit: limit).map(\.id)
            }
            let all = (ids[..<4] + [test] + ids[4...]).reversed() as [DeliveryID]
            #expect(try await list(nil) == all)
            #expect(try await list(.pending) == [ids[6], ids[5], ids[4], test])
            #expect(try await list(.dead) == [ids[3], ids[2], ids[1]])
            #expect(try await list(.delivered) == [ids[0]])

            #expect(try await list(nil, limit: 2) == Array(all[..<2]))
            #expect(try await list(nil, before: all[1], limit: 2) == Array(all[2..<4]))
            #expect(try await list(nil, before: test) == Array(all[4...]))
            #expect(try await list(.dead, before: ids[3], limit: 1) == [ids[2]])
            #expect(try await list(nil, before: ids[0]) == [])
            // Whole, as one by one.
            for delivery in try await scene.store.deliveries(of: number, kind: nil, before: nil, limit: 9) {
                #expect(try await scene.delivery(delivery.id) == delivery)
            }
        }
    }
}

// MARK: - Trimming

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `only the newest of those that have ended stay`(kind: StoreKind) async throws {
        try await withMixture(kind) { scene, number, ids in
            let store = scene.store
            let test = try await scene.makeTest(of: number, after: 3)
            try await store.record([.attempt(1, of: test, .delivered)], standings: [:])
            #expect(try await store.trimDeliveries(of: number, keeping: 5, limit: 99) == 0)
            // Ended are 1 to 3, the test and 4.
            #expect(try await store.trimDeliveries(of: number, keeping: 2, limit: 2) == 2)
            #expect(try await store.trimDeliveries(of: number, keeping: 2, limit: 2) == 1)
            let left = try await store.deliveries(of: number, kind: nil, before: nil, limit: 9).map(\.id)
            #expect(left == [ids[6], ids[5], ids[4], ids[3], test])
            #expect(try await store.attempts(of: ids[1]) == [])
            #expect(try await store.attempts(of: test).count == 1)
            #expect(try await store.trimDeliveries(of: number, keeping: 0, limit: 99) == 2)
            #expect(try await store.test("test", of: number) == nil)
            #expect(try await store.backlog(of: number).pending == 3)
            let others = try await store.webhooks().webhooks[1].backlog
            #expect(others.pending == 7)
        }
    }

    @Test(arguments: StoreKind.all)
    func `what has ended goes with its event, and what is pending stays`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            try await scene.receive((0..<5).map { _ in draft() })
            let number = try await scene.makeWebhook()
            let ids = try await scene.dispatch(1...5, to: number)
            let tests = [
                try await scene.makeTest("x", of: number, after: 2),
                try await scene.makeTest("y", of: number, after: 3),
            ]
            try await store.record(
                ([0, 2, 3].map { ids[$0] } + tests).map { .attempt(1, of: $0, .delivered) }, standings: [:])
            #expect(try await store.trimDeliveries(of: number, keeping: 99, limit: 99) == 0)
            _ = try await store.prune(olderThan: .seconds(9), keepingBytes: .max, limit: 3)
            // 1, 3 and the test between 2 and 3. The one behind 3 is as young as 4.
            #expect(try await store.trimDeliveries(of: number, keeping: 99, limit: 99) == 3)
            let left = try await store.deliveries(of: number, kind: nil, before: nil, limit: 9).map(\.id)
            #expect(left == [ids[4], ids[3], tests[1], ids[1]])
        }
    }

    @Test(arguments: StoreKind.all)
    func `a test on a server that has seen no tip can be looked up when it has ended`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook()
            let id = try await scene.makeTest(of: number, after: 0)
            try await scene.store.record([.attempt(1, of: id, .delivered)], standings: [:])
            #expect(try await scene.store.trimDeliveries(of: number, keeping: 9, limit: 99) == 0)
            #expect(try await scene.store.test("test", of: number) == id)
            #expect(try await scene.makeTest("next", of: number, after: 0) > id)
        }
    }
}
