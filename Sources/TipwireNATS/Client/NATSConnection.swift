import Synchronization

/// What a connection hears, on threads of the library's.
struct NATSEars: Sendable {
    /// The bytes are the library's, and gone afterwards.
    var message: @Sendable (UnsafeRawBufferPointer) -> Void = { _ in }
    /// It was made, lost, made again or given up.
    var changed: @Sendable () -> Void = {}
    /// Messages came faster than they were taken, and some are lost.
    var overrun: @Sendable () -> Void = {}
}

/// One connection to a NATS server, which the library makes anew by itself for as long as that is any use.
///
/// What is said to block must be called on a thread that may wait.
final class NATSConnection: Sendable {
    /// Milliseconds that a connection may take to be made.
    private static let timeout: Int64 = 2_000
    /// Milliseconds that a write may take when the server doesn't read; then the connection is lost.
    private static let writeDeadline: Int64 = 2_000
    /// Milliseconds between two attempts to connect again.
    private static let reconnectWait: Int64 = 250
    /// A server that is silent for two pings of two seconds is gone.
    private static let pingInterval: Int64 = 2_000
    private static let maxPingsOut: CInt = 2
    /// Bytes that wait for a server that is gone. Hardly any: what is late then, the log has told already.
    private static let reconnectBuffer: CInt = 65_536
    /// Messages and bytes that may wait to be taken; beyond it the library drops the newest, and tells.
    private static let maxPendingMessages: CInt = 8_192
    private static let maxPendingBytes: CInt = 32 << 20

    private struct State {
        var connection: Handle?
        var subscription: Handle?
    }

    private let library: LibNATS
    private let address: NATSAddress
    private let name: String
    private let context: Context
    private let state = Mutex(State())

    init(_ library: LibNATS, to address: NATSAddress, name: String) {
        self.library = library
        self.address = address
        self.name = name
        context = Context(library: library)
    }

    /// To be set before it is opened.
    func setEars(_ ears: NATSEars) { context.ears.withLock { $0 = ears } }

    // MARK: Being there

    /// Connects; when the server isn't there, the library goes on trying. Blocks.
    ///
    /// Throws `NATSFailure` when there is no use in that. What was there before must be closed.
    func open() throws(NATSFailure) {
        var options: LibNATS.Options?
        try check(library.makeOptions(&options))
        guard let options else { throw NATSFailure("no options were made") }
        defer { library.freeOptions(options) }
        try configure(options)
        var connection: LibNATS.Connection?
        let status = library.connect(&connection, options)
        guard status == LibNATS.ok || status == LibNATS.notYetConnected, let connection else {
            throw failure(status)
        }
        state.withLock { $0.connection = Handle(connection) }
    }

    private func configure(_ options: LibNATS.Options) throws(NATSFailure) {
        try check(library.setURL(options, address.shown))
        switch address.identity {
        case .none: break
        case .user(let user, let password): try check(library.setUser(options, user, password))
        case .token(let token): try check(library.setToken(options, token))
        }
        if address.isSecure {
            try check(library.setSecure(options, true))
            try check(library.setExpectedHost(options, address.name))
        }
        try check(library.setName(options, name))
        try check(library.setTimeout(options, Self.timeout))
        try check(library.setWriteDeadline(options, Self.writeDeadline))
        try check(library.setPingInterval(options, Self.pingInterval))
        try check(library.setMaxPingsOut(options, Self.maxPingsOut))
        // Its own thread for sending lets a message wait for a millisecond, in the hope of more.
        try check(library.setSendAsap(options, true))
        try check(library.setMaxReconnect(options, -1))
        try check(library.setReconnectWait(options, Self.reconnectWait))
        try check(library.setReconnectBuffer(options, Self.reconnectBuffer))
        let context = context.pointer
        try check(library.setRetry(options, true, natsConnectionChanged, context))
        try check(library.setDisconnected(options, natsConnectionChanged, context))
        try check(library.setReconnected(options, natsConnectionChanged, context))
        try check(library.setClosed(options, natsConnectionChanged, context))
        try check(library.setErrorHandler(options, natsErrorCame, context))
    }

    var isConnected: Bool { connectionState == LibNATS.connected }

    /// Whether it takes an `open` to have it again: it never was, or the library has given up, as it does when the server
    /// refuses who we are.
    var isClosed: Bool { connectionState == LibNATS.closed }

    private var connectionState: CInt {
        state.withLock { state in
            state.connection.map { library.connectionState($0.pointer) } ?? LibNATS.closed
        }
    }

    /// Why it isn't connected, in the library's words; nil when it doesn't know.
    var reason: String? {
        state.withLock { state in
            guard let connection = state.connection?.pointer else { return nil }
            var text: LibNATS.Text?
            let status = library.connectionError(connection, &text)
            guard status != LibNATS.ok else { return nil }
            let detail = text.map { String(cString: $0) } ?? ""
            return detail.isEmpty ? library.text(status) : detail
        }
    }

    /// Ends it. Nothing is heard afterwards but what is being heard already. Blocks.
    func close() {
        let held = state.withLock { state in
            defer { state = State() }
            return state
        }
        // Not under the lock: the library waits for threads that may ask for the state.
        if let subscription = held.subscription { library.destroySubscription(subscription.pointer) }
        if let connection = held.connection { library.destroy(connection.pointer) }
    }

    // MARK: Sending and hearing

    /// Bytes of the longest message that the server takes.
    var maxPayload: Int {
        state.withLock { state in state.connection.map { Int(library.maxPayload($0.pointer)) } ?? 0 }
    }

    /// Writes a message into the socket. Blocks while the server doesn't read. False when it is lost.
    func publish(_ bytes: UnsafeRawBufferPointer, on subject: String) -> Bool {
        // Only `close` takes the connection away, on this same thread.
        guard let connection = state.withLock({ $0.connection?.pointer }) else { return false }
        return library.publish(connection, subject, bytes.baseAddress, CInt(bytes.count)) == LibNATS.ok
    }

    /// Waits until the server has all that was published, for so many milliseconds. Blocks.
    func flush(milliseconds: Int64) {
        guard let connection = state.withLock({ $0.connection?.pointer }) else { return }
        _ = library.flush(connection, milliseconds)
    }

    /// Hears `subject` from here on, and no longer what was heard before. A connection that is made anew still hears it.
    func hear(_ subject: String) throws(NATSFailure) {
        let (connection, old) = state.withLock { state in
            defer { state.subscription = nil }
            return (state.connection?.pointer, state.subscription?.pointer)
        }
        if let old { library.destroySubscription(old) }
        guard let connection else { throw NATSFailure("there is no connection") }
        var subscription: LibNATS.Subscription?
        try check(library.subscribe(&subscription, connection, subject, natsMessageCame, context.pointer))
        guard let subscription else { throw NATSFailure("no subscription was made") }
        state.withLock { $0.subscription = Handle(subscription) }
        try check(library.setPendingLimits(subscription, Self.maxPendingMessages, Self.maxPendingBytes))
    }

    private func check(_ status: LibNATS.Status) throws(NATSFailure) {
        guard status == LibNATS.ok else { throw failure(status) }
    }

    private func failure(_ status: LibNATS.Status) -> NATSFailure {
        var last: LibNATS.Status = LibNATS.ok
        let detail = library.lastError(&last).map { String(cString: $0) } ?? ""
        let text = library.text(status)
        return NATSFailure(last != status || detail.isEmpty ? text : "\(text) (\(detail))")
    }
}

struct NATSFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// What the library gave for something of its own.
///
/// `@unchecked`: an address, which the library lets be used on any thread.
private struct Handle: @unchecked Sendable {
    let pointer: OpaquePointer

    init(_ pointer: OpaquePointer) { self.pointer = pointer }
}

/// What the library hands back to the functions below.
///
/// Kept for ever: the library may be about to call one of them when everything has been destroyed. That is one small object
/// for each `NATSConnection`, of which a process makes two.
private final class Context: Sendable {
    let library: LibNATS
    let ears = Mutex(NATSEars())

    init(library: LibNATS) {
        self.library = library
        _ = Unmanaged.passRetained(self)
    }

    var pointer: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    static func at(_ pointer: UnsafeMutableRawPointer?) -> Context? {
        pointer.map { Unmanaged<Context>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Who hears is asked outside the lock, and may take their time.
    var hearer: NATSEars { ears.withLock { $0 } }
}

// Functions and not closures: a closure that is made in isolated code asks, on the library's thread, whether it is where it
// belongs, and ends the process.

private func natsConnectionChanged(_ connection: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
    Context.at(context)?.hearer.changed()
}

private func natsErrorCame(
    _ connection: OpaquePointer?, _ subscription: OpaquePointer?, _ status: CInt, _ context: UnsafeMutableRawPointer?
) {
    // Of the others, those that matter end the connection, which is told of itself.
    if status == LibNATS.slowConsumer { Context.at(context)?.hearer.overrun() }
}

private func natsMessageCame(
    _ connection: OpaquePointer?, _ subscription: OpaquePointer?, _ message: OpaquePointer?,
    _ context: UnsafeMutableRawPointer?
) {
    guard let message, let context = Context.at(context) else { return }
    defer { context.library.destroyMessage(message) }
    context.hearer.message(
        UnsafeRawBufferPointer(
            start: context.library.data(message), count: Int(context.library.dataLength(message))))
}
