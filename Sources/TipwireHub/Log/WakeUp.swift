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
    public func listen() -> Listener {
        let listener = Listener()
        listeners.withLock { $0.append(listener) }
        return listener
    }

    /// - Parameter events: what was committed, in order; none when only the fact is known.
    public func signal(_ events: [Event] = []) {
        for listener in listeners.withLock({ $0 }) { listener.signal(events) }
    }

    /// What one reader hears. Its box is bounded, and an overflow costs the reader one read.
    public final class Listener: Sendable {
        /// Most events that wait for a reader; about one full fan-out's worth.
        static let maximumEvents = 1_024

        private let box = Mutex<[Event]>([])
        private let continuation: AsyncStream<Void>.Continuation
        /// One element stands for any number of signals since the last was taken.
        public let signals: AsyncStream<Void>

        fileprivate init() {
            (signals, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        }

        /// Tells this reader alone.
        public func signal(_ events: [Event] = []) {
            box.withLock { waiting in
                if waiting.count + events.count <= Self.maximumEvents {
                    waiting.append(contentsOf: events)
                }
            }
            continuation.yield()
        }

        /// The events that came since, if they follow `sequence` without a hole; else none, and the log has them.
        public func take(after sequence: Int64) -> [Event] {
            let taken = box.withLock { waiting in
                defer { waiting = [] }
                return waiting
            }
            let news = taken.drop { $0.sequence <= sequence }
            var previous = sequence
            for event in news {
                guard event.sequence == previous + 1 else { return [] }
                previous = event.sequence
            }
            return Array(news)
        }

        public func finish() { continuation.finish() }
    }
}
