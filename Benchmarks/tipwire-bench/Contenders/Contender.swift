/// A server that can be measured: Tipwire itself, or a peer that it is compared with.
protocol Contender {
    /// What it is called in tables and on the command line.
    var name: String { get }
    /// Why it can't run here and what would help, in one line; nil if it can.
    var obstacle: String? { get }
    /// The forms in which it can give events.
    var forms: Set<StreamForm> { get }
    /// Starts it with nothing in it.
    func start(_ launcher: Launcher, giving form: StreamForm) throws -> RunningServer
}

/// Where a running server takes events and gives them.
struct Endpoint {
    var publishPort: UInt16
    var subscribePort: UInt16
    /// What each of so many sockets asks for. Called once, when the server rests, and makes what they need.
    var subscribePaths: (_ sockets: Int) throws -> [String]
    /// The whole HTTP request that publishes the event with this number.
    var request: (_ sequence: Int64) -> [UInt8]
    var numbering: Numbering

    /// Whose number it is that tells which event a message is.
    enum Numbering {
        /// The server's own, given when it takes an event in, and so the order in which it must deliver.
        case server
        /// The one that was posted. A server that keeps a log can be asked for its order, by those numbers.
        case poster(log: (() throws -> [Int64])?)
    }
}

/// A server that runs until it is stopped.
struct RunningServer {
    var process: ChildProcess
    var endpoint: Endpoint
}
