import Foundation
import NIOCore

/// How many event loops the server has: one for each processor that it may run on.
public enum EventLoopCount {
    /// Fits NIO's count to the processors that this process is held to (`taskset`, systemd's `CPUAffinity=`), of which NIO, which
    /// knows the machine's and the quota of a container, knows nothing. More loops than processors would only take turns, and
    /// each turn of a fan-out would be cut in pieces. Once, before there is an event loop.
    ///
    /// `NIO_SINGLETON_GROUP_LOOP_COUNT` has the last word.
    public static func fit(environment: [String: String] = ProcessInfo.processInfo.environment) {
        guard environment["NIO_SINGLETON_GROUP_LOOP_COUNT"] == nil,
            let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let allowed = allowedProcessors(status), allowed < System.coreCount
        else { return }
        NIOSingletons.groupLoopCountSuggestion = allowed
    }

    /// The processors that a process may run on, by its `/proc/self/status`; nil if that doesn't say.
    ///
    /// - Parameter status: with a line `Cpus_allowed: ff,ffffffff`, a mask of bits in groups of hexadecimal digits.
    static func allowedProcessors(_ status: String) -> Int? {
        let name = "Cpus_allowed:"
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix(name) }) else { return nil }
        let count = line.dropFirst(name.count).reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }
        return count > 0 ? count : nil
    }
}
