import Glibc

/// The Linux calls that Swift's Glibc module leaves out (epoll, accept4, processor affinity), looked up by name.
///
/// A C shim target would be the usual way. It isn't worth a second language for five calls in a tool that nothing
/// depends on; the signatures below are part of the kernel's promise and don't change.
enum Linux {
    static let epollCreate = function("epoll_create1", as: (@convention(c) @Sendable (Int32) -> Int32).self)
    static let epollControl = function(
        "epoll_ctl", as: (@convention(c) @Sendable (Int32, Int32, Int32, UnsafeMutableRawPointer?) -> Int32).self)
    static let epollWait = function(
        "epoll_wait", as: (@convention(c) @Sendable (Int32, UnsafeMutableRawPointer, Int32, Int32) -> Int32).self)
    static let accept4 = function(
        "accept4",
        as: (@convention(c) @Sendable (Int32, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, Int32) -> Int32).self
    )
    static let getAffinity = function(
        "sched_getaffinity", as: (@convention(c) @Sendable (Int32, Int, UnsafeMutableRawPointer) -> Int32).self)
    static let setAffinity = function(
        "sched_setaffinity", as: (@convention(c) @Sendable (Int32, Int, UnsafeRawPointer) -> Int32).self)

    private static func function<Function>(_ name: String, as type: Function.Type) -> Function {
        guard let address = dlsym(nil, name) else { preconditionFailure("this C library has no \(name)") }
        return unsafeBitCast(address, to: type)
    }
}

/// Why a benchmark could not be carried out, in one line for the person who started it.
struct BenchError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    /// The failure of a system call that was just made; reads `errno`.
    static func call(_ name: String) -> BenchError { BenchError("\(name): \(String(cString: strerror(errno)))") }
}

/// Nanoseconds of the monotonic clock: the one clock of this tool.
func nanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

func seconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds) / 1e9 }

/// Writes a line at once. `print` would buffer when the output is a pipe, and the C global `stdout` that could be
/// flushed is not reachable from Swift 6.
func writeLine(_ line: String, to descriptor: Int32 = 1) {
    var bytes = Array((line + "\n").utf8)[...]
    while !bytes.isEmpty {
        let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard written > 0 else { return }
        bytes = bytes.dropFirst(written)
    }
}
