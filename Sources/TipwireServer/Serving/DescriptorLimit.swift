import Foundation
import NIOCore

/// Fits `feed.maxConnections` to the descriptors that this process may have.
enum DescriptorLimit {
    /// Descriptors that aren't listeners: the database and its readers, event loops, logs, and requests in flight. Of a
    /// small limit a quarter, but never less than the server needs to run at all.
    static func reserve(of descriptors: Int, loops: Int) -> Int {
        let least = least(loops: loops)
        return min(208 + least, max(least, descriptors / 4))
    }

    /// Four event loops are in the 48. Each has three descriptors, a ring, and on two ports a socket that listens and a poll.
    private static func least(loops: Int) -> Int { 48 + max(0, loops - 4) * 8 }

    /// Of what is left, the part that webhooks may use: attempts under way, and half as many connections that wait for the
    /// next one. Where descriptors are few it is small: an attempt that finds no socket waits for one, a listener is refused.
    static func webhookSockets(attempts: Int, of descriptors: Int) -> Int {
        min(attempts + attempts / 2, max(min(128, descriptors / 8), descriptors / 32))
    }

    struct Fitting: Equatable {
        /// Sockets that fit beside the database and what else is open, listeners and requests together.
        let maxSockets: Int
        let maxConnections: Int
        /// Attempts of webhooks at a time.
        let maxAttempts: Int
        /// Descriptors that all of this comes to.
        let descriptors: Int
        /// What the operator should know; nil when all fits.
        let warning: String?
    }

    /// Raises the soft limit as far as needed and permitted, and lowers the setting to what then fits.
    static func fit(maxConnections wanted: Int, maxAttempts: Int) -> Fitting {
        let loops = NIOSingletons.groupLoopCountSuggestion
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0 else {
            return fit(maxConnections: wanted, maxAttempts: maxAttempts, descriptors: .max, loops: loops)
        }
        let needed = rlim_t(needed(maxConnections: wanted, maxAttempts: maxAttempts, loops: loops))
        if limit.rlim_cur < needed {
            var raised = limit
            raised.rlim_cur = min(needed, limit.rlim_max)
            if setrlimit(resource, &raised) == 0 { limit = raised }
        }
        return fit(
            maxConnections: wanted, maxAttempts: maxAttempts, descriptors: Int(clamping: limit.rlim_cur), loops: loops)
    }

    private static func needed(maxConnections: Int, maxAttempts: Int, loops: Int) -> Int {
        maxConnections + reserve(of: .max, loops: loops) + webhookSockets(attempts: maxAttempts, of: .max)
    }

    static func fit(maxConnections wanted: Int, maxAttempts: Int, descriptors: Int, loops: Int) -> Fitting {
        let needed = needed(maxConnections: wanted, maxAttempts: maxAttempts, loops: loops)
        let webhooks = webhookSockets(attempts: maxAttempts, of: descriptors)
        let attempts = min(maxAttempts, max(1, webhooks * 2 / 3))
        let possible = max(1, descriptors - reserve(of: descriptors, loops: loops) - webhooks)
        let sockets = max(1, descriptors - min(least(loops: loops), descriptors / 4) - webhooks)
        let warning =
            "feed.maxConnections is lowered from \(wanted) to \(possible): this process may open \(descriptors) "
            + "descriptors; raise the limit with 'ulimit -n' or LimitNOFILE="
        return Fitting(
            maxSockets: sockets, maxConnections: min(wanted, possible), maxAttempts: attempts,
            descriptors: min(needed, descriptors), warning: possible < wanted ? warning : nil)
    }
}
