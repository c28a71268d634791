/// Where one listener stands: level with the live events, or behind and reading the log.
///
/// A pure value. It sees offers of live batches, reads of the log and the state of the connection, and says what to
/// write; it is what makes each event arrive exactly once and in order while a listener moves between the two ways.
///
/// - Live: everything of its audience up to `through` has been written. An offer that begins above is written whole; one
///   that overlaps is written from where it is new, which happens once, after a catch-up that read ahead.
/// - Behind: nothing offered is written; the log has it. Bounded stretches are read and written until one reaches the
///   shard's own position, which splices the listener back in.
struct Delivery {
    struct Limits {
        /// Bytes published to a listener and not yet taken by it, at which it is cut.
        let lagBytes: Int
        /// Seconds without any progress at which it is cut.
        let stallSeconds: UInt32
    }

    enum State: Equatable {
        case live(through: Int64)
        case behind(Lag)
        case ended
    }

    struct Lag: Equatable {
        /// What has been written.
        var through: Int64
        /// Bytes of live batches it could not take, less those it has caught up.
        var bytes: Int
        /// A read of the log is under way; its answer comes in by `caughtUp`.
        var isReading: Bool
        /// Since when the connection takes nothing; nil while it does.
        var stalledSince: UInt32?
    }

    enum Cut: Equatable {
        case lagBytes
        case stalled
        /// Retention has removed what it still had to get.
        case retention
    }

    enum OfferAction: Equatable {
        case writeAll
        /// Write the entries above this sequence.
        case write(above: Int64)
        case hold
        case cut(Cut)
    }

    enum NextRead: Equatable {
        case read(after: Int64)
        case none
        case cut(Cut)
    }

    private(set) var state: State
    /// What had been written when it ended; of a live listener without what was none of its business since.
    private(set) var delivered: Int64 = 0

    /// Live from the first event after `head`.
    init(liveAfter head: Int64) { state = .live(through: head) }

    /// Behind from the start, a first read under way.
    init(readingAfter start: Int64) {
        state = .behind(Lag(through: start, bytes: 0, isReading: true, stalledSince: nil))
    }

    /// A batch of this listener's audience, from `first` to `last`.
    mutating func offer(
        first: Int64, last: Int64, bytes: Int, isWritable: Bool, now: UInt32, limits: Limits
    ) -> OfferAction {
        switch state {
        case .live(let through):
            if last <= through { return .hold }
            guard isWritable else {
                // Everything of the audience below `first` has been written, so the log need not be read from
                // `through`, which may lie far back.
                state = .behind(
                    Lag(through: max(through, first - 1), bytes: bytes, isReading: false, stalledSince: now))
                return bytes > limits.lagBytes ? end(.lagBytes) : .hold
            }
            state = .live(through: last)
            return first > through ? .writeAll : .write(above: through)
        case .behind(var lag):
            // Who waits for our own reader is not to blame for what comes meanwhile.
            guard lag.stalledSince != nil else { return .hold }
            lag.bytes += bytes
            state = .behind(lag)
            return lag.bytes > limits.lagBytes ? end(.lagBytes) : .hold
        case .ended:
            return .hold
        }
    }

    /// The connection takes bytes again.
    mutating func becameWritable() -> NextRead {
        guard case .behind(var lag) = state else { return .none }
        lag.stalledSince = nil
        defer { state = .behind(lag) }
        if lag.isReading { return .none }
        lag.isReading = true
        return .read(after: lag.through)
    }

    /// The position that the client gave has been judged: the listener begins after `start`, whatever it asked for.
    mutating func begin(at start: Int64) {
        guard case .behind(var lag) = state else { return }
        lag.through = start
        state = .behind(lag)
    }

    /// Whether a stretch that was read after `through` still holds everything: nil, or why the listener is cut.
    mutating func lost(toRetention prunedThrough: Int64) -> Cut? {
        guard case .behind(let lag) = state, prunedThrough > lag.through else { return nil }
        end()
        return .retention
    }

    /// A stretch of the log up to `through` has been written, `bytes` of it.
    ///
    /// - Parameter position: how far the shard has offered live batches. A stretch that reaches it leaves no hole: every
    ///   later event will be offered.
    mutating func caughtUp(
        through: Int64, bytes: Int, position: Int64, isWritable: Bool, now: UInt32
    ) -> NextRead {
        guard case .behind(var lag) = state else { return .none }
        lag.through = max(lag.through, through)
        if lag.through >= position {
            state = .live(through: lag.through)
            return .none
        }
        lag.bytes = max(0, lag.bytes - bytes)
        lag.isReading = isWritable
        lag.stalledSince = isWritable ? nil : now
        state = .behind(lag)
        return isWritable ? .read(after: lag.through) : .none
    }

    /// A read failed; it is tried again when the shard next asks for stalled listeners.
    mutating func readFailed() {
        guard case .behind(var lag) = state else { return }
        lag.isReading = false
        state = .behind(lag)
    }

    /// A stretch came to a connection that takes nothing; it is read again when it does.
    mutating func readWasted(now: UInt32) {
        guard case .behind(var lag) = state else { return }
        lag.isReading = false
        lag.stalledSince = now
        state = .behind(lag)
    }

    /// Time passes. Also begins a read again that had failed.
    mutating func tick(now: UInt32, isWritable: Bool, limits: Limits) -> NextRead {
        guard case .behind(var lag) = state else { return .none }
        if let since = lag.stalledSince, now - since >= limits.stallSeconds {
            end()
            return .cut(.stalled)
        }
        guard !lag.isReading else { return .none }
        guard isWritable else {
            // Its read failed, and meanwhile it takes nothing: the time runs from when that is seen.
            lag.stalledSince = lag.stalledSince ?? now
            state = .behind(lag)
            return .none
        }
        lag.isReading = true
        lag.stalledSince = nil
        state = .behind(lag)
        return .read(after: lag.through)
    }

    mutating func end() {
        switch state {
        case .live(let through): delivered = through
        case .behind(let lag): delivered = lag.through
        case .ended: return
        }
        state = .ended
    }

    private mutating func end(_ cut: Cut) -> OfferAction {
        end()
        return .cut(cut)
    }
}
