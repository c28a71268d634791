import Testing

@testable import TipwireHub

private let limits = Delivery.Limits(lagBytes: 100, stallSeconds: 10)

private func behind(
    _ through: Int64, bytes: Int = 0, isReading: Bool = false, stalledSince: UInt32? = nil
) -> Delivery.State {
    .behind(Delivery.Lag(through: through, bytes: bytes, isReading: isReading, stalledSince: stalledSince))
}

extension Delivery {
    /// Behind after `through`, taking nothing since second 5, with `bytes` not taken.
    fileprivate static func stalled(after through: Int64 = 10, bytes: Int = 40) -> Delivery {
        var delivery = Delivery(liveAfter: through)
        _ = delivery.offer(
            first: through + 1, last: through + 1, bytes: bytes, isWritable: false, now: 5, limits: limits)
        return delivery
    }

    fileprivate mutating func offer(_ first: Int64, _ last: Int64, bytes: Int = 10, isWritable: Bool = true)
        -> OfferAction
    {
        offer(first: first, last: last, bytes: bytes, isWritable: isWritable, now: 7, limits: limits)
    }
}

@Suite("Delivery")
struct DeliveryTests {
    struct Offer: Sendable {
        let first: Int64
        let last: Int64
        var bytes = 10
        var isWritable = true
        let action: Delivery.OfferAction
        let state: Delivery.State
    }

    @Test(
        "A live listener is written what is new to it, and falls behind when it takes nothing",
        arguments: [
            Offer(first: 11, last: 11, action: .writeAll, state: .live(through: 11)),
            Offer(first: 15, last: 20, action: .writeAll, state: .live(through: 20)),
            // A catch-up has read ahead of the live batches.
            Offer(first: 10, last: 12, action: .write(above: 10), state: .live(through: 12)),
            Offer(first: 1, last: 12, action: .write(above: 10), state: .live(through: 12)),
            Offer(first: 9, last: 10, action: .hold, state: .live(through: 10)),
            Offer(first: 9, last: 10, isWritable: false, action: .hold, state: .live(through: 10)),
            // What lies before the batch was of other audiences: the log is read from there.
            Offer(first: 15, last: 20, isWritable: false, action: .hold, state: behind(14, bytes: 10, stalledSince: 7)),
            Offer(first: 8, last: 20, isWritable: false, action: .hold, state: behind(10, bytes: 10, stalledSince: 7)),
            Offer(
                first: 11, last: 20, bytes: 100, isWritable: false, action: .hold,
                state: behind(10, bytes: 100, stalledSince: 7)),
            Offer(first: 11, last: 20, bytes: 101, isWritable: false, action: .cut(.lagBytes), state: .ended),
            // A batch of any size is written to who takes it.
            Offer(first: 11, last: 20, bytes: 1_000, action: .writeAll, state: .live(through: 20)),
        ])
    func offerToLive(row: Offer) {
        var delivery = Delivery(liveAfter: 10)
        #expect(delivery.offer(row.first, row.last, bytes: row.bytes, isWritable: row.isWritable) == row.action)
        #expect(delivery.state == row.state)
    }

    @Test("A listener that is behind is written nothing live, writable or not, and is cut past its limit of bytes")
    func offerToBehind() {
        for isWritable in [true, false] {
            var delivery = Delivery.stalled(bytes: 40)
            #expect(delivery.offer(12, 12, bytes: 60, isWritable: isWritable) == .hold)
            #expect(delivery.state == behind(10, bytes: 100, stalledSince: 5))
            #expect(delivery.offer(13, 13, bytes: 1, isWritable: isWritable) == .cut(.lagBytes))
            #expect(delivery.state == .ended)
        }
    }

    @Test("Once it takes bytes again it reads the log, one stretch at a time")
    func writableAgain() {
        var delivery = Delivery.stalled()
        #expect(delivery.becameWritable() == .read(after: 10))
        #expect(delivery.state == behind(10, bytes: 40, isReading: true))
        #expect(delivery.becameWritable() == .none)
        #expect(delivery.state == behind(10, bytes: 40, isReading: true))
    }

    @Test("A live listener that becomes writable has nothing to read")
    func writableWhileLive() {
        var delivery = Delivery(liveAfter: 10)
        #expect(delivery.becameWritable() == .none)
        #expect(delivery.state == .live(through: 10))
    }

    @Test(
        "A stretch that reaches the shard's position splices the listener in; a shorter one is followed by the next",
        arguments: [
            (20, 20, true, Delivery.NextRead.none, Delivery.State.live(through: 20)),
            // Read ahead of the live batches.
            (25, 20, true, .none, .live(through: 25)),
            // Whether it takes bytes is seen at the next offer.
            (20, 20, false, .none, .live(through: 20)),
            (19, 20, true, .read(after: 19), behind(19, bytes: 10, isReading: true)),
            (19, 20, false, .none, behind(19, bytes: 10, stalledSince: 9)),
            // A position in a log that is shorter than it.
            (3, 20, true, .read(after: 10), behind(10, bytes: 10, isReading: true)),
        ])
    func stretch(
        through: Int64, position: Int64, isWritable: Bool, next: Delivery.NextRead, state: Delivery.State
    ) {
        var delivery = Delivery.stalled(bytes: 40)
        _ = delivery.becameWritable()
        let answer = delivery.caughtUp(
            through: through, bytes: 30, position: position, isWritable: isWritable, now: 9)
        #expect(answer == next)
        #expect(delivery.state == state)
    }

    @Test("What was caught up counts no longer, and never below nothing")
    func lagBytes() {
        var delivery = Delivery.stalled(bytes: 40)
        _ = delivery.becameWritable()
        _ = delivery.caughtUp(through: 12, bytes: 1_000, position: 20, isWritable: false, now: 9)
        #expect(delivery.state == behind(12, bytes: 0, stalledSince: 9))
        #expect(delivery.offer(21, 21, bytes: 100) == .hold)
        #expect(delivery.offer(22, 22, bytes: 1) == .cut(.lagBytes))
    }

    @Test("What comes while it waits for our own reader is not held against it")
    func waitingForReader() {
        var delivery = Delivery(readingAfter: 5)
        #expect(delivery.offer(11, 20, bytes: 1_000) == .hold)
        #expect(delivery.offer(21, 30, bytes: 1_000, isWritable: false) == .hold)
        #expect(delivery.state == behind(5, isReading: true))
        delivery.readWasted(now: 8)
        #expect(delivery.offer(31, 40, bytes: 1_000, isWritable: false) == .cut(.lagBytes))
    }

    @Test("After a splice that read ahead, each event above it is written and none below")
    func overlap() {
        var delivery = Delivery(readingAfter: 5)
        _ = delivery.caughtUp(through: 12, bytes: 30, position: 9, isWritable: true, now: 9)
        #expect(delivery.offer(10, 10) == .hold)
        #expect(delivery.offer(11, 14) == .write(above: 12))
        #expect(delivery.offer(15, 15) == .writeAll)
    }

    @Test("A resuming listener begins reading, and goes on after the place that was judged right")
    func begin() {
        var delivery = Delivery(readingAfter: 3)
        #expect(delivery.state == behind(3, isReading: true))
        delivery.begin(at: 8)
        #expect(delivery.state == behind(8, isReading: true))
        #expect(
            delivery.caughtUp(through: 8, bytes: 0, position: 9, isWritable: true, now: 1) == .read(after: 8))
    }

    @Test("Retention cuts who has lost something, and nobody else")
    func retention() {
        var same = Delivery.stalled(after: 10)
        #expect(same.lost(toRetention: 10) == nil)
        #expect(same.state == behind(10, bytes: 40, stalledSince: 5))
        var lost = Delivery.stalled(after: 10)
        #expect(lost.lost(toRetention: 11) == .retention)
        #expect(lost.state == .ended)
        var live = Delivery(liveAfter: 10)
        #expect(live.lost(toRetention: 11) == nil)
        #expect(live.state == .live(through: 10))
    }

    @Test("A read that failed is made again by the next tick, or as soon as bytes are taken")
    func failedRead() {
        var delivery = Delivery(readingAfter: 5)
        #expect(delivery.tick(now: 1, isWritable: true, limits: limits) == .none)
        delivery.readFailed()
        #expect(delivery.state == behind(5))
        #expect(delivery.tick(now: 1, isWritable: false, limits: limits) == .none)
        #expect(delivery.tick(now: 2, isWritable: true, limits: limits) == .read(after: 5))
        #expect(delivery.tick(now: 3, isWritable: true, limits: limits) == .none)
        delivery.readFailed()
        #expect(delivery.becameWritable() == .read(after: 5))
    }

    @Test("A stretch that came to a full connection is read again when there is room, and the seconds run meanwhile")
    func wastedRead() {
        var delivery = Delivery.stalled()
        _ = delivery.becameWritable()
        delivery.readWasted(now: 8)
        #expect(delivery.state == behind(10, bytes: 40, stalledSince: 8))
        #expect(delivery.tick(now: 17, isWritable: false, limits: limits) == .none)
        var patient = delivery
        #expect(patient.becameWritable() == .read(after: 10))
        #expect(delivery.tick(now: 18, isWritable: false, limits: limits) == .cut(.stalled))
    }

    @Test("Who takes nothing for the limit's seconds is cut, and not a second before")
    func stall() {
        var delivery = Delivery.stalled()
        #expect(delivery.tick(now: 14, isWritable: false, limits: limits) == .none)
        #expect(delivery.tick(now: 15, isWritable: false, limits: limits) == .cut(.stalled))
        #expect(delivery.state == .ended)
    }

    @Test("Any progress begins the count of seconds anew")
    func progress() {
        var delivery = Delivery.stalled()
        _ = delivery.becameWritable()
        #expect(delivery.tick(now: 100, isWritable: true, limits: limits) == .none)
        _ = delivery.caughtUp(through: 11, bytes: 10, position: 20, isWritable: false, now: 101)
        #expect(delivery.tick(now: 110, isWritable: false, limits: limits) == .none)
        #expect(delivery.tick(now: 111, isWritable: false, limits: limits) == .cut(.stalled))
    }

    @Test("Who takes nothing is cut in time even when its read of the log has failed")
    func stallAfterFailedRead() {
        var delivery = Delivery(readingAfter: 5)
        delivery.readFailed()
        #expect(delivery.tick(now: 20, isWritable: false, limits: limits) == .none)
        #expect(delivery.tick(now: 30, isWritable: false, limits: limits) == .cut(.stalled))
    }

    @Test("A live listener is never stalled: nothing waits for it")
    func liveTick() {
        var delivery = Delivery(liveAfter: 10)
        #expect(delivery.tick(now: 1_000, isWritable: false, limits: limits) == .none)
        #expect(delivery.state == .live(through: 10))
    }

    @Test("Nothing happens to a listener that has ended")
    func ended() {
        var delivery = Delivery.stalled()
        delivery.end()
        #expect(delivery.offer(11, 11) == .hold)
        #expect(delivery.offer(11, 11, bytes: 1_000, isWritable: false) == .hold)
        #expect(delivery.becameWritable() == .none)
        #expect(delivery.caughtUp(through: 20, bytes: 1, position: 20, isWritable: true, now: 1) == .none)
        #expect(delivery.tick(now: 1_000, isWritable: true, limits: limits) == .none)
        #expect(delivery.lost(toRetention: 1_000) == nil)
        delivery.begin(at: 3)
        delivery.readFailed()
        delivery.readWasted(now: 1)
        #expect(delivery.state == .ended)
    }
}
