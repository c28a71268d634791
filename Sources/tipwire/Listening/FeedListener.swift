import NIOConcurrencyHelpers
import NIOSSL
import TipwireCore

/// Follows the feed for ever: connects, prints, reconnects, and goes on where it was.
struct FeedListener: Sendable {
    let client: ManagementClient
    let page: Slug?
    /// A cursor, or `now`.
    let since: String
    let printsJSON: Bool

    /// Ends only by throwing: a `Failure` when another attempt would be refused too.
    func run() async throws -> Never {
        let currencies = PageCurrencies(client: client)
        let tls = client.address.isSecure ? try Self.tlsContext() : nil
        let position = Position(since: since)
        var reconnection = Reconnection()
        while true {
            let connection = FeedConnection(
                address: client.address,
                target: client.address.feedTarget(key: client.key.key, page: page, since: position.cursor), tls: tls)
            let opened = NIOLockedValueBox<ContinuousClock.Instant?>(nil)
            let ending = try await connection.run {
                opened.withLockedValue { $0 = .now }
            } show: { message, json in
                try await show(message, json, currencies, position)
            }
            let lived = opened.withLockedValue { $0 }.map { .now - $0 } ?? .zero
            let decision = reconnection.decide(
                after: ending, lived: lived, random: .random(in: 0..<1), address: client.address,
                source: client.key.source)
            switch decision {
            case .final(let words): throw Failure(words)
            case .again(let wait):
                TextOutput.notes.note("\(ending.message(client.address)), again in \(Wording.seconds(wait))")
                try await Task.sleep(for: wait)
            }
        }
    }

    private func show(
        _ message: FeedMessage, _ json: String, _ currencies: PageCurrencies, _ position: Position
    ) async throws {
        switch message {
        case .pong, .unreadable: break
        case .resumed(let status, let cursor):
            TextOutput.notes.note(Self.words(status: status, isFirst: position.isFirst))
            position.advance(to: cursor)
        case .tip(let tip, let cursor):
            if printsJSON {
                try printJSON(json)
            } else {
                try TextOutput.answers.line(tip.line(currency: await currencies.code(ofPage: tip.page.slug)))
            }
            position.advance(to: cursor)
        case .other(let type, let cursor):
            // Without words for it, a person is told its name only; a program gets all of it.
            if printsJSON { try printJSON(json) } else { TextOutput.notes.note("event: \(VisibleText(type))") }
            position.advance(to: cursor)
        }
    }

    /// One line, as promised: line ends between JSON values mean nothing, and inside a string they can't stand raw.
    private func printJSON(_ json: String) throws {
        let line = String(json.map { $0.isNewline ? " " : $0 })
        try TextOutput.answers.line(VisibleText.harmlessJSON(line))
    }

    /// What the server said to `since`.
    static func words(status: String, isFirst: Bool) -> String {
        switch status {
        case "gap": "gap: some events are older than what the server keeps; going on with the oldest kept"
        case "reset": "reset: the server's log is another one than before; going on from now"
        default: isFirst ? "connected" : "resumed"
        }
    }

    private static func tlsContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        // WebSocket's handshake is HTTP/1.1's; a server that offers HTTP/2 first must not choose it.
        configuration.applicationProtocols = ["http/1.1"]
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw Failure("TLS can't be set up: the system's certificates can't be read")
        }
    }
}

/// Where the listener is in the log. It moves on only when a message has been printed, so that one that was cut off on
/// its way to the terminal is asked for again.
private final class Position: Sendable {
    private let state: NIOLockedValueBox<(cursor: String, isFirst: Bool)>

    init(since: String) {
        state = NIOLockedValueBox((since, true))
    }

    var cursor: String { state.withLockedValue { $0.cursor } }
    /// No connection has told its position yet.
    var isFirst: Bool { state.withLockedValue { $0.isFirst } }

    func advance(to cursor: String?) {
        state.withLockedValue {
            $0.isFirst = false
            if let cursor { $0.cursor = cursor }
        }
    }
}
