import NIOCore

/// The connection of a stream, as who speaks on it sees it: a channel with all that NIO can do for it, or a bare socket.
///
/// Belongs to its event loop. Nothing waits: what the kernel doesn't take is kept, in order, until it does.
public protocol StreamTransport: AnyObject {
    /// Whether little enough is kept for more to be sent.
    var isWritable: Bool { get }
    /// Whether bytes that were sent have not left this process yet.
    var hasUnsent: Bool { get }
    /// Where bytes may be sent past this, in this turn of the loop; nil if they have to be sent by it: something is kept, or
    /// they must be made into something else first. What a socket doesn't take of them is sent by this, before anything else.
    var openDescriptor: NIOBSDSocket.Handle? { get }
    /// Sends bytes. Tells the delegate that they are `held`, before it does anything else, if the kernel doesn't take all.
    func send(_ bytes: ByteBuffer)
    /// Whether the peer's bytes are read. Its end is seen at any rate.
    func setReading(_ isReading: Bool)
    /// Ends our side behind what was sent.
    func closeOutput()
    /// Ends the connection. What is kept is forgotten.
    func close()
    /// The same in a while, if it is open then.
    func close(in time: TimeAmount)
}

/// Who speaks on a stream's connection.
public protocol StreamTransportDelegate: AnyObject {
    func received(_ bytes: ByteBuffer)
    /// The peer sends no more.
    func inputEnded()
    func writabilityChanged()
    /// Bytes are about to be kept that the kernel did not take: until there are none, what comes goes behind them.
    func held()
    /// The connection is broken. It isn't closed yet.
    func failed(_ error: any Error)
    /// The connection is no more. May come twice.
    func ended()
    /// The server is going down.
    func shutDown()
}
