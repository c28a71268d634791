import Glibc

/// One keep-alive HTTP/1.1 connection with one request at a time: as little as a POST needs.
///
/// The body of an answer is counted and thrown away unless somebody wants it: a batch of 1,000 tips is answered with
/// half a megabyte, and copying it would be this tool's time, not the server's.
final class HTTPConnection {
    private enum State {
        case idle
        /// Sent up to `sent`; the answer's head is being collected.
        case waiting
        case body(status: Int, missing: Int)
    }

    let descriptor: Int32
    /// When the request that is under way was handed over, in nanoseconds.
    private(set) var startedAt: Int64 = 0
    /// The last answer's body, if it was asked for.
    private(set) var body: [UInt8] = []
    private var state = State.idle
    private var keepsBody = false
    private var request: [UInt8] = []
    private var sent = 0
    private var head: [UInt8] = []

    /// Most bytes of an answer's head.
    private static let headLimit = 16 * 1_024
    private static let room = 256 * 1_024
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 16)

    init(port: UInt16) throws {
        descriptor = try Socket.startConnecting(to: port)
        guard Socket.wait(for: descriptor, events: Int32(POLLOUT), milliseconds: 5_000), Socket.isConnected(descriptor)
        else {
            close(descriptor)
            throw BenchError("nothing answers on port \(port)")
        }
        Socket.sendAtOnce(descriptor)
    }

    deinit {
        close(descriptor)
        scratch.deallocate()
    }

    var isIdle: Bool { if case .idle = state { true } else { false } }
    /// Whether a part of the request waits for room in the socket.
    private var wantsToWrite: Bool { sent < request.count }

    /// Starts a request. The rest of a long one is written as the socket takes it.
    func start(_ bytes: [UInt8], keepingBody: Bool = false) throws {
        precondition(isIdle)
        request = bytes
        sent = 0
        keepsBody = keepingBody
        state = .waiting
        startedAt = nanoseconds()
        try flush()
    }

    /// Starts a request, and has the poller say when there is room for what the socket didn't take of it.
    func start(_ bytes: [UInt8], keepingBody: Bool = false, watchedBy poller: Poller, token: UInt64) throws {
        try start(bytes, keepingBody: keepingBody)
        if wantsToWrite { try poller.change(descriptor, token: token, to: [.readable, .writable]) }
    }

    /// Does what the poller reported; returns the status once the answer is complete.
    func proceed(watchedBy poller: Poller, token: UInt64) throws -> Int? {
        if wantsToWrite {
            try flush()
            if !wantsToWrite { try poller.change(descriptor, token: token, to: .readable) }
        }
        return try receive()
    }

    private func flush() throws {
        while sent < request.count {
            let count = request.withUnsafeBytes {
                send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0 {
                guard errno == EAGAIN else { throw BenchError.call("POST") }
                return
            }
            sent += count
        }
    }

    /// Reads what has come; returns the status once the answer is complete.
    func receive() throws -> Int? {
        while true {
            let count = recv(descriptor, scratch.baseAddress, Self.room, 0)
            if count < 0 {
                guard errno == EAGAIN else { throw BenchError.call("answer") }
                return nil
            }
            guard count > 0 else { throw BenchError("the server closed an HTTP connection") }
            if let status = try take(UnsafeRawBufferPointer(rebasing: scratch[..<count])) { return status }
            // A short read has emptied the socket; asking again would be a system call for nothing.
            if count < Self.room { return nil }
        }
    }

    /// A whole exchange, for preparing and checking: nothing is measured by it.
    func call(_ bytes: [UInt8], within seconds: Double = 30) throws -> (status: Int, body: [UInt8]) {
        try start(bytes, keepingBody: true)
        let deadline = nanoseconds() + Int64(seconds * 1e9)
        while nanoseconds() < deadline {
            let events = Int32(POLLIN) | (wantsToWrite ? Int32(POLLOUT) : 0)
            guard Socket.wait(for: descriptor, events: events, milliseconds: 100) else { continue }
            try flush()
            if let status = try receive() { return (status, body) }
        }
        throw BenchError("no answer within \(Int(seconds)) s")
    }

    private func take(_ bytes: UnsafeRawBufferPointer) throws -> Int? {
        var rest = bytes
        if case .waiting = state {
            head.append(contentsOf: bytes)
            guard let end = HTTPText.endOfHead(head) else {
                guard head.count <= Self.headLimit else { throw BenchError("an answer's head is too long") }
                return nil
            }
            let (status, length) = try HTTPText.answer(head[..<end])
            body.removeAll(keepingCapacity: true)
            state = .body(status: status, missing: length)
            rest = UnsafeRawBufferPointer(rebasing: bytes[(bytes.count - (head.count - end))...])
            head.removeAll(keepingCapacity: true)
        }
        guard case .body(let status, let missing) = state else { throw BenchError("an answer that nobody asked for") }
        guard rest.count <= missing else { throw BenchError("an answer is longer than it says") }
        if keepsBody { body.append(contentsOf: rest) }
        state = rest.count == missing ? .idle : .body(status: status, missing: missing - rest.count)
        return isIdle ? status : nil
    }
}

/// Requests as bytes, and the two things that matter of an answer's head.
enum HTTPText {
    static func request(
        _ method: String, _ path: String, key: String? = nil, body: [UInt8] = [], type: String = "application/json"
    ) -> [UInt8] {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if let key { head += "Authorization: Bearer \(key)\r\n" }
        if method != "GET" { head += "Content-Type: \(type)\r\nContent-Length: \(body.count)\r\n" }
        return Array((head + "\r\n").utf8) + body
    }

    /// The index after the empty line, once it is there.
    static func endOfHead(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for index in 3..<bytes.count where bytes[index] == 10 {
            if bytes[index - 1] == 13, bytes[index - 2] == 10, bytes[index - 3] == 13 { return index + 1 }
        }
        return nil
    }

    /// Status and length of body. Chunked answers are refused: no server here sends them for a POST, and counting
    /// them wrongly would be worse.
    static func answer(_ head: ArraySlice<UInt8>) throws -> (status: Int, length: Int) {
        let status = head.dropFirst(9).prefix(3).reduce(0) { $0 * 10 + Int($1 &- UInt8(ascii: "0")) }
        guard let value = field("content-length", of: head) else {
            if status == 204 { return (status, 0) }
            throw BenchError("an answer (status \(status)) has no Content-Length")
        }
        guard let length = Int(value) else { throw BenchError("Content-Length '\(value)' is no number") }
        return (status, length)
    }

    /// A header field's value. Compares bytes, since this runs for each answer of the intake series.
    static func field(_ name: StaticString, of head: ArraySlice<UInt8>) -> String? {
        head.withUnsafeBytes { bytes in
            var start = 0
            for end in 0..<bytes.count where bytes[end] == 10 {
                let width = name.utf8CodeUnitCount
                if end - start > width, bytes[start + width] == UInt8(ascii: ":"),
                    strncasecmp(
                        (bytes.baseAddress! + start).assumingMemoryBound(to: CChar.self),
                        UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self), width) == 0
                {
                    var value = bytes[(start + width + 1)..<end]
                    while let first = value.first, first == 32 { value = value.dropFirst() }
                    while let last = value.last, last <= 32 { value = value.dropLast() }
                    return String(decoding: value, as: UTF8.self)
                }
                start = end + 1
            }
            return nil
        }
    }
}
