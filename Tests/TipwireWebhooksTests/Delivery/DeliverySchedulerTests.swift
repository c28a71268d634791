import Testing
import TipwireCore
import TipwireStore

@testable import TipwireWebhooks

@Suite("Attempts over all endpoints", .timeLimit(.minutes(1)))
struct DeliverySchedulerTests {
    /// A scheduler, and the work that it gives out.
    private final class Bench {
        let clock = DeliveryClockDouble()
        let scheduler: DeliveryScheduler
        private var steps: AsyncStream<DeliveryScheduler.Work>.Iterator

        init(attempts: Int = 4, held: Int = 64) {
            var limits = DeliveryScheduler.Limits()
            limits.attempts = attempts
            limits.endpoint.held = held
            scheduler = DeliveryScheduler(limits: limits, clock: clock)
            steps = scheduler.begin().steps.makeAsyncIterator()
        }

        /// Another term.
        func begin() { steps = scheduler.begin().steps.makeAsyncIterator() }

        func add(_ webhooks: Int..., firsts: Int = 0) {
            for webhook in webhooks {
                scheduler.add(
                    WebhookNumber(rawValue: Int64(webhook)), backlog: WebhookBacklog(pending: firsts, firsts: firsts))
            }
        }

        func offer(_ webhook: Int, _ sequences: ClosedRange<Int>) {
            scheduler.offer(sequences.map { Bench.id(webhook, $0) })
        }

        func end(_ webhook: Int, _ sequence: Int) {
            scheduler.ended(Bench.id(webhook, sequence), wasMade: true, next: nil)
        }

        func work() async throws -> DeliveryScheduler.Work { try #require(await steps.next()) }

        /// The next pieces of work, as texts.
        func next(_ count: Int) async throws -> [String] {
            var texts: [String] = []
            while texts.count < count {
                let work = try await work()
                switch work.step {
                case .attempt(let id, _): texts.append("\(id.webhook.rawValue)/\(id.sequence)")
                case .loadFirsts: texts.append("\(work.webhook.rawValue) firsts")
                case .loadRetries: texts.append("\(work.webhook.rawValue) retries")
                }
            }
            return texts
        }

        /// All that there is, of a scheduler that has stopped.
        func rest() async -> Int {
            var count = 0
            while await steps.next() != nil { count += 1 }
            return count
        }

        static func id(_ webhook: Int, _ sequence: Int) -> DeliveryID {
            DeliveryID(webhook: WebhookNumber(rawValue: Int64(webhook)), sequence: Int64(sequence))
        }
    }

    @Test("Endpoints that find no room wait in a line, each for one turn at a time")
    func fairness() async throws {
        let bench = Bench(attempts: 2)
        bench.add(1, 2, 3, 4)
        for webhook in 1...4 { bench.offer(webhook, 1...3) }
        #expect(try await bench.next(2) == ["1/1", "2/1"] && bench.scheduler.running == 2)
        bench.end(1, 1)
        #expect(try await bench.next(1) == ["3/1"], "who has waited comes before who has just been served")
        bench.end(2, 1)
        #expect(try await bench.next(1) == ["4/1"])
        bench.end(3, 1)
        #expect(try await bench.next(1) == ["1/2"])
        bench.end(4, 1)
        #expect(try await bench.next(1) == ["2/2"])
        bench.end(1, 2)
        bench.end(2, 2)
        #expect(try await bench.next(2) == ["3/2", "4/2"])
        #expect(bench.scheduler.running == 2)
    }

    @Test("One that hangs holds a place, and the others have the rest")
    func hanging() async throws {
        let bench = Bench(attempts: 2)
        bench.add(1, 2, 3)
        bench.offer(1, 1...50)
        bench.offer(2, 1...50)
        bench.offer(3, 1...50)
        #expect(try await bench.next(2) == ["1/1", "2/1"])
        // 1 is never heard of again.
        for sequence in 1...50 {
            bench.end(2, sequence)
            #expect(try await bench.next(1) == ["3/\(sequence)"])
            bench.end(3, sequence)
            if sequence < 50 { #expect(try await bench.next(1) == ["2/\(sequence + 1)"]) }
        }
        #expect(bench.scheduler.running == 1)
    }

    @Test("What is removed gives its places to others when its attempts end, which change nothing more")
    func removal() async throws {
        let bench = Bench(attempts: 1)
        bench.add(1, 2)
        bench.offer(1, 1...2)
        bench.offer(2, 1...2)
        #expect(try await bench.next(1) == ["1/1"])
        _ = bench.scheduler.remove(WebhookNumber(rawValue: 1))
        #expect(bench.scheduler.running == 1, "it still has its socket")
        bench.end(1, 1)
        #expect(try await bench.next(1) == ["2/1"])
        #expect(bench.scheduler.running == 1)
        bench.offer(1, 3...4)
        bench.end(2, 1)
        #expect(try await bench.next(1) == ["2/2"])
        #expect(bench.scheduler.reading(of: WebhookNumber(rawValue: 1)) == nil)
        let id = Bench.id(1, 5)
        #expect(bench.scheduler.judge(.headTimedOut, of: id.webhook) == nil && bench.scheduler.displace([id]) == [])
        bench.end(2, 2)
        #expect(bench.scheduler.running == 0)
    }

    @Test("A load for what was removed meanwhile tells nothing to what was added after it")
    func lives() async throws {
        let bench = Bench()
        let webhook = WebhookNumber(rawValue: 1)
        bench.add(1, firsts: 3)
        let old = try await bench.work()
        _ = bench.scheduler.remove(webhook)
        bench.add(1, firsts: 3)
        let new = try await bench.work()
        // The first one read what was behind the attempts of then.
        bench.scheduler.loaded(firsts: [Bench.id(1, 2), Bench.id(1, 3)], limit: 64, by: old)
        bench.scheduler.loadFailed(by: old)
        #expect(bench.scheduler.running == 0)
        bench.scheduler.loaded(firsts: [1, 2, 3].map { Bench.id(1, $0) }, limit: 64, by: new)
        #expect(try await bench.next(1) == ["1/1"])
        bench.end(1, 1)
        #expect(try await bench.next(1) == ["1/2"])
    }

    @Test("What is due is begun by the clock, and nothing else is looked at")
    func ticks() async throws {
        let bench = Bench()
        bench.add(1, 2)
        #expect(bench.scheduler.tick(at: bench.clock.now()) == nil)
        let now = bench.clock.now()
        for (webhook, wait) in [(1, 5_000), (2, 9_000)] as [(Int, Int64)] {
            bench.offer(webhook, 1...1)
            _ = try await bench.next(1)
            _ = bench.scheduler.judge(.headTimedOut, of: WebhookNumber(rawValue: Int64(webhook)))
            bench.scheduler.ended(
                Bench.id(webhook, 1), wasMade: true, next: now.advanced(milliseconds: wait))
        }
        #expect(bench.scheduler.tick(at: bench.clock.now()) == now.advanced(milliseconds: 5_000))
        bench.clock.advance(milliseconds: 5_000)
        #expect(bench.scheduler.tick(at: bench.clock.now()) == now.advanced(milliseconds: 9_000))
        #expect(try await bench.next(1) == ["1/1"])
        let reading = bench.scheduler.reading(of: WebhookNumber(rawValue: 2))
        #expect(reading?.nextRetry == now.advanced(milliseconds: 9_000) && reading?.health.failingSince == now)
        var alarms = bench.scheduler.alarms.makeAsyncIterator()
        #expect(await alarms.next() != nil, "somebody is told that there is an alarm")
    }

    @Test("At rest it has no endpoints and gives nothing out; in the next term an endpoint waits for what is under way")
    func terms() async throws {
        let bench = Bench()
        bench.add(1, 2)
        bench.offer(1, 1...2)
        #expect(try await bench.next(1) == ["1/1"])
        bench.scheduler.rest(grace: 7)
        #expect(!bench.scheduler.isSending && bench.scheduler.running == 1)
        bench.add(1, firsts: 2)
        bench.offer(2, 1...1)
        #expect(bench.scheduler.reading(of: WebhookNumber(rawValue: 1)) == nil)
        #expect(await bench.rest() == 0)
        var terms = bench.scheduler.terms.makeAsyncIterator()
        var end = try #require(await terms.next()).end.makeAsyncIterator()
        #expect(await end.next() == 7)
        #expect(await end.next() == nil)

        bench.begin()
        bench.add(1, firsts: 1)
        bench.offer(2, 1...1)
        bench.add(2)
        bench.offer(2, 2...2)
        #expect(try await bench.next(1) == ["2/2"])
        bench.end(1, 1)
        #expect(try await bench.next(1) == ["1 firsts"])
    }

    @Test("After a stop nothing begins, and what was given out is all that comes")
    func stop() async {
        let bench = Bench()
        bench.add(1, 2)
        bench.offer(1, 1...3)
        bench.scheduler.stop()
        bench.offer(2, 1...3)
        bench.end(1, 1)
        #expect(await bench.rest() == 1)
        var alarms = bench.scheduler.alarms.makeAsyncIterator()
        #expect(await alarms.next() == nil)
    }
}
