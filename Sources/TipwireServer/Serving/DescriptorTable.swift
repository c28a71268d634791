import Foundation

/// The kernel's table of the descriptors that this process has.
enum DescriptorTable {
    /// Has the table made as long as it may have to be, on a thread that can wait for it.
    ///
    /// The kernel makes it twice as long whenever a new descriptor doesn't fit, and where threads share it waits each time until
    /// nobody can be looking at the old one: 10 to 20 ms, in which whoever accepted a connection does nothing else. When ten
    /// thousand clients come at once that would be six such waits of an event loop, with everyone's events behind them. It
    /// never gets shorter again.
    ///
    /// - Parameter count: descriptors, eight bytes of the kernel's memory each. If as many aren't to be had nothing happens.
    static func makeRoom(for count: Int) {
        Thread.detachNewThread {
            let any = open("/dev/null", O_RDONLY | O_CLOEXEC)
            guard any >= 0 else { return }
            let last = fcntl(any, F_DUPFD_CLOEXEC, CInt(clamping: count - 1))
            if last >= 0 { close(last) }
            close(any)
        }
    }
}
