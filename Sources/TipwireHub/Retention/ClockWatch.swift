import TipwireCore

/// Tells a clock that runs from one that jumps, by the time the machine has been up.
///
/// A clock that was wrong for a minute must not cost the log its history. A jump that stays is believed in the end: the
/// machine may have started with a dead battery and learnt the time later.
struct ClockWatch {
    /// A difference that clocks are corrected by in the ordinary way.
    static let tolerance: Int64 = 3_600_000
    /// How long a jump must stand before it is believed.
    static let probation = Duration.seconds(3_600)

    private var trusted: Int64
    private var suspicion: (offset: Int64, since: ContinuousClock.Instant)?
    private let began: ContinuousClock.Instant

    init(at time: Timestamp, uptime: ContinuousClock.Instant) {
        began = uptime
        trusted = time.milliseconds
    }

    mutating func trusts(_ time: Timestamp, uptime: ContinuousClock.Instant) -> Bool {
        let passed = began.duration(to: uptime).components
        let offset = time.milliseconds - passed.seconds * 1_000 - passed.attoseconds / 1_000_000_000_000_000
        if abs(offset - trusted) <= Self.tolerance {
            trusted = offset
            suspicion = nil
            return true
        }
        guard let known = suspicion, abs(offset - known.offset) <= Self.tolerance else {
            suspicion = (offset, uptime)
            return false
        }
        guard known.since.duration(to: uptime) >= Self.probation else { return false }
        trusted = offset
        suspicion = nil
        return true
    }
}
