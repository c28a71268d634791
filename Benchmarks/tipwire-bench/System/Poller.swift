import Glibc

/// One epoll instance and the room for what it reports.
///
/// The event record is read and written by offset, because its C type is missing from Swift's Glibc module: 32 bits of
/// events and 64 bits of the caller's own, packed without padding on x86-64 only.
final class Poller {
    struct Interest: OptionSet {
        let rawValue: UInt32
        static let readable = Interest(rawValue: 0x001)
        static let writable = Interest(rawValue: 0x004)
        /// Reported whether asked for or not.
        static let failed = Interest(rawValue: 0x008)
        static let hungUp = Interest(rawValue: 0x010)
    }

    #if arch(x86_64)
    private static let stride = 12
    private static let tokenOffset = 4
    #else
    private static let stride = 16
    private static let tokenOffset = 8
    #endif
    /// Events fetched by one call. More would only make the first of them staler.
    private static let capacity = 1_024

    private let descriptor: Int32
    private let records: UnsafeMutableRawPointer

    init() throws {
        descriptor = Linux.epollCreate(O_CLOEXEC)
        guard descriptor >= 0 else { throw BenchError.call("epoll_create1") }
        records = .allocate(byteCount: Self.capacity * Self.stride, alignment: 8)
    }

    deinit {
        close(descriptor)
        records.deallocate()
    }

    func add(_ socket: Int32, token: UInt64, for interest: Interest = .readable) throws {
        try control(1, socket, token, interest)
    }

    func change(_ socket: Int32, token: UInt64, to interest: Interest) throws {
        try control(3, socket, token, interest)
    }

    /// Waits for events; returns how many there are. They are then read by `token(at:)` and `interest(at:)`.
    func wait(milliseconds: Int32) throws -> Int {
        let count = Linux.epollWait(descriptor, records, Int32(Self.capacity), milliseconds)
        if count >= 0 { return Int(count) }
        guard errno == EINTR else { throw BenchError.call("epoll_wait") }
        return 0
    }

    func token(at index: Int) -> UInt64 {
        records.loadUnaligned(fromByteOffset: index * Self.stride + Self.tokenOffset, as: UInt64.self)
    }

    func interest(at index: Int) -> Interest {
        Interest(rawValue: records.loadUnaligned(fromByteOffset: index * Self.stride, as: UInt32.self))
    }

    private func control(_ operation: Int32, _ socket: Int32, _ token: UInt64, _ interest: Interest) throws {
        let result = withUnsafeTemporaryAllocation(byteCount: Self.stride, alignment: 8) { record in
            record.storeBytes(of: interest.rawValue, as: UInt32.self)
            record.storeBytes(of: token, toByteOffset: Self.tokenOffset, as: UInt64.self)
            return Linux.epollControl(descriptor, operation, socket, record.baseAddress)
        }
        guard result == 0 else { throw BenchError.call("epoll_ctl") }
    }
}
