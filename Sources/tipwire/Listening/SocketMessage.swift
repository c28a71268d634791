/// A text message of a dialect on WebSocket, as far as a `SocketSession` has to know it.
protocol SocketMessage: Equatable, Sendable {
    /// What a client sends to be answered.
    static var ping: String { get }
    /// Whether the first ping is sent as soon as the connection stands. Its answer is the first sign that the server
    /// agrees, in a dialect that greets nobody.
    static var pingsAtOnce: Bool { get }

    init(_ text: String)

    /// The answer to a ping.
    var isPong: Bool { get }
    /// Whether it is shown; the rest ends in the session.
    var isShown: Bool { get }
}
