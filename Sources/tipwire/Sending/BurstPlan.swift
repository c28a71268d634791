import TipwireCore

/// The tips of one `--count`: which id each has, and when it is due.
struct BurstPlan: Sendable {
    /// Most tips of one command: their answer times are kept for the percentiles, 8 bytes each.
    static let counts = 1...1_000_000
    /// Most tips a second that can be asked for.
    static let highestRate = 100_000.0

    let count: Int
    /// Tips a second; nil for as fast as they are acknowledged.
    let rate: Double?
    /// The caller's id, or nil: then `run` names the tips in their `Idempotency-Key`.
    let id: TipIdentifier?
    /// Different in each run, so that the same command twice sends twice the tips.
    let run: TipIdentifier

    /// Number `index`, from 0, is called `ID-1`, `ID-2` and so on.
    func name(_ index: Int) -> TipIdentifier {
        guard let name = TipIdentifier("\(id ?? run)-\(index + 1)") else {
            preconditionFailure("`fits` was not asked")
        }
        return name
    }

    /// Whether the longest name is still an id.
    static func fits(id: TipIdentifier, count: Int) -> Bool { TipIdentifier("\(id)-\(count)") != nil }

    /// When number `index` shall be sent, after the start.
    ///
    /// Counted from the start and not from the tip before, so that a slow answer is caught up with and the rate asked
    /// for is the rate that comes out.
    func due(_ index: Int) -> Duration {
        guard let rate else { return .zero }
        return .seconds(Double(index) / rate)
    }
}
