import Glibc

/// What a stretch of work took: time, the server's processor and this tool's.
struct Cost {
    var seconds: Double
    var serverMicroseconds: Double
    /// The part of it that the kernel took, in steps of 10 ms.
    var serverSystemMicroseconds: Double
    var clientMicroseconds: Double

    static let zero = Cost(
        seconds: 0, serverMicroseconds: 0, serverSystemMicroseconds: 0, clientMicroseconds: 0)

    static func += (sum: inout Cost, part: Cost) {
        sum.seconds += part.seconds
        sum.serverMicroseconds += part.serverMicroseconds
        sum.serverSystemMicroseconds += part.serverSystemMicroseconds
        sum.clientMicroseconds += part.clientMicroseconds
    }
}

extension Cost {
    init(of server: ChildProcess, _ body: () throws -> Void) throws {
        let before = try ProcessUsage.ofTree(server.identifier, memory: false)
        let own = ProcessUsage.ownCPU()
        let start = nanoseconds()
        try body()
        let elapsed = nanoseconds() - start
        clientMicroseconds = Double(ProcessUsage.ownCPU() - own) / 1_000
        let after = try ProcessUsage.ofTree(server.identifier, memory: false)
        seconds = Double(elapsed) / 1e9
        serverMicroseconds = Double(after.cpuNanoseconds - before.cpuNanoseconds) / 1_000
        serverSystemMicroseconds = Double(after.systemNanoseconds - before.systemNanoseconds) / 1_000
    }
}
