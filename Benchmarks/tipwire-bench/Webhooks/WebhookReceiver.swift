import Glibc

/// Who gets the webhooks: a plain HTTP/1.1 server that answers each request at once and remembers what came.
///
/// It runs in this tool's one thread and trusts its one client as far as a benchmark may: a body has a length, and a
/// path names a subscription. What was delivered is not taken on trust: each subscription's n-th event must be every
/// other's n-th, and the body must tell of the event that the header names.
final class WebhookReceiver {
    let port: UInt16
    private(set) var log = DeliveryLog()
    /// Requests that came once more. A delivery is promised at least once, so they are told and are no fault.
    private(set) var repeats = 0
    /// Connections that were opened to it so far.
    private(set) var connections = 0
    private let listener: Int32
    private let poller: Poller
    /// The events that each subscription has had.
    private var had: [Set<Int64>]
    /// Beginnings of requests, by descriptor; a key for each open connection.
    private var partial: [Int32: [UInt8]] = [:]
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 16)

    /// Marks the poller's tokens that belong to it.
    static let tokens: UInt64 = 1 << 33
    private static let listenerToken = tokens | 0xFFFF_FFFF
    private static let room = 64 * 1_024
    private static let done = Array("HTTP/1.1 204 No Content\r\n\r\n".utf8)

    init(subscriptions: Int, poller: Poller) throws {
        self.poller = poller
        had = Array(repeating: [], count: subscriptions)
        log.connections = subscriptions
        (listener, port) = try Socket.listening()
        try poller.add(listener, token: Self.listenerToken)
    }

    deinit {
        close(listener)
        for descriptor in partial.keys { close(descriptor) }
        scratch.deallocate()
    }

    /// Where each subscription wants its deliveries.
    var callbacks: [String] { had.indices.map { "http://127.0.0.1:\(port)/\($0)" } }

    /// Does what the poller reported for one of its tokens.
    func handle(_ token: UInt64) throws {
        if token == Self.listenerToken { try acceptAll() } else { try receive(Int32(token & 0xFFFF_FFFF)) }
    }

    /// Throws unless all subscriptions have exactly the events after `base` up to `last`, in order.
    func audit(after base: Int64, to last: Int64) throws {
        try log.audit(after: base, count: Int(last - base), order: Array((base + 1)...last))
    }

    private func acceptAll() throws {
        let flags = Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        while true {
            let descriptor = Linux.accept4(listener, nil, nil, flags)
            guard descriptor >= 0 else { return }
            Socket.sendAtOnce(descriptor)
            partial[descriptor] = []
            connections += 1
            try poller.add(descriptor, token: Self.tokens | UInt64(descriptor))
        }
    }

    private func receive(_ descriptor: Int32) throws {
        let count = recv(descriptor, scratch.baseAddress, Self.room, 0)
        guard count > 0 else {
            guard count == 0 || errno != EAGAIN else { return }
            partial[descriptor] = nil
            close(descriptor)
            return
        }
        var bytes = (partial[descriptor] ?? []) + scratch[..<count]
        while let head = HTTPText.endOfHead(bytes) {
            guard let length = HTTPText.field("content-length", of: bytes[..<head]).flatMap({ Int($0) }) else {
                throw BenchError("a webhook has no Content-Length")
            }
            guard bytes.count >= head + length else { break }
            take(bytes[..<head], body: bytes[head..<(head + length)])
            _ = Self.done.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            bytes.removeFirst(head + length)
        }
        partial[descriptor] = bytes
    }

    private func take(_ head: ArraySlice<UInt8>, body: ArraySlice<UInt8>) {
        let path = String(decoding: head.dropFirst(6).prefix { $0 != 32 }, as: UTF8.self)
        guard head.starts(with: "POST /".utf8), let subscription = Int(path), had.indices.contains(subscription) else {
            return log.fault("a request that is no webhook: '\(String(decoding: head.prefix(80), as: UTF8.self))'")
        }
        let id = HTTPText.field("webhook-id", of: head) ?? ""
        guard let sequence = EventMessage.sequence(ofCursor: id),
            body.withUnsafeBytes({ EventMessage.sequence(of: $0) }) == sequence
        else {
            return log.fault("a webhook whose body is of another event than its id, '\(id)'")
        }
        guard had[subscription].insert(sequence).inserted else {
            repeats += 1
            return
        }
        log.deliver(sequence, size: body.count, position: had[subscription].count - 1, at: 0)
    }
}
