import Glibc

/// Thousands of clients in one thread: a record each, one shared buffer.
///
/// They share processor and clock with what they measure, so a delivery must cost them little: one `recv`, a look at
/// a frame's header or a line's end, and the digits that tell which event it is. Nothing is allocated for it.
final class Subscribers {
    private enum Phase: UInt8 {
        case connecting
        case asking
        case open
        case gone
    }

    private struct Subscriber {
        var descriptor: Int32 = -1
        var phase = Phase.connecting
        /// Events that it has got.
        var position = 0
        /// The beginning of a frame or line whose rest has not come yet; nil at nearly all times.
        var residue: [UInt8]?
        /// Where an event stream is; a WebSocket's frames need no memory.
        var lines = EventStreamReader()
    }

    /// One a page; an equal number of neighbours listens to each.
    var logs: [DeliveryLog]
    /// The first thing that was wrong on any of them.
    private(set) var firstFault: String?
    /// Messages of events that came, and calls that read something, a handshake's answer included.
    private(set) var deliveries = 0
    private(set) var reads = 0
    private(set) var opened = 0
    /// What each of them asks for; all are there before the first is opened.
    var paths: [String] = []
    /// Whether each is told where its stream begins before the first event.
    var isGreeted = false
    /// The room that the kernel keeps for what one of them has not read, in bytes; nil for the usual.
    var receiveBuffer: Int32?
    /// Whether each delivery is timed. Only then is the clock read.
    var isTiming = false

    private let form: StreamForm
    private let poller: Poller
    private let capacity: Int
    private let listenersEach: Int
    private let records: UnsafeMutablePointer<Subscriber>
    private let scratch: UnsafeMutableRawBufferPointer
    private let port: UInt16
    private(set) var started = 0

    /// Most bytes read by one call: several times the burst that is ever under way.
    private static let room = 256 * 1_024

    init(_ count: Int, of form: StreamForm, pages: Int = 1, port: UInt16, poller: Poller) {
        precondition(count.isMultiple(of: pages))
        self.form = form
        self.poller = poller
        self.port = port
        capacity = count
        listenersEach = count / pages
        var log = DeliveryLog()
        log.connections = listenersEach
        logs = Array(repeating: log, count: pages)
        records = .allocate(capacity: count)
        records.initialize(repeating: Subscriber(), count: count)
        scratch = .allocate(byteCount: Self.room, alignment: 16)
    }

    /// The only page's.
    var log: DeliveryLog {
        get { logs[0] }
        set { logs[0] = newValue }
    }

    deinit {
        for index in 0..<started where records[index].phase != .gone { close(records[index].descriptor) }
        records.deinitialize(count: capacity)
        records.deallocate()
        scratch.deallocate()
    }

    /// Begins one more connection.
    func open() throws {
        let descriptor = try Socket.startConnecting(to: port, receiveBuffer: receiveBuffer)
        records[started].descriptor = descriptor
        try poller.add(descriptor, token: UInt64(started), for: .writable)
        started += 1
    }

    /// Does what the poller reported for one of them.
    func handle(_ index: Int, _ interest: Poller.Interest) throws {
        switch records[index].phase {
        case .open: try receive(index)
        case .connecting: try ask(index)
        case .asking: try finishAsking(index)
        case .gone: break
        }
    }

    private func ask(_ index: Int) throws {
        let descriptor = records[index].descriptor
        guard Socket.isConnected(descriptor) else { throw BenchError("connection \(index) was refused") }
        Socket.sendAtOnce(descriptor)
        let request = form.request(path: paths[index], port: port)
        let sent = request.withUnsafeBytes {
            send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard sent == request.count else { throw BenchError.call("handshake \(index)") }
        records[index].phase = .asking
        try poller.change(descriptor, token: UInt64(index), to: .readable)
    }

    private func finishAsking(_ index: Int) throws {
        guard let bytes = try read(index) else { return }
        let answer = Array(bytes)
        guard let end = HTTPText.endOfHead(answer) else {
            records[index].residue = answer
            return
        }
        guard form.isGranted(by: answer[..<end]) else {
            throw BenchError("handshake \(index) was answered '\(String(decoding: answer.prefix(160), as: UTF8.self))'")
        }
        records[index].phase = .open
        if form == .eventStream { records[index].lines = EventStreamReader(head: answer[..<end]) }
        opened += 1
        guard end < answer.count else { return }
        answer[end...].withUnsafeBytes { walk($0, index) }
    }

    @inline(__always)
    private func receive(_ index: Int) throws {
        guard let bytes = try read(index) else { return }
        walk(bytes, index)
    }

    /// What has come, after what had been left; nil when there is nothing or the connection has ended.
    @inline(__always)
    private func read(_ index: Int) throws -> UnsafeRawBufferPointer? {
        var kept = 0
        if let residue = records[index].residue {
            scratch.copyBytes(from: residue)
            kept = residue.count
            records[index].residue = nil
        }
        let count = recv(records[index].descriptor, scratch.baseAddress! + kept, Self.room - kept, 0)
        if count > 0 {
            reads += 1
            return UnsafeRawBufferPointer(rebasing: scratch[..<(kept + count)])
        }
        if count < 0, errno == EAGAIN {
            if kept > 0 { records[index].residue = Array(scratch[..<kept]) }
            return nil
        }
        lose(index, count == 0 ? "the server ended it" : String(cString: strerror(errno)))
        return nil
    }

    private func lose(_ index: Int, _ reason: String) {
        fault("connection \(index) was lost: \(reason)")
        close(records[index].descriptor)
        records[index].phase = .gone
    }

    private func fault(_ text: String) {
        if firstFault == nil { firstFault = text }
    }

    /// Goes through what has come; keeps the beginning of what has not come whole.
    private func walk(_ bytes: UnsafeRawBufferPointer, _ index: Int) {
        let now = isTiming ? nanoseconds() : 0
        let page = index / listenersEach
        var offset = 0
        while let piece = next(in: bytes, at: &offset, index) {
            switch piece {
            case .event(let sequence, let size):
                logs[page].deliver(sequence, size: size, position: records[index].position, at: now)
                records[index].position += 1
                deliveries += 1
            case .ping(let payload): pong(bytes[payload], index)
            case .foreign where isGreeted && records[index].position == 0: break
            case .foreign: fault("connection \(index) got a message that is no event")
            case .closed(let code): return lose(index, "closed with \(code)")
            case .broken(let what): return lose(index, "\(what)")
            }
        }
        if offset < bytes.count { records[index].residue = Array(bytes[offset...]) }
        if let wrong = logs[page].firstFault { fault(wrong) }
    }

    @inline(__always)
    private func next(in bytes: UnsafeRawBufferPointer, at offset: inout Int, _ index: Int) -> StreamPiece? {
        switch form {
        case .webSocket, .eventSub: WebSocketReader.next(in: bytes, at: &offset)
        case .eventStream: records[index].lines.next(in: bytes, at: &offset)
        }
    }

    /// A masked pong; with a mask of zeros the payload stays as it is.
    private func pong(_ payload: Slice<UnsafeRawBufferPointer>, _ index: Int) {
        let pong = [0x8A, 0x80 | UInt8(payload.count), 0, 0, 0, 0] + payload
        _ = pong.withUnsafeBytes { send(records[index].descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }
}
