import CMalloc
import Foundation
import NIOCore

/// Into how many parts the allocator divides its memory.
public enum MemoryArenas {
    /// For each processor.
    private static let perProcessor = 2
    /// However few processors there are: the loop, the commits, the readers and the tasks of the HTTP service don't wait for each other.
    private static let least = 4

    /// Has all threads share a few arenas. Once, before there are threads.
    ///
    /// glibc gives each thread one of its own, up to eight for each processor, and what was freed in one is of no use to the others: where
    /// listeners come and go, a third of the memory was such pieces. A quarter of as many arenas is as fast (docs/performance.md).
    ///
    /// `MALLOC_ARENA_MAX` and glibc's tunables have the last word.
    public static func fit(environment: [String: String] = ProcessInfo.processInfo.environment) {
        guard environment["MALLOC_ARENA_MAX"] == nil, environment["GLIBC_TUNABLES"] == nil else { return }
        mallopt(M_ARENA_MAX, CInt(max(least, perProcessor * System.coreCount)))
    }
}
