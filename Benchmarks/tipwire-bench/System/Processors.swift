import Glibc

/// Which processors server and client run on, and the descriptors that they may open.
enum Processors {
    /// Room for 1,024 processors, the size of C's `cpu_set_t`.
    private static let words = 16

    /// The processors that this process may use, in order.
    static func allowed() -> [Int] {
        var mask = [UInt64](repeating: 0, count: words)
        guard mask.withUnsafeMutableBytes({ Linux.getAffinity(0, $0.count, $0.baseAddress!) }) >= 0 else { return [] }
        return (0..<words * 64).filter { mask[$0 / 64] & (1 << ($0 % 64)) != 0 }
    }

    /// Binds the calling process; what it starts inherits the binding.
    static func bind(to processors: [Int]) throws {
        var mask = [UInt64](repeating: 0, count: words)
        for processor in processors { mask[processor / 64] |= 1 << (processor % 64) }
        guard mask.withUnsafeBytes({ Linux.setAffinity(0, $0.count, $0.baseAddress!) }) == 0 else {
            throw BenchError.call("sched_setaffinity")
        }
    }

    /// Raises the soft limit of descriptors to the hard one; servers started later inherit it. Returns the limit.
    static func raiseDescriptorLimit() -> Int {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        getrlimit(resource, &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(resource, &limit)
        getrlimit(resource, &limit)
        return Int(clamping: limit.rlim_cur)
    }
}
