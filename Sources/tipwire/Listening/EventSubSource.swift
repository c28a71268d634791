import NIOConcurrencyHelpers
import NIOSSL
import TipwireCore

/// A subscription of EventSub and its socket: `--via eventsub`.
///
/// There is no cursor here. The server keeps what a subscription has missed for as long as its window is open, so the
/// same one is connected again; when it is over another is made, and what came between the two may be missing.
struct EventSubSource: ListeningSource {
    /// Longest that the program's end waits for the end of its subscription, in seconds.
    static let partingSeconds: Int64 = 2

    let client: ManagementClient
    /// Without one, the only page of the key.
    let page: Slug?
    /// Without one, the server's choice: tips.
    let type: String?
    /// Made once for all connections: it reads the system's certificates.
    private let tls: NIOSSLContext?
    private let state = NIOLockedValueBox(State())

    private struct State {
        /// Looked for once: another subscription must not be to another page.
        var page: EventSubPage?
        var held = HeldSubscription()
    }

    init(client: ManagementClient, page: Slug?, type: String?) throws {
        self.client = client
        self.page = page
        self.type = type
        tls = try SocketConnection<EventSubMessage>.tls(to: client.address)
    }

    func connect(
        after position: String, opened: @escaping @Sendable () -> Void,
        show: @escaping @Sendable (HeardMessage) async throws -> Void
    ) async throws -> ListeningEnding {
        let (page, id): (EventSubPage, String)
        do {
            page = try await knownPage()
            id = try await subscription(to: page)
        } catch let ending as ListeningEnding {
            return ending
        }
        let connection = SocketConnection<EventSubMessage>(
            address: client.address, target: client.address.eventSubTarget(connectionID: id), tls: tls)
        let ending = try await connection.run(connected: opened) { message, json in
            let heard = state.withLockedValue { $0.held.received(message, json: json, page: page.slug) }
            for message in heard { try await show(message) }
        }
        return state.withLockedValue { $0.held.ended(ending) }
    }

    /// Ends the subscription, so that none waits for a socket that won't come.
    ///
    /// What goes wrong here is no matter: without a socket it is over after two minutes. The key may only be allowed to
    /// create, for one.
    func end() async {
        guard let id = state.withLockedValue({ $0.held.id }) else { return }
        _ = try? await client.answer(.endEventSub(id), within: Self.partingSeconds)
    }

    private func knownPage() async throws -> EventSubPage {
        if let page = state.withLockedValue({ $0.page }) { return page }
        let found = try await client.eventSubPage(page)
        state.withLockedValue { $0.page = found }
        return found
    }

    private func subscription(to page: EventSubPage) async throws -> String {
        if let id = state.withLockedValue({ $0.held.id }) { return id }
        let id = try await client.subscribe(to: page, type: type)
        state.withLockedValue { $0.held.made(id) }
        return id
    }
}
