/// What the subscribers of one page have got, and whether it was right: each event once, the same order everywhere.
///
/// The first connection that gets its n-th event says which one that is; every other must get the same as its n-th.
/// Nothing is assumed of how the server orders posts that were under way together, and any loss, repeat or swap on
/// one connection shows at once.
struct DeliveryLog {
    /// The sequence numbers in the order in which they were delivered.
    private(set) var order: [Int64] = []
    private var known: Set<Int64> = []
    /// How many connections have got their n-th event.
    private(set) var reached: [Int32] = []
    /// Events that all connections have.
    private(set) var completed = 0
    private(set) var deliveries = 0
    private(set) var bytes = 0
    /// What was wrong first.
    private(set) var firstFault: String?

    /// Connections that there are; set when the last has opened.
    var connections = 0
    /// When the events from `firstTimed` on were due, while latency is measured.
    var due: [Int64] = []
    var firstTimed: Int64 = 0
    var latencies = Latencies()
    /// When the last connection got an event, of those that came while deliveries were timed.
    private(set) var completedAt: [Int64: Int64] = [:]

    @inline(__always)
    mutating func deliver(_ sequence: Int64, size: Int, position: Int, at time: Int64) {
        deliveries += 1
        bytes += size
        if position == order.count {
            order.append(sequence)
            reached.append(0)
            if !known.insert(sequence).inserted { fault("event \(sequence) came twice") }
        }
        if order[position] != sequence {
            fault("event \(sequence) came where the others got \(order[position])")
        }
        reached[position] += 1
        if Int(reached[position]) == connections {
            completed += 1
            if time != 0 { completedAt[sequence] = time }
        }
        if time != 0 {
            let index = Int(sequence - firstTimed)
            if due.indices.contains(index) { latencies.record(nanoseconds: time - due[index]) }
        }
    }

    mutating func fault(_ text: String) {
        if firstFault == nil { firstFault = text }
    }

    /// How long after they were due the timed events had come to the last connection.
    func completions() throws -> Latencies {
        var latencies = Latencies()
        for (index, due) in due.enumerated() {
            let sequence = firstTimed + Int64(index)
            guard let reached = completedAt[sequence] else {
                throw BenchError("nobody knows when event \(sequence) came to the last socket")
            }
            latencies.record(nanoseconds: reached - due)
        }
        return latencies
    }

    /// Throws unless all connections have exactly the events after `base`, `count` of them.
    ///
    /// - Parameter wanted: the order in which they must have come; nil where nobody promises more than that all
    ///   connections agree.
    func audit(after base: Int64, count: Int, order wanted: [Int64]?) throws {
        guard order.sorted() == (0..<Int64(count)).map({ base + 1 + $0 }) else {
            throw BenchError("\(order.count) different events came, \(count) were published")
        }
        try audit(order: wanted ?? order)
    }

    /// Throws unless all connections have exactly these events, in this order.
    func audit(order wanted: [Int64]) throws {
        guard order == wanted else {
            throw BenchError("\(order.count) events came, in another order than the log has its \(wanted.count)")
        }
        if let index = reached.firstIndex(where: { Int($0) != connections }) {
            throw BenchError("event \(order[index]) reached \(reached[index]) of \(connections) connections")
        }
    }
}
