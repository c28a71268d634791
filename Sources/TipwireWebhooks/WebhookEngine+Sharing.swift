import Logging
import Synchronization
import TipwireCore
import TipwireHub
import TipwireStore

extension WebhookEngine: SharedPart {
    public var subject: StoreChanges { .webhooks }

    /// Of one node's part in the sending. The lease is the store's to give; this is what follows from it here.
    enum Duty: Hashable {
        case rests
        /// It is to send, and hasn't read yet what from.
        case begins
        case sends
    }

    /// Whether this node sends: makes deliveries of the log, and attempts.
    public var isSending: Bool { duty.withLock { $0 == .sends } }

    /// The sending is this node's from here on, or isn't any more. To be told again changes nothing.
    ///
    /// Nothing begins any more when the second returns; what is under way is cut off after `NodeTimes.handover`. Both are told at
    /// once: what there is to read is read by `run`.
    public func setSending(_ isSender: Bool) async {
        let isNews = duty.withLock { duty in
            guard isSender == (duty == .rests) else { return false }
            duty = isSender ? .begins : .rests
            if !isSender { scheduler.rest(grace: NodeTimes.handover) }
            return true
        }
        guard isNews else { return }
        logger.notice(isSender ? "this node sends the webhooks from here on" : "this node sends no webhooks any more")
        dutyChange.yield()
    }

    func followDuty() async {
        for await _ in dutyChanges {
            while !Task.isCancelled {
                do {
                    if duty.withLock({ $0 == .begins }) {
                        try await subscriptions.begin { self.begin() }
                    } else {
                        try await subscriptions.refresh()
                    }
                    break
                } catch {
                    logger.error("webhooks can't be read; it is tried again", metadata: ["error": "\(error)"])
                    await pause(1_000)
                }
            }
        }
    }

    /// False when it was told otherwise meanwhile.
    private func begin() -> Bool {
        duty.withLock { duty in
            guard duty == .begins else { return false }
            duty = .sends
            scheduler.begin()
            return true
        }
    }

    /// Takes in what other nodes have changed.
    public func refresh() async throws { try await subscriptions.refresh() }

    /// Has what waits as the store has it now, where another node sends and nobody tells.
    public func look() async {
        guard !scheduler.isSending else { return }
        do {
            try await subscriptions.look()
        } catch {
            logger.warning("webhooks can't be read; they are shown as they were", metadata: ["error": "\(error)"])
        }
    }

    /// The log has lost its end, and goes on as another one.
    ///
    /// Deliveries of what is gone are gone from the store too, and their ids come to stand for other events. So nothing of
    /// them goes on: attempts under way are cut off, and the next begin with what the store has.
    public func logReplaced(_ bounds: LogBounds) async {
        recorder.logReplaced(endingAt: bounds.head)
        duty.withLock { duty in
            guard duty != .rests else { return }
            duty = .begins
            scheduler.rest(grace: 0)
        }
        await subscriptions.logReplaced(endingAt: bounds.head)
        window.clear()
        dutyChange.yield()
    }
}
