import NIOCore
import Testing
import TipwireCore
import TipwireTestSupport

@testable import TipwireHub

/// One connection of a listener, and what is known of how it came about.
struct HubSession: Sendable {
    let listener: Listener
    let audience: Set<Page.ID>
    let start: Subscription.Start
    let dialect: Dialect
    /// What each of its messages must begin with.
    let beginning: ByteBuffer
    /// The log just before and just after it connected.
    let before: LogBounds
    let after: LogBounds
    /// The listener went by itself.
    var left = false

    /// The position that a client would come back with: after the last event it had, or where it was told it begins.
    func cursor(epoch: String) -> String? {
        let heard = listener.sink.heard.value
        return (heard.sequences.last ?? heard.resumptions.first?.start).map { "\(epoch)-\($0)" }
    }

    /// Holds everything that the listener had against the log.
    func check(_ history: HubHistory, epoch: String, note: String) {
        let heard = listener.sink.heard.value
        let received = history.lasting(heard.sequences)
        let isComplete = !left && heard.end == nil
        #expect(heard.afterEnd == 0 && heard.whileUnwritable == 0, "\(note)")
        #expect(heard.overtakes == 0 && !heard.isGarbled, "\(note)")
        #expect(heard.eventsBeforeResumption == 0, "\(note)")
        #expect(heard.sequences == heard.sequences.sorted(), "\(note)")
        #expect(heard.frames.allSatisfy { $0.readableBytesView.starts(with: beginning.readableBytesView) }, "\(note)")
        func matches(_ start: Int64) -> Bool {
            let view = history.view(of: audience, after: start, in: dialect)
            return isComplete ? received == view : view.starts(with: received)
        }
        switch start {
        case .live:
            #expect(heard.resumptions == [], "\(note)")
            #expect((before.head...after.head).contains(where: matches), "\(received) \(note)")
        case .now:
            guard let told = heard.resumptions.first, heard.resumptions.count == 1 else {
                // Only who went before its connection had room for the word lacks it.
                #expect(
                    heard.resumptions == [] && heard.timesHeld > 0 && !isComplete && received == [],
                    "no word about the start; \(note)")
                return
            }
            #expect(told.status == .resumed && (before.head...after.head).contains(told.start), "\(note)")
            #expect(matches(told.start), "\(received) after \(told.start); \(note)")
        case .after(let sequence):
            #expect(heard.resumptions == [], "\(note)")
            #expect(matches(sequence), "\(received) after \(sequence); \(note)")
        case .position(let text):
            guard let told = heard.resumptions.first, heard.resumptions.count == 1 else {
                #expect(heard.resumptions == [] && !isComplete && received == [], "\(note)")
                return
            }
            checkStart(told, asked: Cursor(text), epoch: epoch, note: note)
            #expect(matches(told.start), "\(received) after \(told); \(note)")
        }
    }

    private func checkStart(_ told: Resumption, asked: Cursor?, epoch: String, note: String) {
        let cursor = asked.flatMap { $0.epoch == epoch ? $0 : nil }
        // Retention may have passed the start already, if a stretch that was read just before is still there to share. What follows it
        // has to be whole all the same, which is held against the history.
        switch told.status {
        case .resumed: #expect(cursor?.sequence == told.start, "\(note)")
        case .gap: #expect(cursor.map { $0.sequence < told.start } == true, "\(note)")
        case .reset:
            #expect(cursor.map { $0.sequence > before.head } ?? true, "\(note)")
            #expect(told.start >= before.head, "\(note)")
        }
    }
}
