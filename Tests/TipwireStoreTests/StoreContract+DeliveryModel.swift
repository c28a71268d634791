import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

// MARK: - Random histories of webhooks

extension StoreContract {
    @Test(arguments: StoreKind.all, seeds)
    func `a random history of webhooks is that of the model`(kind: StoreKind, seed: UInt64) async throws {
        print("random history of webhooks on \(kind.testDescription): TIPWIRE_SEED=\(seed)")
        try await withScene(kind) { scene in
            try await scene.receive((0..<RandomWebhooks.events).map { _ in draft() })
            var history = RandomWebhooks(seed: seed, scene: scene)
            for step in 0..<200 {
                try await history.step("seed \(seed), step \(step)")
                try await history.compare("seed \(seed), step \(step)")
            }
        }
    }
}

private struct RandomWebhooks {
    /// Entries of the log, all of one time.
    static let events = 30

    private let scene: Scene
    private var store: any Store { scene.store }
    private var random: TestSeed
    private var model = DeliveryModel()
    private var numbers: [WebhookNumber] = []
    private var prunedThrough: Int64 = 0
    private var tests = 0

    init(seed: UInt64, scene: Scene) {
        random = TestSeed(seed: seed)
        self.scene = scene
    }

    mutating func step(_ place: String) async throws {
        switch number(1...100) {
        case ...5: try await create()
        case ...6: try await delete()
        case ...12: try await update()
        case ...35: try await dispatch(place)
        case ...42: try await createTest(place)
        case ...75: try await record()
        case ...92: try await retry(place)
        case ...97: try await trim(place)
        default:
            let limit = number(1...3)
            prunedThrough += Int64(
                try await store.prune(olderThan: .seconds(1), keepingBytes: .max, limit: limit).removed)
        }
    }

    // MARK: Steps

    private mutating func create() async throws {
        guard model.webhooks.count < 4 else { return }
        let page = [scene.page, scene.other].randomElement(using: &random)!
        let subscription = scene.subscription("w\(numbers.count)", page: page.id, key: maybe("k1"))
        let secret = StoredSecret("whsec_\(numbers.count)")
        let position = Int64(number(0...9))
        let made = try await store.createWebhook(
            subscription, callback: "https://bot.example", secret: secret, position: position)
        numbers.append(made)
        model.create(
            StoredWebhook(
                number: made, subscription: subscription, callback: "https://bot.example", secrets: [secret],
                position: position))
    }

    private mutating func delete() async throws {
        let webhook = webhook()
        try await store.deleteWebhook(webhook)
        model.delete(webhook)
    }

    private mutating func update() async throws {
        let webhook = webhook()
        if number(1...3) == 1 {
            let old = StoredSecret("whsec_old", expiresAt: time())
            let secrets = [StoredSecret("whsec_\(number(1...9))")] + (number(1...2) == 1 ? [old] : [])
            try await store.setSecrets(secrets, of: webhook)
            model.setSecrets(secrets, of: webhook)
        } else {
            let disabled = maybe(DisabledReason.allCases.randomElement(using: &random)!)
            let key = maybe("k2")
            try await store.updateWebhook(webhook, disabled: disabled, key: key)
            model.update(webhook, disabled: disabled, key: key)
        }
    }

    private mutating func dispatch(_ place: String) async throws {
        var dispatch = WebhookDispatch(level: sequence())
        for _ in 0..<number(0...8) {
            dispatch.deliveries.append(
                WebhookDispatch.Delivery(
                    id: DeliveryID(webhook: webhook(), sequence: sequence()), createdAt: time()))
        }
        if number(1...2) == 1 { dispatch.positions.updateValue(maybe(sequence()), forKey: webhook()) }
        if number(1...4) == 1 { dispatch.room[webhook()] = number(-4...4) }
        let displaced = try await store.dispatch(dispatch).displaced
        #expect(Set(displaced) == model.dispatch(dispatch), "\(place)")
    }

    private mutating func createTest(_ place: String) async throws {
        let webhook = webhook()
        let sequence = sequence()
        let now = time()
        tests += 1
        let expected = model.createTest(of: webhook, after: sequence, id: "t\(tests)", at: now)
        let made = try? await scene.makeTest("t\(tests)", of: webhook, after: sequence, at: now)
        #expect(made == expected, "\(place)")
    }

    private mutating func record() async throws {
        let progress = (0..<number(1...4)).map { _ in step() }
        var standings: [WebhookNumber: EndpointStanding] = [:]
        if number(1...4) == 1 {
            standings[webhook()] = EndpointStanding(
                failingSince: maybe(time()), disabled: number(1...4) == 1 ? .hopeless : nil)
        }
        try await store.record(progress, standings: standings)
        model.record(progress, standings: standings)
    }

    /// The next attempt of a delivery, the last one again, or none.
    private mutating func step() -> DeliveryProgress {
        let id = delivery()
        let before = model.webhooks[id.webhook]?.deliveries[id]?.delivery
        let made = before?.attempts ?? 0
        let state: DeliveryState =
            switch number(1...5) {
            case 1: .delivered
            case 2: .dead(DeadLetterReason.allCases.randomElement(using: &random)!)
            default: .retry(due: time())
            }
        guard number(1...8) > 1 else {
            return DeliveryProgress(id: id, attempt: nil, round: before?.round ?? 0, state: state)
        }
        let attempt = StoredAttempt.sample(max(1, made + number(0...1)), status: maybe(number(500...502)))
        return DeliveryProgress(id: id, attempt: attempt, round: number(1...attempt.number), state: state)
    }

    private mutating func retry(_ place: String) async throws {
        let now = time()
        if number(1...2) == 1 {
            let id = delivery()
            let known = model.webhooks[id.webhook]?.deliveries[id] != nil
            #expect(try await store.retry(id, at: now) == model.retry(known ? [id] : [], at: now), "\(place)")
        } else {
            let webhook = webhook()
            let selection = RetrySelection(
                kind: maybe(DeliveryKind.allCases.randomElement(using: &random)!), status: maybe(number(500...502)),
                from: maybe(time()), to: maybe(time()))
            let ids = model.deliveries(webhook).filter(selection.picks).map(\.id)
            #expect(
                try await store.retry(selection, of: webhook, at: now) == model.retry(ids, at: now),
                "\(place): \(selection)")
        }
    }

    private mutating func trim(_ place: String) async throws {
        let webhook = webhook()
        let keep = number(0...12)
        #expect(
            try await store.trimDeliveries(of: webhook, keeping: keep, limit: 99)
                == model.trim(webhook, keeping: keep, prunedThrough: prunedThrough), "\(place)")
    }

    // MARK: Comparing

    mutating func compare(_ place: String) async throws {
        let snapshot = try await store.webhooks()
        let expected = model.webhooks.values.map(\.stored).sorted { $0.number < $1.number }
        #expect(snapshot.level == model.level && snapshot.webhooks.map(\.webhook) == expected, "\(place)")
        #expect(snapshot.webhooks.map(\.backlog) == expected.map { model.backlog($0.number) }, "\(place)")

        let webhook = webhook()
        #expect(try await store.backlog(of: webhook) == model.backlog(webhook), "\(place)")
        let all = model.deliveries(webhook)
        #expect(try await store.deliveries(of: webhook, kind: nil, before: nil, limit: 1_000) == all, "\(place)")
        let id = delivery()
        let limit = number(1...5)
        let kind = DeliveryKind.allCases.randomElement(using: &random)!
        #expect(
            try await store.deliveries(of: id.webhook, kind: kind, before: id, limit: limit)
                == model.deliveries(id.webhook).filter { kind.names($0.state) && $0.id < id }.prefix(limit).map(\.self),
            "\(place): before \(id)")
        #expect(
            try await store.firsts(of: id.webhook, after: id, limit: limit)
                == model.firsts(id.webhook).filter { $0 > id }.prefix(limit).map(\.self), "\(place): after \(id)")
        let retries = try await store.retries(of: webhook, limit: limit)
        let waiting = model.retries(webhook).prefix(limit)
        #expect(retries.map(\.id) == waiting.map(\.id) && retries.map(\.due) == waiting.map(\.due), "\(place)")

        let entry = model.webhooks[id.webhook]?.deliveries[id]
        let found = try await store.delivery(id)
        #expect(found == entry?.delivery, "\(place): \(id)")
        let attempts = try await store.attempts(of: id)
        #expect(attempts == (entry?.attempts ?? [:]).sorted { $0.key < $1.key }.map(\.value), "\(place): \(id)")
        let test = entry?.delivery.testID
        let content = try await store.testContent(of: id)
        #expect(content == test.map { _ in .tipReplayed(.sample) }, "\(place): \(id)")
        if let test { #expect(try await store.test(test, of: id.webhook) == id, "\(place): \(id)") }
    }

    // MARK: Choosing

    /// Now and then one that is gone, or never was.
    private mutating func webhook() -> WebhookNumber {
        let all = number(1...8) == 1 ? numbers + [WebhookNumber(rawValue: 1_000)] : model.webhooks.keys.sorted()
        return all.randomElement(using: &random) ?? WebhookNumber(rawValue: 1_000)
    }

    /// Mostly one that is there.
    private mutating func delivery() -> DeliveryID {
        let webhook = webhook()
        let all = model.deliveries(webhook).map(\.id)
        if number(1...10) > 1, let id = all.randomElement(using: &random) { return id }
        return DeliveryID(webhook: webhook, sequence: sequence(), test: number(0...1))
    }

    private mutating func sequence() -> Int64 { Int64(number(1...Self.events)) }
    private mutating func time() -> Timestamp { .seconds(Int64(number(0...20))) }
    private mutating func maybe<T>(_ value: T) -> T? { random.next() % 2 == 0 ? value : nil }
    private mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
}

extension RetrySelection {
    fileprivate func picks(_ delivery: StoredDelivery) -> Bool {
        (kind?.names(delivery.state) ?? true) && (status.map { delivery.last?.status == $0 } ?? true)
            && (from.map { delivery.createdAt >= $0 } ?? true) && (to.map { delivery.createdAt < $0 } ?? true)
    }
}

extension DeliveryKind {
    fileprivate func names(_ state: DeliveryState) -> Bool {
        switch state {
        case .first, .retry: self == .pending
        case .delivered: self == .delivered
        case .dead: self == .dead
        }
    }
}
