import Foundation
import Glibc

/// What a server and the processes it started have used, read from outside.
struct ProcessUsage {
    /// Processor time of user and system together since the start, in nanoseconds.
    var cpuNanoseconds: Int64 = 0
    /// The part spent in the kernel, in nanoseconds; in steps of a clock tick, 10 ms.
    var systemNanoseconds: Int64 = 0
    /// Resident memory, in bytes. Pages that processes of the tree share count for each; a growth is counted once,
    /// since one process works and the others rest.
    var residentBytes: Int64 = 0

    /// Sums over a process and its descendants: nginx, for one, works in a child.
    static func ofTree(_ root: pid_t, memory: Bool) throws -> ProcessUsage {
        var usage = ProcessUsage()
        for process in tree(of: root) { try usage.add(process, memory: memory) }
        return usage
    }

    /// A process and its descendants.
    static func tree(of root: pid_t) -> [pid_t] {
        var all = [root]
        var place = 0
        while place < all.count {
            let process = all[place]
            let children = text("/proc/\(process)/task/\(process)/children") ?? ""
            all += children.split(separator: " ").compactMap { pid_t($0) }
            place += 1
        }
        return all
    }

    /// Resident memory of a process and its descendants once it no longer moves, at most 2 s later.
    ///
    /// - Parameter pause: lets a tenth of a second pass, with whatever has to be done meanwhile.
    static func settledMemory(of root: pid_t, _ pause: () throws -> Void) throws -> Int64 {
        var last: Int64 = 0
        var quiet = 0
        for _ in 0..<20 where quiet < 3 {
            try pause()
            let now = try ofTree(root, memory: true).residentBytes
            quiet = abs(now - last) < max(now / 500, 16_384) ? quiet + 1 : 0
            last = now
        }
        return last
    }

    /// Begins anew with what `peakMemory` tells.
    static func forgetPeak(of process: pid_t) throws {
        // Asks the kernel to forget the most that was resident; all other values of this file would age pages.
        try "5".write(toFile: "/proc/\(process)/clear_refs", atomically: false, encoding: .utf8)
    }

    /// The most that was resident of one process since then, in bytes.
    static func peakMemory(of process: pid_t) throws -> Int64 {
        let status = text("/proc/\(process)/status") ?? ""
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kibibytes = line.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int64($0) })
        else {
            throw BenchError("the kernel tells no VmHWM of process \(process)")
        }
        return kibibytes * 1_024
    }

    /// Processor time of this process, in nanoseconds.
    static func ownCPU() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    private mutating func add(_ process: pid_t, memory: Bool) throws {
        // After the command's name in parentheses, which may hold anything: state is field 3, utime 14, stime 15.
        guard let stat = Self.text("/proc/\(process)/stat"), let name = stat.lastIndex(of: ")") else {
            throw BenchError("the server (process \(process)) is gone")
        }
        let fields = stat[name...].split(separator: " ")
        let tick = 1_000_000_000 / Int64(sysconf(Int32(_SC_CLK_TCK)))
        let user = Int64(fields[12])! * tick
        let system = Int64(fields[13])! * tick
        systemNanoseconds += system
        // The kernel's own count of the same time, not rounded to ticks: at 100 sockets a whole scenario is ten ticks.
        var clock = clockid_t()
        var time = timespec()
        if clock_getcpuclockid(process, &clock) == 0, clock_gettime(clock, &time) == 0 {
            cpuNanoseconds += Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        } else {
            cpuNanoseconds += user + system
        }
        guard memory, let rollup = Self.text("/proc/\(process)/smaps_rollup") else { return }
        for line in rollup.split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            guard words.count >= 2, let kibibytes = Int64(words[1]) else { continue }
            if words[0] == "Rss:" { residentBytes += kibibytes * 1_024 }
        }
    }

    private static func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}
