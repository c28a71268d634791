import Glibc

/// Thousands of WebSocket clients in one thread: a record each, one shared buffer, frames told apart by their headers.
///
/// They share processor and clock with what they measure, so a delivery must cost them little: one `recv`, a look at
/// two to four header bytes and the digits at the message's end. Nothing is allocated for it.
final class Subscribers {
    private enum Phase: UInt8 {
        case connecting
        case shaking
        case open
        case gone
    }

    private struct Subscriber {
        var descriptor: Int32 = -1
        var phase = Phase.connecting
        /// Events that it has got.
        var position = 0
        /// The beginning of a frame whose rest has not come yet; nil at nearly all times.
        var residue: [UInt8]?
    }

    var log = DeliveryLog()
    private(set) var opened = 0
    /// Whether each delivery is timed. Only then is the clock read.
    var isTiming = false

    private let poller: Poller
    private let capacity: Int
    private let records: UnsafeMutablePointer<Subscriber>
    private let scratch: UnsafeMutableRawBufferPointer
    private let request: [UInt8]
    private let port: UInt16
    private(set) var started = 0

    /// Most bytes read by one call: several times the burst that is ever under way.
    private static let room = 256 * 1_024
    /// The key of RFC 6455's own example, and the answer to it. A fixed one spares this tool SHA-1; servers can't tell.
    static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    init(_ count: Int, port: UInt16, path: String, poller: Poller) {
        self.poller = poller
        self.port = port
        capacity = count
        records = .allocate(capacity: count)
        records.initialize(repeating: Subscriber(), count: count)
        scratch = .allocate(byteCount: Self.room, alignment: 16)
        log.connections = count
        request = Array(
            ("GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Key: \(Self.key)\r\nSec-WebSocket-Version: 13\r\n\r\n").utf8)
    }

    deinit {
        for index in 0..<started where records[index].phase != .gone { close(records[index].descriptor) }
        records.deinitialize(count: capacity)
        records.deallocate()
        scratch.deallocate()
    }

    /// Begins one more connection.
    func open() throws {
        let descriptor = try Socket.startConnecting(to: port)
        records[started].descriptor = descriptor
        try poller.add(descriptor, token: UInt64(started), for: .writable)
        started += 1
    }

    /// Does what the poller reported for one of them.
    func handle(_ index: Int, _ interest: Poller.Interest) throws {
        switch records[index].phase {
        case .open: try receive(index)
        case .connecting: try shake(index)
        case .shaking: try finishShaking(index)
        case .gone: break
        }
    }

    private func shake(_ index: Int) throws {
        let descriptor = records[index].descriptor
        guard Socket.isConnected(descriptor) else { throw BenchError("connection \(index) was refused") }
        Socket.sendAtOnce(descriptor)
        let sent = request.withUnsafeBytes {
            send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard sent == request.count else { throw BenchError.call("handshake \(index)") }
        records[index].phase = .shaking
        try poller.change(descriptor, token: UInt64(index), to: .readable)
    }

    private func finishShaking(_ index: Int) throws {
        guard let bytes = try read(index) else { return }
        let answer = Array(bytes)
        guard let end = HTTPText.endOfHead(answer) else {
            records[index].residue = answer
            return
        }
        let head = answer[..<end]
        guard String(decoding: head.prefix(12), as: UTF8.self) == "HTTP/1.1 101",
            HTTPText.field("sec-websocket-accept", of: head) == Self.accept
        else {
            throw BenchError("handshake \(index) was answered '\(String(decoding: answer.prefix(160), as: UTF8.self))'")
        }
        records[index].phase = .open
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
        if count > 0 { return UnsafeRawBufferPointer(rebasing: scratch[..<(kept + count)]) }
        if count < 0, errno == EAGAIN {
            if kept > 0 { records[index].residue = Array(scratch[..<kept]) }
            return nil
        }
        lose(index, count == 0 ? "the server ended it" : String(cString: strerror(errno)))
        return nil
    }

    private func lose(_ index: Int, _ reason: String) {
        log.fault("connection \(index) was lost: \(reason)")
        close(records[index].descriptor)
        records[index].phase = .gone
    }

    /// Goes through the frames; keeps the beginning of one that has not come whole.
    private func walk(_ bytes: UnsafeRawBufferPointer, _ index: Int) {
        let now = isTiming ? nanoseconds() : 0
        var offset = 0
        while bytes.count - offset >= 2 {
            var header = 2
            var length = Int(bytes[offset + 1])
            if length == 126 {
                guard bytes.count - offset >= 4 else { break }
                length = Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3])
                header = 4
            } else if length > 126 {
                return lose(index, "a frame that is masked or longer than 65,535 bytes")
            }
            let end = offset + header + length
            guard end <= bytes.count else { break }
            let payload = UnsafeRawBufferPointer(rebasing: bytes[(offset + header)..<end])
            if bytes[offset] == 0x81, let sequence = EventMessage.sequence(of: payload) {
                log.deliver(sequence, size: length, position: records[index].position, at: now)
                records[index].position += 1
            } else {
                handleOther(bytes[offset], payload, index)
                if records[index].phase == .gone { return }
            }
            offset = end
        }
        if offset < bytes.count { records[index].residue = Array(bytes[offset...]) }
    }

    private func handleOther(_ first: UInt8, _ payload: UnsafeRawBufferPointer, _ index: Int) {
        switch first & 0x0F {
        case 0x9:
            // A masked pong; with a mask of zeros the payload stays as it is.
            let pong = [0x8A, 0x80 | UInt8(payload.count), 0, 0, 0, 0] + payload
            _ = pong.withUnsafeBytes {
                send(records[index].descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
        case 0xA: break
        case 0x8:
            let code = payload.count >= 2 ? Int(payload[0]) << 8 | Int(payload[1]) : 1005
            lose(index, "closed with \(code)")
        default: log.fault("connection \(index) got a message that is no event")
        }
    }
}
