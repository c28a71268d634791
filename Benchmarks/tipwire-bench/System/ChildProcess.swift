import Foundation
import Glibc
import Synchronization

/// The servers that run now, so that Ctrl-C leaves none behind; 0 for none.
private let runningChildren = InlineArray<16, Atomic<pid_t>> { _ in Atomic(0) }

private func exchange(_ old: pid_t, for new: pid_t) -> Bool {
    runningChildren.indices.contains {
        runningChildren[$0].compareExchange(expected: old, desired: new, ordering: .relaxed).exchanged
    }
}

/// A server under test: started with its output captured, measured from outside, stopped for good.
final class ChildProcess {
    let identifier: pid_t
    private let output: Int32
    private var received: [UInt8] = []
    private var isRunning = true

    /// - Parameter errors: the file that takes the standard error.
    init(_ arguments: [String], environment: [String: String] = [:], errors: String) throws {
        var pipes: [Int32] = [0, 0]
        guard pipe(&pipes) == 0 else { throw BenchError.call("pipe") }
        for end in pipes { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        let merged = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let words = arguments.map { strdup($0) } + [nil]
        let variables = merged.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (words + variables).forEach { free($0) } }
        var process = pid_t()
        let status = posix_spawnp(&process, arguments[0], &actions, nil, words, variables)
        close(pipes[1])
        output = pipes[0]
        guard status == 0 else {
            close(output)
            throw BenchError("can't start \(arguments[0]): \(String(cString: strerror(status)))")
        }
        identifier = process
        precondition(exchange(0, for: process), "more servers at once than Ctrl-C could end")
    }

    deinit { stop() }

    /// The next line of the standard output that has the prefix, without it.
    func line(startingWith prefix: String, within seconds: Double) throws -> String {
        let deadline = nanoseconds() + Int64(seconds * 1e9)
        while nanoseconds() < deadline {
            while let end = received.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: received[..<end], as: UTF8.self)
                received.removeSubrange(...end)
                if line.hasPrefix(prefix) { return String(line.dropFirst(prefix.count)) }
            }
            guard Socket.wait(for: output, events: Int32(POLLIN), milliseconds: 100) else { continue }
            let room = 4_096
            let chunk = [UInt8](unsafeUninitializedCapacity: room) { $1 = max(0, read(output, $0.baseAddress, room)) }
            guard !chunk.isEmpty else { throw BenchError("the server ended before it printed '\(prefix)…'") }
            received += chunk
        }
        throw BenchError("the server printed no '\(prefix)…' within \(Int(seconds)) s")
    }

    /// Asks it to end and waits, then ends it. False when it had to be killed.
    @discardableResult
    func stop(patience: Double = 5) -> Bool {
        guard isRunning else { return true }
        isRunning = false
        defer {
            _ = exchange(identifier, for: 0)
            close(output)
        }
        kill(identifier, SIGTERM)
        resume()
        let deadline = nanoseconds() + Int64(patience * 1e9)
        while nanoseconds() < deadline {
            if waitpid(identifier, nil, WNOHANG) == identifier { return true }
            usleep(5_000)
        }
        kill(identifier, SIGKILL)
        waitpid(identifier, nil, 0)
        return false
    }

    /// Keeps it from running until `resume`: one that looks for work without a pause would take the processor from others.
    func pause() { signal(SIGSTOP) }

    func resume() { signal(SIGCONT) }

    private func signal(_ number: Int32) { for process in ProcessUsage.tree(of: identifier) { kill(process, number) } }

    /// Takes the running servers down with this process when someone interrupts it.
    static func endWithUs() {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            Glibc.signal(number) { number in
                for place in runningChildren.indices {
                    let child = runningChildren[place].load(ordering: .relaxed)
                    guard child > 0 else { continue }
                    // SIGTERM, because nginx's worker survives the SIGKILL of its master.
                    kill(child, SIGTERM)
                    kill(child, SIGCONT)
                }
                _exit(128 + number)
            }
        }
    }
}
