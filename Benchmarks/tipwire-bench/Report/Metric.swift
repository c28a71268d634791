/// A figure with a name: what it is called in JSON and how it stands in a table.
enum Metric: String, CaseIterable, Codable {
    case lockstepCPU, lockstepKernel, lockstepRate, lockstepClientCPU, burstCPU, burstRate, burstPerRead, burstClientCPU
    case pacedP50, pacedP99, pacedLastP50, pacedLastP99, pacedCPU, pacedClientCPU
    case idleBytes, usedBytes, handshakeCPU, publishCPU, clientCPU, messageBytes
    case tipsPerSecond, tipCPU, requestP50, requestP99
    case webhookRate, webhookCPU, webhookConnections
    case pendingBytes, restingMemory, begunMemory, waitingMemory, restartedMemory
    case waitingCPU, emptyStart, pendingStart, stopSeconds
    case stormSeconds, stormCPU, stormClientCPU, quietP99, stormP99, catchUpReads
    case longLogStart, longLogMemory
    case crowdCPU, heardCPU, crowdRate
    case heapSeconds, heapReads, messagesPerRead, heapRest, heapPeak
    case sustainedRate, busyCPU, lagP50, lagP99, lagMost, reachP50, reachP99, reachMost

    /// The rows of a fan-out table, in their order.
    static let fanout: [Metric] = [
        .lockstepCPU, .lockstepKernel, .heardCPU, .lockstepRate, .lockstepClientCPU,
        .burstCPU, .burstRate, .burstPerRead, .burstClientCPU,
        .pacedP50, .pacedP99, .pacedLastP50, .pacedLastP99, .pacedCPU, .pacedClientCPU,
        .idleBytes, .usedBytes, .handshakeCPU, .publishCPU, .messageBytes,
    ]
    /// The rows of an intake table.
    static let intake: [Metric] = [.tipsPerSecond, .tipCPU, .requestP50, .requestP99]
    /// The rows of the table of webhooks that are delivered.
    static let webhooks: [Metric] = [.webhookRate, .webhookCPU, .webhookConnections, .clientCPU, .messageBytes]
    /// The rows of the table of webhooks that wait.
    static let pending: [Metric] = [
        .pendingBytes, .restingMemory, .begunMemory, .waitingMemory, .restartedMemory, .waitingCPU, .pendingStart,
        .emptyStart, .stopSeconds,
    ]

    /// The rows of the tables of one page and of many.
    static let pages: [Metric] = [.crowdCPU, .heardCPU, .publishCPU, .crowdRate, .idleBytes, .clientCPU]
    /// The rows of the tables of heaps of tips.
    static let heap: [Metric] = [
        .crowdCPU, .crowdRate, .heapSeconds, .heapReads, .messagesPerRead, .heapRest, .heapPeak, .clientCPU,
    ]
    /// The rows of the tables of a rate that is held.
    static let sustained: [Metric] = [
        .sustainedRate, .tipCPU, .busyCPU, .lagP50, .lagP99, .lagMost, .reachP50, .reachP99, .reachMost,
    ]

    /// The rows of the table of those who come back at once.
    static let storm: [Metric] = [.stormSeconds, .stormCPU, .stormClientCPU, .catchUpReads, .quietP99, .stormP99]
    /// The rows of the table of a start with a long log.
    static let start: [Metric] = [.longLogStart, .longLogMemory]

    var label: String {
        switch self {
        case .lockstepCPU: "one at a time: server CPU µs/delivery"
        case .lockstepKernel: "               of it in the kernel"
        case .lockstepRate, .burstRate: "               deliveries/s"
        case .burstCPU: "16 in flight:  server CPU µs/delivery"
        case .pacedP50: "10 a second:   POST to socket, p50 ms"
        case .pacedP99: "               p99 ms"
        case .pacedLastP50: "               POST to the last socket, p50 ms"
        case .pacedLastP99: "               p99 ms"
        case .pacedCPU: "               server CPU µs/delivery"
        case .lockstepClientCPU, .burstClientCPU, .pacedClientCPU: "               this client: CPU µs/delivery"
        case .idleBytes: "memory:        idle bytes/socket"
        case .usedBytes: "               bytes/socket after all this"
        case .handshakeCPU: "handshake:     server CPU µs"
        case .publishCPU: "a post alone:  server CPU µs"
        case .clientCPU: "this client:   CPU µs/delivery"
        case .messageBytes: "message:       bytes"
        case .tipsPerSecond: "durable tips/s"
        case .tipCPU: "server CPU µs/tip"
        case .requestP50: "request p50 ms"
        case .requestP99: "request p99 ms"
        case .webhookRate: "durable deliveries/s"
        case .webhookCPU: "server CPU µs/delivery"
        case .webhookConnections: "connections that it took"
        case .pendingBytes: "memory:        bytes/pending delivery"
        case .restingMemory: "               MiB with none waiting"
        case .begunMemory: "               MiB with a tenth waiting"
        case .waitingMemory: "               MiB with all waiting"
        case .restartedMemory: "               MiB after a new start with all waiting"
        case .waitingCPU: "waiting:       server CPU ms/s"
        case .pendingStart: "start:         s to the 'listening' line with all waiting"
        case .emptyStart: "               s with none waiting"
        case .stormSeconds: "s until all have what they missed"
        case .stormCPU: "server CPU µs/socket"
        case .stormClientCPU: "this client: CPU µs/socket"
        case .catchUpReads: "reads of the log"
        case .quietP99: "tip to another page before: p99 ms"
        case .stormP99: "tip to another page meanwhile: p99 ms"
        case .longLogStart: "ms to the 'listening' line"
        case .longLogMemory: "MiB at rest"
        case .crowdCPU: "server CPU µs/delivery"
        case .heardCPU: "               without taking the tips in"
        case .crowdRate: "deliveries/s"
        case .heapSeconds: "a heap:        ms from POST to the last socket"
        case .heapReads: "               reads of a listener"
        case .burstPerRead, .messagesPerRead: "               messages/read"
        case .heapRest: "memory:        MiB at rest before"
        case .heapPeak: "               MiB at the most"
        case .sustainedRate: "tips/s, each in all sockets"
        case .busyCPU: "server CPU ms/s"
        case .lagP50: "201 to the last socket: p50 ms"
        case .lagP99: "               p99 ms"
        case .lagMost: "               most ms"
        case .reachP50: "POST due to the last socket: p50 ms"
        case .reachP99: "               p99 ms"
        case .reachMost: "               most ms"
        case .stopSeconds: "end:           s from SIGTERM with all waiting"
        }
    }

    /// What it is called outside of its table.
    var name: String {
        switch self {
        case .lockstepCPU: "one at a time, server CPU µs/delivery"
        case .burstCPU: "16 in flight, server CPU µs/delivery"
        case .pacedP99: "10 a second, p99 ms"
        case .pacedLastP99: "10 a second, POST to the last socket, p99 ms"
        case .idleBytes: "idle bytes"
        case .heardCPU: "server CPU µs/delivery without taking the tips in"
        default: label
        }
    }

    /// Whether a ratio between servers says anything: not for what the client did or how long the message was.
    var isComparable: Bool {
        switch self {
        case .clientCPU, .lockstepClientCPU, .burstClientCPU, .pacedClientCPU, .stormClientCPU, .messageBytes: false
        default: true
        }
    }

    func text(_ value: Double) -> String {
        switch self {
        case .lockstepRate, .burstRate, .idleBytes, .usedBytes, .messageBytes, .tipsPerSecond, .webhookRate,
            .webhookConnections, .catchUpReads, .crowdRate, .sustainedRate:
            Self.grouped(value)
        case .restingMemory, .begunMemory, .waitingMemory, .restartedMemory, .longLogMemory,
            .heapRest, .heapPeak:
            Self.decimal(value / 1_048_576, 1)
        case .handshakeCPU, .publishCPU, .webhookCPU, .pendingBytes, .heapReads, .burstPerRead, .messagesPerRead,
            .busyCPU:
            Self.decimal(value, 1)
        default: Self.decimal(value, 2)
        }
    }

    /// `12,345`.
    static func grouped(_ value: Double) -> String {
        let digits = String(Int(abs(value).rounded()))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return value < 0 ? "-" + text : text
    }

    /// At least one digit after the point; without Foundation's `String(format:)`, which is a C variadic.
    static func decimal(_ value: Double, _ digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let rounded = Int((abs(value) * Double(scale)).rounded())
        let fraction = String(rounded % scale)
        let padding = String(repeating: "0", count: digits - fraction.count)
        return (value < 0 ? "-" : "") + "\(rounded / scale).\(padding)\(fraction)"
    }
}
