import Testing
import TipwireCore
import TipwireStore

// MARK: - Deliveries

extension Scene {
    /// Has the log read through the end of `sequences`, with a delivery of each to `webhook`.
    @discardableResult
    func dispatch(_ sequences: ClosedRange<Int64>, to webhook: WebhookNumber) async throws -> [DeliveryID] {
        var dispatch = WebhookDispatch(level: sequences.upperBound)
        dispatch.add(sequences, to: webhook)
        let outcome = try await store.dispatch(dispatch)
        #expect(outcome.displaced == [])
        return dispatch.deliveries.map(\.id)
    }

    func makeTest(
        _ id: String = "test", of webhook: WebhookNumber, after sequence: Int64, at now: Timestamp = .zero
    ) async throws -> DeliveryID {
        try await store.createTest(
            of: webhook, after: sequence, id: id, body: .tipReplayed(.sample), page: page.label, at: now)
    }

    func delivery(_ id: DeliveryID) async throws -> StoredDelivery {
        try #require(try await store.delivery(id))
    }

    fileprivate func states(of webhook: WebhookNumber) async throws -> [DeliveryState] {
        try await store.deliveries(of: webhook, kind: nil, before: nil, limit: 99).reversed().map(\.state)
    }

    fileprivate func firsts(of webhook: WebhookNumber) async throws -> [DeliveryID] {
        try await store.firsts(of: webhook, after: nil, limit: 99)
    }
}

extension WebhookDispatch {
    /// Each event has its own time.
    mutating func add(_ sequences: ClosedRange<Int64>, to webhook: WebhookNumber) {
        deliveries += sequences.map {
            Delivery(id: DeliveryID(webhook: webhook, sequence: $0), createdAt: .seconds($0))
        }
    }
}

extension DeliveryProgress {
    /// Attempt `number` in the first round.
    static func attempt(
        _ number: Int, of id: DeliveryID, _ state: DeliveryState, status: Int? = 500
    ) -> DeliveryProgress {
        DeliveryProgress(id: id, attempt: .sample(number, status: status), round: number, state: state)
    }
}

extension StoredAttempt {
    static func sample(_ number: Int, status: Int? = 500) -> StoredAttempt {
        StoredAttempt(
            number: number, began: .seconds(Int64(number)), duration: 40, status: status, code: "status",
            outcome: "answered \(status ?? 0)", address: status.map { _ in "198.51.100.7" }, answer: "ä\n🐈")
    }
}

extension Tip {
    static let sample = Tip(
        id: TipIdentifier("sample")!, displayName: "Ann", message: "Hello, \"you\" 🎉", grossAmountInCents: 500,
        processingFeeInCents: 20, isAnonymous: false, createdAt: .zero, processedAt: .zero)
}

// MARK: - Dispatching

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `a dispatch keeps deliveries and how far the log was read`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let level = try await scene.makeWebhook("a")
            let behind = try await scene.makeWebhook("b")
            var dispatch = WebhookDispatch(level: 5)
            dispatch.add(1...2, to: level)
            dispatch.add(2...2, to: behind)
            dispatch.positions = [level: nil, behind: 3]
            #expect(try await scene.store.dispatch(dispatch).displaced == [])

            #expect(try await scene.store.webhooks().level == 5)
            #expect(try await scene.webhooks.map(\.position) == [nil, 3])
            #expect(try await scene.firsts(of: level) == dispatch.deliveries[...1].map(\.id))
            #expect(try await scene.firsts(of: behind) == [dispatch.deliveries[2].id])
            #expect(
                try await scene.delivery(dispatch.deliveries[1].id)
                    == StoredDelivery(
                        id: DeliveryID(webhook: level, sequence: 2), createdAt: .seconds(2), state: .first, attempts: 0,
                        round: 0, last: nil, testID: nil))
        }
    }

    @Test(arguments: StoreKind.all)
    func `a dispatch that can't be kept leaves nothing`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook(position: 0)
            let ids = try await scene.dispatch(1...1, to: number)
            var dispatch = WebhookDispatch(level: 5)
            // No log has such an entry.
            for sequence: Int64 in [2, -1] { dispatch.add(sequence...sequence, to: number) }
            dispatch.positions = [number: nil]
            dispatch.room = [number: 1]
            await #expect(throws: (any Error).self) { try await scene.store.dispatch(dispatch) }
            #expect(try await scene.store.webhooks().level == 1)
            #expect(try await scene.webhook(number).position == 0)
            #expect(try await scene.firsts(of: number) == ids)
        }
    }

    @Test(arguments: StoreKind.all)
    func `a delivery that is there stays as it is, and the level doesn't go back`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook()
            let ids = try await scene.dispatch(1...3, to: number)
            try await scene.store.record(
                [.attempt(1, of: ids[0], .delivered), .attempt(1, of: ids[1], .retry(due: .seconds(9)))],
                standings: [:])
            let before = try await scene.store.deliveries(of: number, kind: nil, before: nil, limit: 9)
            var again = WebhookDispatch(level: 2)
            again.deliveries = ids.map { WebhookDispatch.Delivery(id: $0, createdAt: .seconds(77)) }
            again.add(4...5, to: number)
            let outcome = try await scene.store.dispatch(again)
            #expect(outcome.displaced == [] && outcome.added == [number: 2])
            let after = try await scene.store.deliveries(of: number, kind: nil, before: nil, limit: 9)
            #expect(Array(after.suffix(3)) == before && after.count == 5)
            #expect(try await scene.store.webhooks().level == 3)
        }
    }

    @Test(arguments: StoreKind.all)
    func `what is for a webhook that was deleted is passed over`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let gone = try await scene.makeWebhook("a")
            let kept = try await scene.makeWebhook("b")
            try await scene.store.deleteWebhook(gone)
            var dispatch = WebhookDispatch(level: 4)
            dispatch.add(3...3, to: gone)
            dispatch.add(4...4, to: kept)
            dispatch.positions = [gone: 4, kept: nil]
            dispatch.room = [gone: -1]
            let outcome = try await scene.store.dispatch(dispatch)
            #expect(outcome.displaced == [] && outcome.added == [kept: 1])
            #expect(try await scene.firsts(of: gone) == [])
            #expect(try await scene.firsts(of: kept).map(\.sequence) == [4])
            #expect(try await scene.webhooks.map(\.position) == [nil])
        }
    }

    @Test(arguments: StoreKind.all)
    func `a webhook that was disabled since keeps its place`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook(position: 2)
            try await scene.store.updateWebhook(number, disabled: .owner, key: nil)
            var dispatch = WebhookDispatch(level: 5)
            dispatch.positions = [number: nil]
            _ = try await scene.store.dispatch(dispatch)
            #expect(try await scene.webhook(number).position == 2)
            #expect(try await scene.store.webhooks().level == 5)
        }
    }

    @Test(arguments: StoreKind.all)
    func `the oldest pending deliveries make room, whatever they wait for`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook("a")
            let other = try await scene.makeWebhook("b")
            let ids = try await scene.dispatch(1...4, to: number)
            try await scene.dispatch(1...4, to: other)
            let test = try await scene.makeTest(of: number, after: 2)
            try await scene.store.record(
                [.attempt(1, of: ids[0], .delivered), .attempt(1, of: ids[1], .retry(due: .seconds(900)))],
                standings: [:])
            var dispatch = WebhookDispatch(level: 5)
            dispatch.add(5...5, to: number)
            dispatch.room = [number: -2]
            #expect(try await scene.store.dispatch(dispatch).displaced == [ids[1], test, ids[2]])
            let dead = DeliveryState.dead(.tooManyPending)
            #expect(try await scene.states(of: number) == [.delivered, dead, dead, dead, .first, .first])
            let none = WebhookNumber(rawValue: 99)
            #expect(try await scene.store.deadCounts(of: [number, none]) == [number: 3, none: 0])
            #expect(try await scene.store.backlog(of: number) == WebhookBacklog(pending: 2, firsts: 2))
            #expect(try await scene.store.backlog(of: other).pending == 4)

            // What was there already needs no room: a dispatch whose end was never heard of gives up nothing twice.
            for room in [0, -1] {
                var again = WebhookDispatch(level: 5)
                again.add(4...5, to: number)
                again.room = [number: room]
                #expect(try await scene.store.dispatch(again) == WebhookDispatch.Outcome(added: [:], displaced: []))
            }

            // There aren't as many; what is new itself is among them.
            var last = WebhookDispatch(level: 6)
            last.add(6...6, to: number)
            last.room = [number: -98]
            #expect(try await scene.store.dispatch(last).displaced.map(\.sequence) == [4, 5, 6])
            #expect(try await scene.store.backlog(of: number) == WebhookBacklog())
        }
    }
}

// MARK: - What waits

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `first attempts come in the order of the deliveries, a few at a time`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            let number = try await scene.makeWebhook("a")
            try await scene.dispatch(1...9, to: try await scene.makeWebhook("b"))
            var dispatch = WebhookDispatch(level: 12)
            for sequence: Int64 in [12, 3, 7, 10, 4] { dispatch.add(sequence...sequence, to: number) }
            _ = try await store.dispatch(dispatch)
            let early = try await scene.makeTest("x", of: number, after: 0)
            var tests: [DeliveryID] = []
            for id in ["y", "z"] { tests.append(try await scene.makeTest(id, of: number, after: 7)) }
            func id(_ sequence: Int64) -> DeliveryID { DeliveryID(webhook: number, sequence: sequence) }
            try await store.record(
                [.attempt(1, of: id(4), .delivered), .attempt(1, of: id(10), .retry(due: .seconds(1)))], standings: [:])

            let all = [early, id(3), id(7), tests[0], tests[1], id(12)]
            #expect(try await scene.firsts(of: number) == all && all == all.sorted())
            var seen: [DeliveryID] = []
            while true {
                let page = try await store.firsts(of: number, after: seen.last, limit: 2)
                if page.isEmpty { break }
                #expect(page.count == 2)
                seen += page
            }
            #expect(seen == all)
            // Behind one that isn't there, or doesn't wait.
            #expect(try await store.firsts(of: number, after: id(5), limit: 1) == [id(7)])
            #expect(try await store.firsts(of: number, after: id(10), limit: 1) == [id(12)])
        }
    }

    @Test(arguments: StoreKind.all)
    func `retries come by their time, the earliest first`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook("a")
            let other = try await scene.dispatch(1...1, to: try await scene.makeWebhook("b"))
            let ids = try await scene.dispatch(1...6, to: number)
            let dues: [Int64] = [30, 10, 20, 10]
            try await scene.store.record(
                zip(ids, dues).map { .attempt(1, of: $0, .retry(due: .seconds($1))) }
                    + [.attempt(1, of: ids[4], .delivered), .attempt(1, of: other[0], .retry(due: .seconds(1)))],
                standings: [:])
            let retries = try await scene.store.retries(of: number, limit: 9)
            #expect(retries.map(\.id) == [ids[1], ids[3], ids[2], ids[0]])
            #expect(retries.map(\.due) == [10, 10, 20, 30].map(Timestamp.seconds))
            #expect(try await scene.store.retries(of: number, limit: 3).map(\.id) == [ids[1], ids[3], ids[2]])
        }
    }
}

// MARK: - Recording

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `an attempt is kept with what follows from it`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook()
            let states: [DeliveryState] =
                [.delivered, .retry(due: .seconds(50))] + DeadLetterReason.allCases.map { .dead($0) }
            let ids = try await scene.dispatch(1...Int64(states.count), to: number)
            try await scene.store.record(
                zip(ids, states).map { .attempt(1, of: $0, $1, status: 503) }, standings: [:])
            for (id, state) in zip(ids, states) {
                #expect(
                    try await scene.delivery(id)
                        == StoredDelivery(
                            id: id, createdAt: .seconds(id.sequence), state: state, attempts: 1, round: 1,
                            last: .sample(1, status: 503), testID: nil))
            }
            #expect(try await scene.firsts(of: number) == [])
        }
    }

    @Test(arguments: StoreKind.all)
    func `attempts come in their order, over all rounds`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let ids = try await scene.dispatch(1...2, to: try await scene.makeWebhook())
            let attempts = (1...11).map { StoredAttempt.sample($0, status: $0 == 4 ? nil : 500) }
            for attempt in attempts {
                let progress = DeliveryProgress(
                    id: ids[0], attempt: attempt, round: 1, state: .retry(due: .seconds(9)))
                try await scene.store.record([progress], standings: [:])
            }
            #expect(try await scene.store.attempts(of: ids[0]) == attempts)
            #expect(try await scene.store.attempts(of: ids[1]) == [])
            let delivery = try await scene.delivery(ids[0])
            #expect(delivery.attempts == 11 && delivery.round == 1 && delivery.last == attempts.last)
        }
    }

    @Test(arguments: StoreKind.all)
    func `without an attempt the state alone changes`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let ids = try await scene.dispatch(1...2, to: try await scene.makeWebhook())
            try await scene.store.record([.attempt(1, of: ids[1], .retry(due: .seconds(9)))], standings: [:])
            try await scene.store.record(
                [
                    DeliveryProgress(id: ids[0], attempt: nil, round: 0, state: .dead(.expired)),
                    DeliveryProgress(id: ids[1], attempt: nil, round: 1, state: .dead(.expired)),
                ], standings: [:])
            let never = try await scene.delivery(ids[0])
            #expect(never.state == .dead(.expired) && never.attempts == 0 && never.last == nil)
            let once = try await scene.delivery(ids[1])
            #expect(once.state == .dead(.expired) && once.attempts == 1 && once.last == .sample(1))
        }
    }

    @Test(arguments: StoreKind.all)
    func `of a delivery that has ended only a success is kept`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let number = try await scene.makeWebhook()
            let ids = try await scene.dispatch(1...2, to: number)
            try await scene.store.record(
                [.attempt(1, of: ids[0], .dead(.refused)), .attempt(1, of: ids[1], .delivered, status: 200)],
                standings: [:])
            let before = try await scene.store.deliveries(of: number, kind: nil, before: nil, limit: 9)
            for state: DeliveryState in [.retry(due: .seconds(9)), .dead(.attemptsExhausted)] {
                try await scene.store.record(ids.map { .attempt(2, of: $0, state) }, standings: [:])
                #expect(try await scene.store.deliveries(of: number, kind: nil, before: nil, limit: 9) == before)
                #expect(try await scene.store.attempts(of: ids[0]) == [.sample(1)])
            }
            try await scene.store.record([.attempt(2, of: ids[0], .delivered, status: 204)], standings: [:])
            let late = try await scene.delivery(ids[0])
            #expect(late.state == .delivered && late.attempts == 2 && late.last == .sample(2, status: 204))
            #expect(try await scene.store.attempts(of: ids[0]) == [.sample(1), .sample(2, status: 204)])
        }
    }

    @Test(arguments: StoreKind.all)
    func `a standing says since when a webhook fails, and may disable it`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            let level = try await scene.makeWebhook("a")
            let behind = try await scene.makeWebhook("b", position: 2)
            var dispatch = WebhookDispatch(level: 8)
            dispatch.positions = [level: nil]
            _ = try await store.dispatch(dispatch)

            let failing = EndpointStanding(failingSince: .seconds(3))
            try await store.record([], standings: [level: failing, WebhookNumber(rawValue: 99): failing])
            #expect(try await scene.webhooks.map(\.failingSince) == [.seconds(3), nil])
            #expect(try await scene.webhook(level).position == nil)
            try await store.record([], standings: [level: EndpointStanding(failingSince: nil)])
            #expect(try await scene.webhook(level).failingSince == nil)

            let gone = EndpointStanding(failingSince: .seconds(4), disabled: .gone)
            try await store.record([], standings: [level: gone, behind: gone])
            #expect(try await scene.webhooks.map(\.disabled) == [.gone, .gone])
            #expect(try await scene.webhooks.map(\.position) == [8, 2], "what was level stands where the level was")
            // The first reason stands, whatever comes in late.
            let late = [
                EndpointStanding(failingSince: .seconds(4), disabled: .hopeless), EndpointStanding(failingSince: nil),
            ]
            for standing in late { try await store.record([], standings: [level: standing]) }
            #expect(try await scene.webhook(level).disabled == .gone)
            #expect(try await scene.webhook(level).position == 8)
        }
    }
}
