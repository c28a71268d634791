import Synchronization
import TipwireCore

/// Counts bad keys by address, and says when an address has had enough of them.
///
/// Only failures count and only failures are refused for it: many clients share a proxy's address, and one of them with
/// an old key must not lock the others out.
public final class FailureThrottle: Sendable {
    /// Most addresses that are remembered. Past it those are forgotten that may go on anyway, and only when more than half are
    /// past their limit, all: an attacker with so many addresses gains a minute's worth of attempts, and memory stays bounded
    /// without a clean-up thread.
    static let maximumAddresses = 65_536
    /// Bits of an IPv6 address that tell one customer from another; behind them each has all the addresses it wants.
    private static let networkBits = 64
    private static let window: Int64 = 60_000

    private struct Failures {
        var windowStart: Timestamp
        var count: Int

        /// Milliseconds that its minute still lasts; nil when it is over, or the clock was set back before it.
        func left(at now: Timestamp) -> Int64? {
            let age = now.milliseconds - windowStart.milliseconds
            return age >= 0 && age < FailureThrottle.window ? FailureThrottle.window - age : nil
        }
    }

    private let failures = Mutex<[String: Failures]>([:])
    private let maxPerMinute: Int

    /// - Parameter maxPerMinute: failures of one address in a minute that are answered as such; 0 for no limit.
    public init(maxPerMinute: Int) { self.maxPerMinute = maxPerMinute }

    /// What failures from an address are counted for: IPv4 as it is, of IPv6 the network.
    public static func subject(of address: String) -> String {
        guard let parsed = IPAddress(address)?.unwrapped else { return address }
        return parsed.family == .ipv6 ? "\(parsed.masked(to: networkBits))/\(networkBits)" : "\(parsed)"
    }

    private static func seconds(_ milliseconds: Int64) -> Int { max(1, Int((milliseconds + 999) / 1_000)) }

    private func makeRoom(_ failures: inout [String: Failures], at now: Timestamp) {
        failures = failures.filter { _, entry in entry.count >= maxPerMinute && entry.left(at: now) != nil }
        // Or each new address would look through all of them again.
        if failures.count > Self.maximumAddresses / 2 { failures.removeAll() }
    }

    /// The seconds to wait for a subject that is past its limit; nil for one that isn't. Records nothing.
    public func wait(of subject: String, at now: Timestamp) -> Int? {
        guard maxPerMinute > 0 else { return nil }
        return failures.withLock { failures in
            guard let entry = failures[subject], entry.count >= maxPerMinute else { return nil }
            return entry.left(at: now).map(Self.seconds)
        }
    }

    /// Takes back a failure that was recorded before it was known to be one.
    public func forgive(_ subject: String) {
        failures.withLock { failures in
            guard let count = failures[subject]?.count, count > 0 else { return }
            failures[subject]?.count = count - 1
        }
    }

    /// Records a failure. Returns the seconds to wait when the address is past its limit.
    public func recordFailure(of address: String, at now: Timestamp) -> Int? {
        guard maxPerMinute > 0 else { return nil }
        return failures.withLock { failures in
            if failures.count >= Self.maximumAddresses, failures[address] == nil { makeRoom(&failures, at: now) }
            var entry = failures[address] ?? Failures(windowStart: now, count: 0)
            if entry.left(at: now) == nil { entry = Failures(windowStart: now, count: 0) }
            entry.count += 1
            failures[address] = entry
            return entry.count > maxPerMinute ? entry.left(at: now).map(Self.seconds) : nil
        }
    }
}
