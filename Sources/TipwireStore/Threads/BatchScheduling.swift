#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// How the kernel shares a processor between a thread that commits and the event loops.
enum BatchScheduling {
    /// `SCHED_BATCH` of sched(7), for which Swift's modules of the C libraries have no name.
    private static let batch: CInt = 3

    /// From here on the calling thread takes no processor from another in the middle of what that does. It has its share like any
    /// other, and a processor that is free at once.
    ///
    /// A loop that hands over the first tip of many has the others at hand, or they are just arriving. If the thread that
    /// commits is woken onto the loop's own processor, and in its place, the first gets a commit to itself, and so on with each that
    /// comes while the disk syncs: as many commits as tips. This way the loop goes on until it has no more to read, and what it
    /// has read is one commit.
    ///
    /// `SCHED_BATCH`. Where there is no such thing, or a sandbox forbids it, all stays as it is: more commits for the same tips.
    static func adopt() {
        #if os(Linux)
        var parameters = sched_param()
        _ = pthread_setschedparam(pthread_self(), batch, &parameters)
        #endif
    }
}
