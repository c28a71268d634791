import Testing
import TipwireCore
import TipwireStore

@testable import TipwireWebhooks

@Suite("What is next for one endpoint")
struct EndpointQueueTests {
    // MARK: Order

    @Test("First attempts are one at a time, in their order, whatever became of the one before")
    func order() {
        let queue = AskedQueue()
        queue.offer(1, 2, 3)
        #expect(queue.steps() == ["first 1"] && queue.steps() == [])
        queue.end(1)
        #expect(queue.steps() == ["first 2"])
        queue.end(2, .headTimedOut, next: 5_000)
        #expect(queue.steps() == ["first 3"])
        #expect(queue.value.running == 1)
        queue.end(3)
        #expect(queue.steps() == [] && queue.value.running == 0)
    }

    @Test("What is due again goes beside a first attempt, the earliest first, up to the limit")
    func beside() {
        let queue = AskedQueue()
        for (sequence, due) in [(1, 300), (2, 100), (3, 200), (4, 900)] as [(Int, Int64)] {
            queue.offer(AskedQueue.retry(sequence, due))
        }
        #expect(queue.steps() == [])
        queue.now = 300
        #expect(queue.steps() == ["retry 2", "retry 3"], "one place is for a first attempt")
        queue.offer(9)
        #expect(queue.steps() == ["first 9"])
        queue.end(2)
        #expect(queue.steps() == ["retry 1"])
        queue.end(9)
        queue.end(1)
        queue.end(3)
        #expect(queue.steps() == [])
        queue.now = 900
        #expect(queue.steps() == ["retry 4"])
    }

    @Test("An endpoint that has just failed gets one retry at a time, and all again after a success")
    func failing() {
        let queue = AskedQueue(held: 8, concurrent: 5)
        queue.offer(1)
        #expect(queue.steps() == ["first 1"])
        queue.end(1, .headTimedOut, next: 9_000)
        for sequence in 2...5 { queue.offer(AskedQueue.retry(sequence, 0)) }
        #expect(queue.steps() == ["retry 2"])
        queue.end(2)
        #expect(queue.steps() == ["retry 3", "retry 4", "retry 5"])
    }

    @Test("Without room nothing begins, and it says so only while there is something to begin")
    func room() {
        let queue = AskedQueue()
        #expect(!queue.wantsRoom())
        queue.offer(1)
        #expect(queue.steps(hasRoom: false) == [] && queue.wantsRoom())
        #expect(queue.steps() == ["first 1"] && !queue.wantsRoom())
        queue.offer(AskedQueue.retry(2, 10))
        #expect(!queue.wantsRoom(), "not due yet")
        queue.now = 10
        #expect(queue.wantsRoom())
    }

    @Test("An attempt that couldn't be made keeps its turn")
    func turn() {
        let queue = AskedQueue()
        queue.offer(1, 2)
        #expect(queue.steps() == ["first 1"])
        queue.giveUp(1, next: 1_000)
        #expect(queue.steps() == ["first 1"])
        queue.giveUp(1)
        #expect(queue.steps() == ["first 2"], "and one that isn't to be made has none")
    }

    // MARK: Breaker

    @Test("After five failures nothing goes out until the pause is over, and then one attempt alone")
    func breaker() {
        let queue = AskedQueue()
        queue.offer(1, 2, 3)
        for sequence in 11...13 { queue.offer(AskedQueue.retry(sequence, 0)) }
        #expect(queue.steps() == ["first 1", "retry 11", "retry 12"])
        for sequence in [1, 11] { queue.end(sequence, .headTimedOut, next: 60_000) }
        #expect(queue.steps() == ["first 2"], "one retry is under way, and an endpoint that fails gets no second")
        for sequence in [2, 12] { queue.end(sequence, .headTimedOut, next: 60_000) }
        #expect(queue.steps() == ["first 3", "retry 13"] && !queue.value.isPaused)
        for sequence in [3, 13] { queue.end(sequence, .headTimedOut, next: 60_000) }
        queue.offer(4)
        #expect(queue.steps() == [] && queue.value.isPaused && queue.value.pausedUntil == AskedQueue.time(5_000))
        #expect(queue.alarm == 5_000 && !queue.wantsRoom())
        queue.now = 5_000
        #expect(queue.steps() == ["first 4"])
        #expect(queue.alarm == nil, "the end of the probe is what it waits for")
        queue.offer(5)
        #expect(queue.steps() == [])
        queue.end(4, .headTimedOut, next: 90_000)
        #expect(queue.alarm == 15_000)
        queue.now = 15_000
        #expect(queue.steps() == ["first 5"])
        queue.end(5)
        #expect(!queue.value.isPaused && queue.alarm == 60_000)
    }

    @Test("A probe that couldn't be made lets another be")
    func probe() {
        let queue = AskedQueue()
        for sequence in 1...5 {
            queue.offer(sequence)
            #expect(queue.steps() == ["first \(sequence)"])
            queue.end(sequence, .headTimedOut)
        }
        queue.offer(6, 7)
        queue.now = 5_000
        #expect(queue.steps() == ["first 6"])
        queue.giveUp(6)
        #expect(queue.steps() == ["first 7"])
    }

    @Test("What an attempt showed is to be kept when it is news")
    func standing() {
        let queue = AskedQueue()
        #expect(queue.value.judge(.delivered(status: 200), at: AskedQueue.time(0)) == nil)
        #expect(
            queue.value.judge(.headTimedOut, at: AskedQueue.time(1))
                == EndpointStanding(failingSince: AskedQueue.time(1)))
        #expect(queue.value.judge(.headTimedOut, at: AskedQueue.time(2)) == nil)
        let gone = queue.value.judge(.rejected(status: 410, retryAfter: nil), at: AskedQueue.time(3))
        #expect(gone == EndpointStanding(failingSince: AskedQueue.time(1), disabled: .gone))
        for time in Int64(4)...5 { #expect(queue.value.judge(.headTimedOut, at: AskedQueue.time(time)) == nil) }
        let late = AskedQueue.time(1 + EndpointHealth.patience)
        #expect(
            queue.value.judge(.headTimedOut, at: late)
                == EndpointStanding(failingSince: AskedQueue.time(1), disabled: .hopeless))
        #expect(queue.value.judge(.delivered(status: 200), at: late) == EndpointStanding(failingSince: nil))
    }
}
