import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireWebhooks

@Suite("One endpoint's queue against a model of the store")
struct EndpointQueuePropertyTests {
    @Test(
        "Whatever comes when, first attempts keep their order, nothing is lost, overslept or under way twice",
        arguments: 0..<50)
    func random(round: Int) throws {
        var scenario = QueueScenario(seed: TestSeed(of: TestSeed(), round))
        for _ in 0..<400 { try scenario.step() }
        try scenario.finish()
    }
}

/// What a server, its store and an endpoint may do around a queue, in any order, and what must hold all the while.
private struct QueueScenario {
    private enum Row: Equatable {
        case first
        case retry(due: Int64)
        case ended
    }

    private struct Attempt {
        let isFirst: Bool
        /// Set when the store has its end, of which the queue wasn't told yet.
        var end: (wasMade: Bool, next: Int64?)?
    }

    private struct Loads<Found> {
        /// Set when the store was read, of which the queue wasn't told yet.
        var found: [Found]?
    }

    private static let limits = {
        var limits = EndpointQueue.Limits()
        limits.held = 4
        limits.concurrent = 3
        return limits
    }()

    private var seed: TestSeed
    private var queue: EndpointQueue
    private var now: Int64 = 0
    private var rows: [Row] = []
    /// Rows whose making the queue wasn't told of yet; after them what made room for them.
    private var untold: (made: [Int], displaced: [Int]) = ([], [])
    private var isReloadUntold = false
    private var attempts: [Int: Attempt] = [:]
    private var loadOfFirsts: (last: Int, loads: Loads<Int>)?
    private var loadOfRetries: Loads<EndpointQueue.Retry>?
    private var lastFirst = -1
    private var isFaulty = true

    init(seed: TestSeed) {
        self.seed = seed
        // Some are there from before the start.
        for _ in 0..<Int.random(in: 0...9, using: &self.seed) {
            rows.append(self.seed.chance(50) ? .first : .retry(due: Int64.random(in: 0...9_000, using: &self.seed)))
        }
        let dues = rows.compactMap { if case .retry(let due) = $0 { AskedQueue.time(due) } else { nil } }
        queue = EndpointQueue(
            backlog: WebhookBacklog(
                pending: rows.count, firsts: rows.count { $0 == .first }, earliestRetry: dues.min()),
            failingSince: nil, limits: Self.limits)
    }

    private var time: Timestamp { AskedQueue.time(now) }

    // MARK: Events

    mutating func step() throws {
        switch Int.random(in: 0..<11, using: &seed) {
        case 0...1: commit()
        case 2: tellNews()
        case 3: retryByHand()
        case 4: readForLoad()
        case 5: answerLoads()
        case 6...7: keepEnd()
        case 8: tellEnd()
        case 9: now += Int64.random(in: 0...2_000, using: &seed)
        default: if isReloadUntold { tellReload() }
        }
        try proceed()
    }

    /// A batch of new deliveries is kept, and sometimes the oldest must make room. Retries by hand wait for its end.
    private mutating func commit() {
        guard untold.made.isEmpty, !isReloadUntold else { return }
        for _ in 0..<Int.random(in: 1...3, using: &seed) {
            untold.made.append(rows.count)
            rows.append(.first)
        }
        guard seed.chance(15) else { return }
        for index in rows.indices.filter({ rows[$0] != .ended }).prefix(Int.random(in: 1...4, using: &seed)) {
            rows[index] = .ended
            untold.displaced.append(index)
        }
    }

    private mutating func tellNews() {
        let running = queue.displace(Set(untold.displaced.map(AskedQueue.id)))
        #expect(running.allSatisfy { attempts[Int($0.sequence)] != nil }, "\(seed)")
        for index in untold.made where !untold.displaced.contains(index) { queue.offer(first: AskedQueue.id(index)) }
        untold = ([], [])
    }

    private mutating func retryByHand() {
        guard !isReloadUntold, untold.made.isEmpty, let index = rows.indices.randomElement(using: &seed),
            rows[index] != .first
        else {
            return
        }
        rows[index] = .retry(due: now)
        isReloadUntold = true
    }

    private mutating func tellReload() {
        isReloadUntold = false
        // Another node has made deliveries too.
        if seed.chance(50) { queue.reloadFirsts() }
        queue.reloadRetries(at: time)
    }

    private mutating func readForLoad() {
        let limit = Self.limits.held
        if let load = loadOfFirsts, load.loads.found == nil {
            loadOfFirsts?.loads.found = Array(
                rows.indices.filter { $0 > load.last && rows[$0] == .first }.prefix(limit))
        }
        if let load = loadOfRetries, load.found == nil {
            let all = rows.indices.compactMap { index -> EndpointQueue.Retry? in
                guard case .retry(let due) = rows[index] else { return nil }
                return AskedQueue.retry(index, due)
            }
            loadOfRetries?.found = Array(all.sorted { $0.due < $1.due }.prefix(limit))
        }
    }

    private mutating func answerLoads() {
        if let load = loadOfFirsts, let found = load.loads.found {
            loadOfFirsts = nil
            if isFaulty, seed.chance(10) {
                queue.loadOfFirstsFailed()
            } else {
                queue.loaded(firsts: found.map(AskedQueue.id), limit: Self.limits.held)
            }
        }
        if let load = loadOfRetries, let found = load.found {
            loadOfRetries = nil
            if isFaulty, seed.chance(10) {
                queue.loadOfRetriesFailed()
            } else {
                queue.loaded(retries: found, limit: Self.limits.held)
            }
        }
    }

    /// An attempt ends, and the store keeps how.
    private mutating func keepEnd() {
        guard let index = attempts.filter({ $0.value.end == nil }).keys.sorted().randomElement(using: &seed) else {
            return
        }
        if isFaulty, seed.chance(10) {
            // It couldn't be made.
            attempts[index]?.end = (false, rows[index] == .ended ? nil : now)
            return
        }
        let isDelivered = !isFaulty || seed.chance(60)
        let outcome = isDelivered ? AttemptOutcome.delivered(status: 200) : .headTimedOut
        _ = queue.judge(outcome, at: time)
        let next = isDelivered ? nil : now + Int64.random(in: 1...8_000, using: &seed)
        if rows[index] != .ended { rows[index] = next.map { .retry(due: $0) } ?? .ended }
        attempts[index]?.end = (true, next)
    }

    private mutating func tellEnd() {
        guard let index = attempts.filter({ $0.value.end != nil }).keys.sorted().randomElement(using: &seed),
            let attempt = attempts.removeValue(forKey: index), let end = attempt.end
        else { return }
        if !end.wasMade, end.next != nil, attempt.isFirst { lastFirst = index - 1 }
        queue.ended(
            AskedQueue.id(index), wasMade: end.wasMade, next: end.next.map(AskedQueue.time), at: time)
    }

    // MARK: Steps

    private mutating func proceed() throws {
        while let step = queue.next(at: time, hasRoom: true) {
            switch step {
            case .loadFirsts(let last):
                try #require(loadOfFirsts == nil, "\(seed)")
                loadOfFirsts = (Int(last?.sequence ?? -1), Loads())
            case .loadRetries:
                try #require(loadOfRetries == nil, "\(seed)")
                loadOfRetries = Loads()
            case .attempt(let id, let isFirst):
                try attempt(Int(id.sequence), isFirst)
            }
        }
        #expect(queue.running == attempts.count, "\(seed)")
        // One more: that which couldn't be attempted keeps its turn.
        #expect(try count(of: "firsts") <= Self.limits.held + 1, "\(seed)")
        #expect(try count(of: "retries") <= Self.limits.held, "\(seed)")
        try checkNothingWaits()
    }

    /// What the queue has in memory.
    private func count(of name: String) throws -> Int {
        let list = Mirror(reflecting: queue).children.first { $0.label == name }?.value as? any Collection
        return try #require(list, "the queue has no such list").count
    }

    private mutating func attempt(_ index: Int, _ isFirst: Bool) throws {
        try #require(attempts[index] == nil, "\(index) is under way twice: \(seed)")
        try #require(attempts.count < Self.limits.concurrent, "\(seed)")
        attempts[index] = Attempt(isFirst: isFirst)
        if isFirst {
            #expect(attempts.values.count { $0.isFirst } == 1, "\(seed)")
            #expect(index > lastFirst, "\(index) after \(lastFirst): \(seed)")
            #expect(rows[index] == .first || untold.displaced.contains(index), "\(index) for the first time: \(seed)")
            lastFirst = index
        } else if case .retry(let due) = rows[index], due > now {
            attempts[index]?.end = (false, due)
        } else if rows[index] == .ended {
            attempts[index]?.end = (false, nil)
        }
    }

    /// When the queue knows all, whatever is due is under way, or waits for what is.
    private func checkNothingWaits() throws {
        guard untold.made.isEmpty, !isReloadUntold, loadOfFirsts == nil, loadOfRetries == nil else { return }
        guard attempts.isEmpty else { return }
        let dues = rows.compactMap { if case .retry(let due) = $0 { due } else { nil } }
        let hasFirst = rows.contains(.first)
        guard let due = hasFirst ? now : dues.min() else { return }
        let until = max(due, queue.pausedUntil.map { $0.milliseconds - AskedQueue.start.milliseconds } ?? due)
        try #require(until > now, "\(hasFirst ? "a first attempt" : "what is due at \(due)") waits at \(now): \(seed)")
        let alarm = try #require(queue.alarm(at: time), "\(seed)")
        #expect(alarm <= AskedQueue.time(until), "\(seed)")
        if let earliest = dues.min() {
            let next = try #require(queue.nextRetry, "\(seed)")
            // Of those that are due already it doesn't matter which.
            #expect(next <= AskedQueue.time(max(earliest, now)), "\(seed)")
        }
    }

    // MARK: End

    /// From now on the endpoint takes everything: all that is pending gets there.
    mutating func finish() throws {
        isFaulty = false
        for _ in 0..<20_000 where rows.contains(where: { $0 != .ended }) || !attempts.isEmpty {
            if !untold.made.isEmpty { tellNews() }
            if isReloadUntold { tellReload() }
            readForLoad()
            answerLoads()
            keepEnd()
            tellEnd()
            try proceed()
            guard attempts.isEmpty, loadOfFirsts == nil, loadOfRetries == nil else { continue }
            guard let alarm = queue.alarm(at: time) else { continue }
            now = max(now, alarm.milliseconds - AskedQueue.start.milliseconds)
            try proceed()
        }
        #expect(rows.allSatisfy { $0 == .ended } && attempts.isEmpty, "\(seed)")
    }
}
