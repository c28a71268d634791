import Glibc

/// TCP over loopback, the only network of this tool.
enum Socket {
    /// A non-blocking connection attempt; the socket turns writable when it has succeeded.
    ///
    /// - Parameter receiveBuffer: bytes that wait unread at the most, about; nil for as many as the kernel likes.
    static func startConnecting(to port: UInt16, receiveBuffer: Int32? = nil) throws -> Int32 {
        let descriptor = try make()
        // Before the handshake, in which the window's scale is agreed on.
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        let result = withAddress(port) { connect(descriptor, $0, $1) }
        guard result == 0 || errno == EINPROGRESS else {
            let error = BenchError.call("connect to port \(port)")
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// A listening socket and the port that it got.
    static func listening(on port: UInt16 = 0, backlog: Int32 = 4_096) throws -> (descriptor: Int32, port: UInt16) {
        let socket = try refusing(on: port)
        guard listen(socket.descriptor, backlog) == 0 else { throw BenchError.call("listen on port \(port)") }
        return socket
    }

    /// A socket that has a port and doesn't listen: whoever connects to it is refused, and nobody else can take it.
    static func refusing(on port: UInt16 = 0) throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = try make()
        guard withAddress(port, { bind(descriptor, $0, $1) }) == 0 else { throw BenchError.call("port \(port)") }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard result == 0 else { throw BenchError.call("getsockname") }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    /// A port that nobody listens on, for servers that can't choose one and say which. Somebody else could take it
    /// before they do; they then fail to start, loudly.
    static func freePort() throws -> UInt16 {
        let (descriptor, port) = try listening()
        close(descriptor)
        return port
    }

    /// Waits for one socket; false when the time is over.
    static func wait(for descriptor: Int32, events: Int32, milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        return poll(&entry, 1, milliseconds) > 0
    }

    /// Whether a connection attempt that has ended has succeeded.
    static func isConnected(_ descriptor: Int32) -> Bool {
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0
    }

    /// Small requests are sent when they are written: without it Nagle's algorithm would wait for the other side's
    /// acknowledgement, and the tool would measure that.
    static func sendAtOnce(_ descriptor: Int32) {
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func make() throws -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_INET, type, 0)
        guard descriptor >= 0 else { throw BenchError.call("socket") }
        return descriptor
    }

    private static func withAddress<Result>(
        _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
