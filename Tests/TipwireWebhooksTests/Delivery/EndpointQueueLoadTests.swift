import Testing
import TipwireCore
import TipwireStore

@testable import TipwireWebhooks

@Suite("What one endpoint's queue leaves to the store, and fetches again")
struct EndpointQueueLoadTests {
    typealias Queue = AskedQueue

    // MARK: First attempts

    @Test("It holds as many first attempts as it may, and asks for those behind when they are used up")
    func bounded() {
        let queue = Queue(held: 2)
        for sequence in 1...100 { queue.offer(sequence) }
        #expect(queue.steps() == ["first 1"])
        queue.end(1)
        #expect(queue.steps() == ["first 2", "firsts after 2"])
        queue.end(2)
        #expect(queue.steps() == [])
        queue.value.loaded(firsts: Queue.ids(3, 4), limit: 2)
        #expect(queue.steps() == ["first 3"])
        queue.end(3)
        #expect(queue.steps() == ["first 4", "firsts after 4"])
        queue.end(4)
        queue.value.loaded(firsts: Queue.ids(5), limit: 2)
        #expect(queue.steps() == ["first 5"])
        queue.end(5)
        #expect(queue.steps() == [], "a load that came back short was the end")
    }

    @Test("With nothing in the store it asks for nothing, and with a backlog for both kinds at once")
    func beginning() {
        #expect(Queue().steps() == [])
        #expect(Queue(firsts: 3).steps() == ["firsts after 0"])
        #expect(Queue(retry: 500).steps() == ["retries"])
        #expect(Queue(firsts: 1, retry: 500).steps() == ["firsts after 0", "retries"])
    }

    @Test("A delivery that is made during a load is attempted once, whether the load has seen it or not")
    func newsDuringLoad() {
        for isSeen in [false, true] {
            let queue = Queue(firsts: 1)
            #expect(queue.steps() == ["firsts after 0"])
            queue.offer(2)
            queue.value.loaded(firsts: isSeen ? Queue.ids(1, 2) : Queue.ids(1), limit: 4)
            #expect(queue.steps() == (isSeen ? ["first 1"] : ["first 1", "firsts after 1"]))
            queue.end(1)
            if !isSeen { queue.value.loaded(firsts: Queue.ids(2), limit: 4) }
            #expect(queue.steps() == (isSeen ? ["first 2", "firsts after 2"] : ["first 2"]))
            if isSeen { queue.value.loaded(firsts: [], limit: 4) }
            queue.offer(2)
            queue.end(2)
            #expect(queue.steps() == [], "news that are older than the load bring nothing back")
            queue.offer(3)
            #expect(queue.steps() == ["first 3"])
        }
    }

    @Test("A load that failed is made again, and another that is under way isn't disturbed")
    func failure() {
        let queue = Queue(firsts: 1, retry: 0)
        #expect(queue.steps() == ["firsts after 0", "retries"])
        queue.value.loadOfFirstsFailed()
        #expect(queue.steps() == ["firsts after 0"])
        queue.value.loadOfRetriesFailed()
        #expect(queue.steps() == ["retries"])
        queue.value.loaded(firsts: Queue.ids(1), limit: 4)
        queue.value.loaded(retries: [Queue.retry(9, 0)], limit: 4)
        #expect(queue.steps() == ["first 1", "retry 9"])
    }

    // MARK: Retries

    @Test("It holds the retries that are due first, and asks for the others when these are used up")
    func earliest() {
        let queue = Queue(held: 2)
        for (sequence, due) in [(1, 400), (2, 300), (3, 200), (4, 100)] as [(Int, Int64)] {
            queue.offer(Queue.retry(sequence, due))
        }
        #expect(queue.alarm == 100 && queue.value.nextRetry == Queue.time(100))
        queue.now = 250
        #expect(queue.steps() == ["retry 4", "retry 3", "retries"])
        #expect(queue.value.nextRetry == Queue.time(300), "what it doesn't hold is known by its time")
        queue.value.loaded(retries: [Queue.retry(4, 100), Queue.retry(3, 200)], limit: 2)
        #expect(queue.steps() == ["retries"], "those that are under way count for nothing")
        queue.end(4)
        queue.end(3)
        queue.value.loaded(retries: [Queue.retry(2, 300), Queue.retry(1, 400)], limit: 2)
        #expect(queue.steps() == [] && queue.alarm == 300)
    }

    @Test("One that fails during a load, and is due before what is loaded, isn't overslept")
    func failureDuringLoad() {
        let queue = Queue(retry: 3_600_000)
        #expect(queue.steps() == ["retries"])
        queue.offer(1)
        #expect(queue.steps() == ["first 1"])
        queue.end(1, .headTimedOut, next: 5_000)
        queue.value.loaded(retries: [Queue.retry(2, 3_600_000)], limit: 4)
        #expect(queue.steps() == [] && queue.alarm == 5_000)
        queue.now = 5_000
        #expect(queue.steps() == ["retry 1"])
        queue.end(1)
        #expect(queue.alarm == 3_600_000)
    }

    @Test("One that is due after all that the store had before a load isn't forgotten by it")
    func lateDuringLoad() {
        let queue = Queue(retry: 0)
        #expect(queue.steps() == ["retries"])
        queue.offer(Queue.retry(1, 5_000))
        queue.value.loaded(retries: [Queue.retry(2, 0), Queue.retry(3, 9_000)], limit: 4)
        #expect(queue.steps() == ["retry 2", "retries"], "3 is behind 1, which it doesn't have")
        queue.value.loaded(retries: [Queue.retry(1, 5_000), Queue.retry(3, 9_000)], limit: 4)
        queue.end(2)
        #expect(queue.steps() == [] && queue.alarm == 5_000)
        queue.now = 9_000
        #expect(queue.steps() == ["retry 1", "retry 3"])
    }

    @Test("A first attempt whose failure a load has seen before the queue was told comes back once")
    func failureSeenEarly() {
        let queue = Queue(firsts: 1, retry: 0)
        #expect(queue.steps() == ["firsts after 0", "retries"])
        queue.value.loaded(firsts: Queue.ids(1), limit: 4)
        #expect(queue.steps() == ["first 1"])
        queue.value.loaded(retries: [Queue.retry(1, 5_000)], limit: 4)
        queue.now = 5_000
        #expect(queue.steps() == [], "it is under way")
        queue.end(1, .headTimedOut, next: 5_000)
        #expect(queue.steps() == ["retry 1"])
        queue.end(1)
        #expect(queue.steps() == [] && queue.value.running == 0)
    }

    @Test("One that is under way isn't held a second time, and afterwards has its new time")
    func underWay() {
        let queue = Queue(retry: 0)
        #expect(queue.steps() == ["retries"])
        queue.value.loaded(retries: [Queue.retry(1, 0)], limit: 1)
        #expect(queue.steps() == ["retry 1", "retries"])
        queue.end(1, .headTimedOut, next: 0)
        #expect(queue.steps() == ["retry 1"])
        queue.value.loaded(retries: [Queue.retry(1, 0)], limit: 4)
        queue.end(1, .headTimedOut, next: 300_000)
        #expect(queue.steps() == [] && queue.alarm == 300_000)
    }

    @Test("What is put back by hand is fetched, a load that is under way or not")
    func byHand() {
        let queue = Queue()
        queue.offer(Queue.retry(1, 86_400_000))
        queue.now = 10
        #expect(queue.steps() == [])
        queue.value.reloadRetries(at: Queue.time(10))
        #expect(queue.steps() == ["retries"])
        // Before the load has answered more are put back, which it may not have seen.
        queue.value.reloadRetries(at: Queue.time(10))
        queue.value.loaded(retries: [Queue.retry(1, 86_400_000)], limit: 4)
        #expect(queue.steps() == ["retries"])
        queue.value.loaded(retries: [Queue.retry(2, 10), Queue.retry(3, 10), Queue.retry(1, 86_400_000)], limit: 4)
        #expect(queue.steps() == ["retry 2", "retry 3"] && queue.value.nextRetry == Queue.time(86_400_000))
    }

    @Test("One that was under way when others were put back, and fails, isn't overslept for what is held")
    func byHandAmidAttempt() {
        let queue = Queue(retry: 0)
        #expect(queue.steps() == ["retries"])
        queue.value.loaded(retries: [Queue.retry(1, 0)], limit: 4)
        #expect(queue.steps() == ["retry 1"])
        queue.value.reloadRetries(at: Queue.time(0))
        #expect(queue.steps() == ["retries"])
        queue.value.loaded(retries: [Queue.retry(1, 0), Queue.retry(2, 9_000)], limit: 4)
        queue.end(1, .headTimedOut, next: 5_000)
        #expect(queue.steps() == ["retries"])
        queue.value.loaded(retries: [Queue.retry(1, 5_000), Queue.retry(2, 9_000)], limit: 4)
        #expect(queue.steps() == [] && queue.alarm == 5_000)
    }

    // MARK: Displacement

    @Test("What had to make room is attempted no more, and what is under way is told")
    func displacement() {
        let queue = Queue()
        queue.offer(2, 3, 4, 5)
        queue.offer(Queue.retry(1, 0))
        #expect(queue.steps() == ["first 2", "retry 1"])
        #expect(queue.value.displace(Set(Queue.ids(1, 2, 3))) == Set(Queue.ids(1, 2)))
        queue.end(2)
        queue.end(1)
        #expect(queue.steps() == ["first 4"])
    }

    @Test("A load from before doesn't bring back what had to make room")
    func displacementDuringLoad() {
        let queue = Queue(firsts: 3)
        #expect(queue.steps() == ["firsts after 0"])
        #expect(queue.value.displace(Set(Queue.ids(1, 2))) == [])
        queue.value.loaded(firsts: Queue.ids(1, 2, 3), limit: 4)
        #expect(queue.steps() == ["first 3"])
    }

    @Test("What others made ahead of what is held comes before it, and what is under way or over not once more")
    func firstsOfOthers() {
        let queue = Queue()
        queue.offer(3, 5)
        #expect(queue.steps() == ["first 3"])
        queue.value.reloadFirsts()
        #expect(queue.steps() == ["firsts after 0"])
        queue.end(3)
        queue.value.loaded(firsts: Queue.ids(2, 3, 4, 5), limit: 9)
        for sequence in [2, 4, 5] {
            #expect(queue.steps() == ["first \(sequence)"])
            queue.end(sequence)
        }
        #expect(queue.steps() == [])
    }

    @Test("A load that began before others made some is made once more")
    func staleLoadOfFirsts() {
        let queue = Queue(firsts: 1)
        #expect(queue.steps() == ["firsts after 0"])
        queue.value.reloadFirsts()
        queue.value.loaded(firsts: Queue.ids(5), limit: 9)
        #expect(queue.steps() == ["firsts after 0"])
        queue.value.loaded(firsts: Queue.ids(2, 5), limit: 9)
        #expect(queue.steps() == ["first 2"])
    }

    // MARK: Alarms

    @Test("It wants to be asked again when the next is due, and not for what only news can change")
    func alarms() {
        let queue = Queue()
        #expect(queue.alarm == nil)
        queue.offer(Queue.retry(1, 700))
        queue.offer(Queue.retry(2, 300))
        #expect(queue.alarm == 300)
        queue.now = 300
        #expect(queue.alarm == nil, "due, and waiting for room")
        #expect(queue.steps() == ["retry 2"])
        #expect(queue.alarm == 700)
        queue.end(2, .headTimedOut, next: 900)
        #expect(queue.alarm == 700)
        queue.now = 700
        #expect(queue.steps() == ["retry 1"])
        #expect(queue.alarm == nil, "the endpoint failed, and its one place is taken")
        queue.end(1)
        #expect(queue.alarm == 900)
    }

    @Test("What nobody told of is found when the store is asked again")
    func refresh() {
        let queue = Queue(held: 2)
        #expect(queue.steps() == [] && queue.value.nextRetry == nil)
        queue.value.refresh(at: Queue.time(queue.now))
        #expect(queue.steps() == ["firsts after 0", "retries"])
    }
}
