import Synchronization
import TipwireCore

/// Tells those who read the log that it has grown.
///
/// It carries news, never truth: events may ride along, and a reader uses them only where they continue what it has
/// already read. Whatever is lost here, it reads from the log.
public final class WakeUp: Sendable {
    private let listeners = Mutex<[Listener]>([])

    public init() {}

    /// A reader's own ear; to be had once for each, before it reads for the first time.
    ///
    /// - Parameter isInterested: asked when events are told of. One who says no hears nothing of them, and if it wants them later
    ///   after all finds them in the log.
    public func listen(while isInterested: @escaping @Sendable () -> Bool = { true }) -> Listener {
        let listener = Listener(isInterested)
        listeners.withLock { $0.append(listener) }
        return listener
    }

    /// - Parameters:
    ///   - events: what was committed, in order; none when only the fact is known.
    ///   - committedAt: when their commit was done, on the clock that never jumps; nil when this process doesn't know.
    public func signal(_ events: [Event] = [], committedAt: ContinuousClock.Instant? = nil) {
        for listener in listeners.withLock({ $0 }) { listener.signal(events, committedAt: committedAt) }
    }

    /// Has all look at what they were told, without telling them anything.
    public func nudge() { for listener in listeners.withLock({ $0 }) { listener.nudge() } }

    /// What a listener had waiting.
    public struct News: Sendable {
        /// Those that follow what was read before without a hole; else none, and the log has them.
        public var events: [Event] = []
        /// The oldest commit that was told since the last look, whether or not its events are among these.
        public var oldestCommit: ContinuousClock.Instant?
        /// Every signal since the last look had events, and all of them are here.
        public var isWhole = true
    }

    /// What one reader hears. Its box is bounded, and an overflow costs the reader one read.
    public final class Listener: Sendable {
        /// Most events that wait for a reader; about one full fan-out's worth.
        static let maximumEvents = 1_024

        private let box = Mutex(News())
        private let ear = Mutex<Ear?>(nil)
        private let continuation: AsyncStream<Void>.Continuation
        /// A function in a box of its own: one that stands in a generic place as it is gets a wrapping more each time that it is
        /// read there for writing, as a lock reads.
        private struct Ear: Sendable {
            let call: @Sendable () -> Void
        }

        private let isInterested: @Sendable () -> Bool
        /// One element stands for any number of signals since the last was taken.
        public let signals: AsyncStream<Void>

        fileprivate init(_ isInterested: @escaping @Sendable () -> Bool) {
            self.isInterested = isInterested
            (signals, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        }

        /// From here on calls `body` instead, on the thread of whoever signals.
        public func call(_ body: @escaping @Sendable () -> Void) { ear.withLock { $0 = Ear(call: body) } }

        /// Tells this reader alone.
        public func signal(_ events: [Event] = [], committedAt: ContinuousClock.Instant? = nil) {
            guard events.isEmpty || isInterested() else { return }
            box.withLock { waiting in
                if !events.isEmpty, waiting.events.count + events.count <= Self.maximumEvents {
                    waiting.events.append(contentsOf: events)
                } else {
                    waiting.isWhole = false
                }
                // Commits come in order, so the first is the oldest.
                waiting.oldestCommit = waiting.oldestCommit ?? committedAt
            }
            nudge()
        }

        /// Has the reader look at what it was told, without telling it anything.
        public func nudge() {
            if let ear = ear.withLock({ $0 }) { ear.call() } else { continuation.yield() }
        }

        /// The events that came since, if they follow `sequence` without a hole; else none, and the log has them.
        public func take(after sequence: Int64) -> [Event] { takeNews(after: sequence).events }

        /// All that came, holes and repeats included.
        public func takeAll() -> News {
            box.withLock { waiting in
                defer { waiting = News() }
                return waiting
            }
        }

        /// The same, and since when the oldest of what came has waited.
        public func takeNews(after sequence: Int64) -> News {
            var news = takeAll()
            news.events = Array(news.events.drop { $0.sequence <= sequence })
            var previous = sequence
            for event in news.events {
                guard event.sequence == previous + 1 else {
                    news.events = []
                    news.isWhole = false
                    break
                }
                previous = event.sequence
            }
            return news
        }

        public func finish() { continuation.finish() }
    }
}
