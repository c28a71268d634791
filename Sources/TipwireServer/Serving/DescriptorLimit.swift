import Foundation

/// Fits `feed.maxConnections` to the descriptors that this process may have.
enum DescriptorLimit {
    /// Descriptors that aren't listeners: the database and its readers, event loops, logs, and requests in flight.
    static let reserve = 256

    struct Fitting: Equatable {
        let maxConnections: Int
        /// What the operator should know; nil when all fits.
        let warning: String?
    }

    /// Raises the soft limit as far as needed and permitted, and lowers the setting to what then fits.
    static func fit(maxConnections wanted: Int) -> Fitting {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0 else { return Fitting(maxConnections: wanted, warning: nil) }
        let needed = rlim_t(wanted + reserve)
        if limit.rlim_cur < needed {
            var raised = limit
            raised.rlim_cur = min(needed, limit.rlim_max)
            if setrlimit(resource, &raised) == 0 { limit = raised }
        }
        return fit(maxConnections: wanted, descriptors: Int(clamping: limit.rlim_cur))
    }

    static func fit(maxConnections wanted: Int, descriptors: Int) -> Fitting {
        let possible = max(1, descriptors - reserve)
        guard possible < wanted else { return Fitting(maxConnections: wanted, warning: nil) }
        return Fitting(
            maxConnections: possible,
            warning:
                "feed.maxConnections is lowered from \(wanted) to \(possible): this process may open \(descriptors) "
                + "descriptors; raise the limit with 'ulimit -n' or LimitNOFILE=")
    }
}
