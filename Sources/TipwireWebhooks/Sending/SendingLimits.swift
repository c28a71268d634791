import NIOCore

/// What one attempt may take, and what is kept between attempts; each with its reason.
public struct SendingLimits: Sendable {
    /// For the connection, the TLS handshake included. A host that is up answers within one of TCP's first two tries. A
    /// new connection that isn't used within as much again is closed.
    public var connect = TimeAmount.seconds(5)
    /// From sending the request to the end of the answer's head.
    public var head = TimeAmount.seconds(15)
    /// From the beginning to the end of the answer. The look-up of the name counts, but isn't cut short: it has a
    /// limit of its own.
    public var whole = TimeAmount.seconds(15)
    /// Bytes of an answer that are read, its head included. Past that the connection is closed, and the status counts.
    public var answerBytes = 64 * 1024
    /// Bytes of an answer's body that are kept, to be shown to whoever looks for the fault.
    public var excerptBytes = 2 * 1024
    /// Idle connections in all. Each holds a descriptor. Not bounded for one target beside: a platform has its receivers for
    /// a thousand webhooks at one address, and each is about to be asked again.
    public var idle = 512
    /// How long a connection stays idle. Shorter than the five seconds after which common servers close theirs, so that
    /// a request seldom meets one that is being closed.
    public var idleTime = TimeAmount.seconds(4)
    /// How long a connection is used again. Behind one address there may be several machines, and they change.
    public var connectionAge = TimeAmount.seconds(60)

    public init() {}
}
