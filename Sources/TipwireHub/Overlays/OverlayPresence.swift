import NIOCore
import Synchronization
import TipwireCore

/// One overlay's connection, as the desk knows it. Ends with `leave`, or when nobody has it any more.
public final class OverlayPresence: Sendable {
    let id: Int
    public let place: OverlayPlace
    let key: String?
    private let desk: OverlayDesk
    /// What it may still say, and when that was counted.
    private let allowance = Mutex((left: OverlayDesk.burst, at: Timestamp(milliseconds: 0)))

    init(id: Int, place: OverlayPlace, key: String?, desk: OverlayDesk) {
        self.id = id
        self.place = place
        self.key = key
        self.desk = desk
    }

    deinit { desk.leave(self) }

    func maySpeak(at now: Timestamp) -> Bool {
        allowance.withLock { allowance in
            let passed = Double(max(0, now.milliseconds - allowance.at.milliseconds)) / 1_000
            allowance.left = min(OverlayDesk.burst, allowance.left + passed * OverlayDesk.messagesPerSecond)
            allowance.at = now
            guard allowance.left >= 1 else { return false }
            allowance.left -= 1
            return true
        }
    }

    public func leave() { desk.leave(self) }

    public func received(_ tip: TipIdentifier, sequence: Int64) {
        desk.received(tip, sequence: sequence, by: self)
    }

    public func shown(_ tip: TipIdentifier, sequence: Int64) { desk.shown(tip, sequence: sequence, by: self) }

    /// Whether this screen may show an alert that is wanted once.
    /// Nil when the same was asked and not answered yet.
    public func claim(_ sequence: Int64, on eventLoop: any EventLoop) -> OverlayDesk.Claim? {
        desk.claim(sequence, for: self, on: eventLoop)
    }
}
