import Foundation

/// The chance in property tests: Vigna's SplitMix64, the same on every platform, from a seed that each failing
/// expectation names.
///
/// A run draws a new seed; `TIPWIRE_TEST_SEED` repeats one.
public struct TestSeed: RandomNumberGenerator, CustomStringConvertible, Sendable {
    public let seed: UInt64
    private var state: UInt64

    public init() {
        let given = ProcessInfo.processInfo.environment["TIPWIRE_TEST_SEED"].flatMap { UInt64($0) }
        self.init(seed: given ?? UInt64.random(in: 0...UInt64.max))
    }

    public init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    /// A sequence of its own that follows from this seed, for something that runs beside others.
    public init(of parent: TestSeed, _ index: Int) {
        seed = parent.seed
        state = parent.state ^ (UInt64(index + 1) &* 0xD1B5_4A32_D192_ED03)
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    public mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }

    public var description: String { "TIPWIRE_TEST_SEED=\(seed)" }
}
