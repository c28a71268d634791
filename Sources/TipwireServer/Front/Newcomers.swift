import NIOCore
import TipwireSockets

/// Those who have just come to one event loop, and how many of them it deals with before it sees to all others again.
///
/// When thousands come back at once, a turn of the loop could be as long as all of their handshakes, and a tip waits for two
/// turns. So no more are accepted than the loop deals with in a moment, what they ask for waits in a line when many ask at
/// once, and after each burst of either there is a rest from both. Who comes alone is never held up.
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
    static let patience = TimeAmount.milliseconds(20)
    /// How much longer than a burst the rest after it may be: what newcomers have missed is read and sent in that time.
    static let restFactor = 3

    /// Of those who are waited for together.
    struct Ticket {
        fileprivate let generation: Int
    }

    private let eventLoop: any EventLoop
    private let now: () -> NIODeadline
    private var generation = 0
    private var silent = 0
    /// Handshakes of this burst, and when it began.
    private var count = 0
    private var began = NIODeadline.distantPast
    private var line = CircularBuffer<() -> Void>()
    private let rest: Rest
    /// Called when there is room again after `hasRoom` was false.
    var roomMade: () -> Void = {}

    /// - Parameter now: the time, for tests.
    init(eventLoop: any EventLoop, now: (() -> NIODeadline)? = nil) {
        self.eventLoop = eventLoop
        self.now = now ?? { eventLoop.now }
        rest = Rest(eventLoop: eventLoop, now: now)
    }

    /// Whether one more may be accepted.
    var hasRoom: Bool { silent < Self.maxSilent && line.isEmpty && !rest.isOn }

    // MARK: Accepted

    /// One has been accepted, and will ask for something.
    func accepted() -> Ticket {
        silent += 1
        let ticket = Ticket(generation: generation)
        if silent == Self.maxSilent {
            eventLoop.assumeIsolated().scheduleTask(in: Self.patience) {
                guard self.generation == ticket.generation else { return }
                self.generation += 1
                self.silent = 0
                self.tellOfRoom()
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

    /// Calls `body`: at once, or in the order of the line when many have asked.
    func take(_ body: @escaping () -> Void) {
        guard line.isEmpty, !rest.isOn, hasTime else { return line.append(body) }
        if count == 0 {
            // Runs when all that this turn has brought was seen to.
            eventLoop.assumeIsolated().execute {
                if self.line.isEmpty { self.count = 0 } else { self.rest(since: self.began) }
            }
        }
        begin(body)
    }

    /// Whether one more may begin in this burst.
    private var hasTime: Bool { count == 0 || count < Self.burst && now() - began < Self.burstTime }

    private func begin(_ body: () -> Void) {
        if count == 0 { began = now() }
        count += 1
        body()
    }

    private func drain() {
        while hasTime, let body = line.popFirst() { begin(body) }
        rest(since: began)
    }

    // MARK: Rest

    /// A burst is over: nobody is accepted or let in for a while.
    func rest(since began: NIODeadline) {
        rest.begin(after: now() - began, factor: Self.restFactor) {
            self.count = 0
            if self.line.isEmpty { self.tellOfRoom() } else { self.drain() }
        }
    }
}
