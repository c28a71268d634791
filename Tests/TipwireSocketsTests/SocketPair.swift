import Foundation

/// Two ends of a connection: one that is sent to, with little room, and one that the test reads when it wants to.
final class SocketPair {
    let sending: CInt
    private let receiving: CInt
    private(set) var received: [UInt8] = []
    private var isOpen = true

    init(sendBuffer: CInt = 4_608) {
        var ends: [CInt] = [-1, -1]
        precondition(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0, "no socket to be had")
        (sending, receiving) = (ends[0], ends[1])
        var room = sendBuffer
        setsockopt(sending, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<CInt>.size))
    }

    deinit {
        closeReceiving()
        close(sending)
    }

    /// Reads what has come, up to `count` bytes.
    func read(upTo count: Int = .max) {
        var left = count
        while isOpen, left > 0 {
            var bytes = [UInt8](repeating: 0, count: min(left, 65_536))
            let taken = recv(receiving, &bytes, bytes.count, CInt(MSG_DONTWAIT))
            guard taken > 0 else { return }
            received += bytes[..<taken]
            left -= taken
        }
    }

    func closeReceiving() {
        if isOpen { close(receiving) }
        isOpen = false
    }
}
