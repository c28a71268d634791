import NIOCore

/// What an event loop does in rounds of a millisecond, with a rest after each.
///
/// A loop does all that is due before it looks at its channels again. Work that brings more work as soon as it is done, or that is
/// there for thousands at once, would keep every channel waiting for as long as it goes on; so it goes here.
///
/// Belongs to its event loop.
public final class Rounds<Item> {
    /// No item is begun after so long.
    static var time: TimeAmount { .milliseconds(1) }

    private let now: () -> NIODeadline
    private let rest: Rest
    private let restFactor: Int
    private let perform: (Item) -> Void
    private var line = CircularBuffer<Item>()
    private var isUnderWay = false

    /// - Parameters:
    ///   - restFactor: how many times as long as a round the rest may be while the loop has other work.
    ///   - now: the time, for tests.
    ///   - perform: does one.
    public init(
        eventLoop: any EventLoop, restFactor: Int = 1, now: (() -> NIODeadline)? = nil,
        perform: @escaping (Item) -> Void
    ) {
        self.now = now ?? { eventLoop.now }
        rest = Rest(eventLoop: eventLoop, now: now)
        self.restFactor = restFactor
        self.perform = perform
    }

    /// Puts one at the end of the line. Its turn comes after the shortest rest at the earliest: it may be the first of a thousand.
    public func append(_ item: Item) {
        line.append(item)
        // The rest of a round is as long as the round, which isn't known before its end.
        if !isUnderWay { rest.begin(after: .zero) { self.begin() } }
    }

    private func begin() {
        guard !line.isEmpty else { return }
        isUnderWay = true
        let began = now()
        var took = TimeAmount.zero
        // What comes meanwhile is of the next one.
        for _ in 0..<line.count where took < Self.time {
            perform(line.removeFirst())
            took = now() - began
        }
        isUnderWay = false
        rest.begin(after: took, factor: restFactor) { self.begin() }
    }
}
