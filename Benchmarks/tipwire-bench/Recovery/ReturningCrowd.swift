/// WebSockets that all come back with one position, as fast as connections can be made.
final class ReturningCrowd {
    private let size: Int
    private let poller: Poller
    private let subscribers: Subscribers

    private static let patience = 60.0
    /// No more at a time than wait to be accepted; a client that is refused would have to try again.
    private static let backlog = 4_000

    init(_ size: Int, since cursor: String, api: TipwireAPI) throws {
        self.size = size
        poller = try Poller()
        subscribers = Subscribers(size, of: .webSocket, port: api.port, poller: poller)
        subscribers.isGreeted = true
        subscribers.paths = Array(repeating: api.feed(of: EventMessage.slug) + "&since=\(cursor)", count: size)
    }

    /// Opens all of them; returns when each has as many events as it has missed, in order.
    func comeBack(missing missed: Int) throws {
        try turn {
            while subscribers.started < size, subscribers.started - subscribers.opened < Self.backlog {
                try subscribers.open()
            }
            return subscribers.log.completed == missed
        }
    }

    /// Returns when each of them has so many events.
    func wait(for events: Int) throws { try turn { subscribers.log.completed == events } }

    private func turn(until isDone: () throws -> Bool) throws {
        let deadline = nanoseconds() + Int64(Self.patience * 1e9)
        while try !isDone() {
            guard nanoseconds() < deadline else {
                throw BenchError(
                    "after \(Int(Self.patience)) s \(subscribers.opened) are open and have \(subscribers.log.completed) "
                        + "events")
            }
            for index in 0..<(try poller.wait(milliseconds: 1)) {
                try subscribers.handle(Int(poller.token(at: index)), poller.interest(at: index))
            }
            if let fault = subscribers.firstFault { throw BenchError(fault) }
        }
    }
}
