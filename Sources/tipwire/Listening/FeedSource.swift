import NIOSSL
import TipwireCore

/// The Pally feed: `--via feed`.
struct FeedSource: ListeningSource {
    let address: ServerAddress
    let key: APIKey
    /// Without one, every page of the key's account.
    let page: Slug?
    /// Made once for all connections: it reads the system's certificates.
    private let tls: NIOSSLContext?

    init(address: ServerAddress, key: APIKey, page: Slug?) throws {
        self.address = address
        self.key = key
        self.page = page
        tls = try SocketConnection<FeedMessage>.tls(to: address)
    }

    func connect(
        after position: String, opened: @escaping @Sendable () -> Void,
        show: @escaping @Sendable (HeardMessage) async throws -> Void
    ) async throws -> ListeningEnding {
        let target = address.feedTarget(key: key, page: page, since: position)
        let connection = SocketConnection<FeedMessage>(address: address, target: target, tls: tls)
        return try await connection.run(connected: opened) { message, json in
            if let heard = message.heard(json: json) { try await show(heard) }
        }
    }
}

extension FeedMessage {
    /// Nil for what is no message to anybody.
    func heard(json: String) -> HeardMessage? {
        switch self {
        case .pong, .unreadable: nil
        case .resumed(let status, let cursor):
            HeardMessage(content: .beginning(status: status), cursor: cursor, json: json)
        case .tip(let tip, let cursor): HeardMessage(content: .event(tip), cursor: cursor, json: json)
        case .other(let type, let cursor): HeardMessage(content: .unknown(type: type), cursor: cursor, json: json)
        }
    }
}
