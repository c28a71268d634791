/// A server that can be measured: Tipwire itself, or a peer that it is compared with.
protocol Contender {
    /// What it is called in tables and on the command line.
    var name: String { get }
    /// Why it can't run here and what would help, in one line; nil if it can.
    var obstacle: String? { get }
    /// Starts it with nothing in it.
    func start(_ launcher: Launcher) throws -> RunningServer
}

/// Where a running server takes events and gives them.
struct Endpoint {
    var publishPort: UInt16
    var subscribePort: UInt16
    var subscribePath: String
    /// The whole HTTP request that publishes one event. Peers are told its sequence number; Tipwire counts itself.
    var request: (_ sequence: Int64) -> [UInt8]
    /// Whether the server gives the sequence numbers, and so must deliver by them.
    var numbersItself: Bool
}

/// A server that runs until it is stopped.
struct RunningServer {
    var process: ChildProcess
    var endpoint: Endpoint
}
