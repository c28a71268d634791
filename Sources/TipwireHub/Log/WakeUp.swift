import Synchronization
import TipwireCore

/// Tells the relay that the log has grown.
///
/// It carries news, never truth: events may ride along, and the relay uses them only where they continue what it has
/// already given out. Whatever is lost here, it reads from the log. So the box is bounded, and an overflow costs one
/// read.
public final class WakeUp: Sendable {
    /// Most events that wait for the relay; about one full fan-out's worth.
    static let maximumEvents = 1_024

    private let box = Mutex<[Event]>([])
    private let continuation: AsyncStream<Void>.Continuation
    /// One element stands for any number of signals since the last was taken.
    let signals: AsyncStream<Void>

    public init() {
        (signals, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// - Parameter events: what was committed, in order; none when only the fact is known.
    public func signal(_ events: [Event] = []) {
        box.withLock { waiting in
            if waiting.count + events.count <= Self.maximumEvents {
                waiting.append(contentsOf: events)
            }
        }
        continuation.yield()
    }

    func take() -> [Event] {
        box.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }

    func finish() { continuation.finish() }
}
