import NIOCore

/// Those who have just come to one event loop, and how many of them it deals with before it sees to all others again.
///
/// When thousands come back at once, a turn of the loop could be as long as all of their handshakes, and a tip waits for two
/// turns. So no more are accepted than the loop deals with in a moment, what they ask for waits in a line when many ask at
/// once, and after each burst of either the loop is everybody else's for `restFactor` times as long as that took. Who comes
/// alone is never held up.
///
/// Belongs to its event loop.
final class Newcomers {
    /// Accepts, or handshakes, in one go.
    static let burst = 8
    /// Those who were accepted and have asked for nothing yet. Each may ask in the same moment.
    static let maxSilent = 128
    /// After so long whoever still asks for nothing isn't waited for: silence must keep nobody out.
    static let patience = TimeAmount.milliseconds(100)
    /// How much longer than a burst the rest after it is: what newcomers have missed is read and sent in that time, and costs as
    /// much again as they did.
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
    private var generation = 0
    private var silent = 0
    private var begun = 0
    private var line = CircularBuffer<() -> Void>()
    private var isDraining = false
    /// Called when there is room again after `hasRoom` was false.
    var roomMade: () -> Void = {}

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

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
        guard begun < Self.burst, line.isEmpty, !isDraining else { return line.append(body) }
        if begun == 0 {
            // Runs when all that this turn has brought was seen to.
            eventLoop.assumeIsolated().execute { self.endTurn() }
        }
        begun += 1
        body()
    }

    private func endTurn() {
        begun = 0
        guard !line.isEmpty, !isDraining else { return }
        isDraining = true
        schedule(in: Self.turn) { $0.drain() }
    }

    private func drain() {
        let began = NIODeadline.now()
        for _ in 0..<Self.burst {
            guard let body = line.popFirst() else { break }
            body()
        }
        schedule(in: Self.rest(since: began)) { newcomers in
            guard newcomers.line.isEmpty else { return newcomers.drain() }
            newcomers.isDraining = false
            newcomers.tellOfRoom()
        }
    }

    static func rest(since began: NIODeadline) -> TimeAmount {
        min(max((.now() - began) * restFactor, turn), longestRest)
    }

    private func schedule(in time: TimeAmount, _ body: @escaping (Newcomers) -> Void) {
        eventLoop.assumeIsolated().scheduleTask(in: time) { body(self) }
    }
}
