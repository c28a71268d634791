import ArgumentParser
import Glibc
import NIOCore
import TipwireSockets

/// The floor itself, started by `Floor`.
struct FloorServerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "floor-server", abstract: "The minimal epoll and send() server that others are compared with.",
        shouldDisplay: false)

    @Option var form: StreamForm
    @Flag var ring = false

    func run() throws {
        let server = try FloorServer(giving: form, sender: ring ? SendingWay.ring.makeSender { _ in } : nil)
        writeLine("port \(server.port)")
        try server.run()
    }
}

/// Takes subscribers of one form and POSTs; sends each posted body to each subscriber with one `send`.
///
/// It trusts its one client, which is this tool: a request comes whole or nearly so, the handshake's key is the fixed
/// one, and no more is under way than a socket takes. A send that falls short ends the connection, which the client
/// reports as the fault that it is.
final class FloorServer {
    let port: UInt16
    private let form: StreamForm
    /// Sends to many by one system call; nil for one each.
    private let sender: (any SocketSender)?
    private let listener: Int32
    private let poller: Poller
    private var subscribers: [Int32] = []
    /// Beginnings of requests, by descriptor.
    private var partial: [Int32: [UInt8]] = [:]
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 16)
    private static let room = 64 * 1_024
    private static let listenerToken = UInt64.max

    private static let done = Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8)

    init(giving form: StreamForm, sender: (any SocketSender)?) throws {
        self.form = form
        self.sender = sender
        _ = Processors.raiseDescriptorLimit()
        (listener, port) = try Socket.listening()
        poller = try Poller()
        try poller.add(listener, token: Self.listenerToken)
    }

    func run() throws {
        while true {
            for index in 0..<(try poller.wait(milliseconds: -1)) {
                let token = poller.token(at: index)
                if token == Self.listenerToken { try acceptAll() } else { receive(Int32(token)) }
            }
        }
    }

    private func acceptAll() throws {
        let flags = Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        while true {
            let descriptor = Linux.accept4(listener, nil, nil, flags)
            guard descriptor >= 0 else { return }
            Socket.sendAtOnce(descriptor)
            try poller.add(descriptor, token: UInt64(descriptor))
        }
    }

    private func receive(_ descriptor: Int32) {
        let count = recv(descriptor, scratch.baseAddress, Self.room, 0)
        guard count > 0 else {
            if count == 0 || errno != EAGAIN { end(descriptor) }
            return
        }
        let bytes = (partial.removeValue(forKey: descriptor) ?? []) + scratch[..<count]
        guard let head = HTTPText.endOfHead(bytes) else {
            partial[descriptor] = bytes
            return
        }
        if bytes[0] == UInt8(ascii: "G") {
            subscribers.append(descriptor)
            write(opening, to: descriptor)
            return
        }
        let length = HTTPText.field("content-length", of: bytes[..<head]).flatMap { Int($0) } ?? 0
        guard bytes.count >= head + length else {
            partial[descriptor] = bytes
            return
        }
        write(Self.done, to: descriptor)
        fanOut(bytes[head..<(head + length)])
    }

    private func fanOut(_ body: ArraySlice<UInt8>) {
        let frame = framed(body)
        if let sender {
            let parcel = sender.hold(ByteBuffer(bytes: frame))
            for descriptor in subscribers { sender.send(parcel, to: descriptor, recipient: Int(descriptor)) }
            for shortfall in sender.finish() { shutdown(Int32(shortfall.recipient), Int32(SHUT_RDWR)) }
            return
        }
        frame.withUnsafeBytes { bytes in
            for descriptor in subscribers {
                let sent = send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
                if sent != bytes.count { shutdown(descriptor, Int32(SHUT_RDWR)) }
            }
        }
    }

    private var opening: [UInt8] {
        let head =
            switch form {
            case .webSocket, .eventSub:
                "101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    + "Sec-WebSocket-Accept: \(StreamForm.webSocketAccept)"
            case .eventStream: "200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked"
            }
        return Array("HTTP/1.1 \(head)\r\n\r\n".utf8)
    }

    /// A frame with a length of 16 bits, or a chunk with one message.
    private func framed(_ body: ArraySlice<UInt8>) -> [UInt8] {
        switch form {
        case .webSocket, .eventSub: return [0x81, 126, UInt8(body.count >> 8), UInt8(body.count & 0xFF)] + body
        case .eventStream:
            let content = Array("data: ".utf8) + body + [10, 10]
            return Array("\(String(content.count, radix: 16))\r\n".utf8) + content + [13, 10]
        }
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32) {
        _ = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    /// Linear in the subscribers, and only run when a measurement is over.
    private func end(_ descriptor: Int32) {
        subscribers.removeAll { $0 == descriptor }
        partial[descriptor] = nil
        close(descriptor)
    }
}
