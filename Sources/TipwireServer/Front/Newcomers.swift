import NIOCore

/// Those who have just come to one event loop, and how many of them it deals with before it sees to all others again.
///
/// When thousands come back at once, a turn of the loop could be as long as all of their handshakes, and a tip waits for two
/// turns. So no more are accepted than the loop deals with in a moment, what they ask for waits in a line when many ask at
/// once, and after each burst of either the loop is everybody else's: for half as long as that took, in which its processor is
/// free for threads that write and sync, and longer, up to `restFactor` times, while there is other work. Who comes alone is never
/// held up.
///
/// Belongs to its event loop.
final class Newcomers {
    /// Accepts, or handshakes, in one go. A loop that sleeps after each few of them pays for it with cold caches.
    static let burst = 16
    /// Handshakes stop there, however few they were: some bring a long answer about what was missed.
    static let burstTime = TimeAmount.milliseconds(1)
    /// Those who were accepted and have asked for nothing yet. Each may ask in the same moment.
    static let maxSilent = 128
    /// After so long whoever still asks for nothing isn't waited for: silence must keep nobody out.
    static let patience = TimeAmount.milliseconds(100)
    /// How much longer than a burst the rest after it may be: what newcomers have missed is read and sent in that time.
    static let restFactor = 3
    /// The longest rest: what kept the loop so long was something else.
    static let longestRest = TimeAmount.milliseconds(20)
    /// The shortest, so that the loop looks at its sockets in between.
    static let turn = TimeAmount.microseconds(100)

    /// Of those who are waited for together.
    struct Ticket {
        fileprivate let generation: Int
    }

    private let eventLoop: any EventLoop
    private let now: () -> NIODeadline
    private var generation = 0
    private var silent = 0
    private var begun = 0
    private var turnBegan = NIODeadline.distantPast
    private var line = CircularBuffer<() -> Void>()
    private var isDraining = false
    /// Called when there is room again after `hasRoom` was false.
    var roomMade: () -> Void = {}

    /// - Parameter now: the time, for tests.
    init(eventLoop: any EventLoop, now: (() -> NIODeadline)? = nil) {
        self.eventLoop = eventLoop
        self.now = now ?? { eventLoop.now }
    }

    /// Whether one more may be accepted.
    var hasRoom: Bool { silent < Self.maxSilent && line.isEmpty }

    // MARK: Accepted

    /// One has been accepted, and will ask for something.
    func accepted() -> Ticket {
        silent += 1
        let ticket = Ticket(generation: generation)
        if silent == Self.maxSilent {
            schedule(in: Self.patience) { newcomers in
                guard newcomers.generation == ticket.generation else { return }
                newcomers.generation += 1
                newcomers.silent = 0
                newcomers.tellOfRoom()
            }
        }
        return ticket
    }

    /// It has asked, or gone.
    func spoke(_ ticket: Ticket) {
        guard ticket.generation == generation else { return }
        silent -= 1
        tellOfRoom()
    }

    private func tellOfRoom() { if hasRoom { roomMade() } }

    // MARK: Handshakes

    /// Calls `body`: at once, or in the order of the line when many have asked in this turn of the loop.
    func take(_ body: @escaping () -> Void) {
        guard line.isEmpty, !isDraining, begun == 0 || hasTime(since: turnBegan, for: begun) else {
            return line.append(body)
        }
        if begun == 0 {
            turnBegan = now()
            // Runs when all that this turn has brought was seen to.
            eventLoop.assumeIsolated().execute { self.endTurn() }
        }
        begun += 1
        body()
    }

    private func hasTime(since began: NIODeadline, for begun: Int) -> Bool {
        begun < Self.burst && now() - began < Self.burstTime
    }

    private func endTurn() {
        begun = 0
        guard !line.isEmpty, !isDraining else { return }
        isDraining = true
        schedule(in: Self.turn) { $0.drain() }
    }

    private func drain() {
        let began = now()
        var begun = 0
        repeat {
            guard let body = line.popFirst() else { break }
            body()
            begun += 1
        } while hasTime(since: began, for: begun)
        rest(since: began) {
            guard self.line.isEmpty else { return self.drain() }
            self.isDraining = false
            self.tellOfRoom()
        }
    }

    // MARK: Rest

    /// Calls `body` when the loop has been everybody else's for long enough after a burst.
    func rest(since began: NIODeadline, then body: @escaping () -> Void) {
        let cost = min(now() - began, Self.longestRest)
        rest(max(.nanoseconds(cost.nanoseconds / 2), Self.turn), until: now() + cost * Self.restFactor, then: body)
    }

    private func rest(_ time: TimeAmount, until end: NIODeadline, then body: @escaping () -> Void) {
        let due = now() + time
        eventLoop.assumeIsolated().scheduleTask(in: time) {
            let now = self.now()
            // Who comes so late to what was due has had something else to do.
            if now - due >= Self.turn, now < end { self.rest(time, until: end, then: body) } else { body() }
        }
    }

    private func schedule(in time: TimeAmount, _ body: @escaping (Newcomers) -> Void) {
        eventLoop.assumeIsolated().scheduleTask(in: time) { body(self) }
    }
}
