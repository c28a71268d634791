import AsyncHTTPClient
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import TipwireCore
import TipwireWire

/// The Event Hook's stream of server-sent events: `--via sse`.
struct HookSource: ListeningSource {
    let address: ServerAddress
    let key: APIKey
    /// Without one, the only page of the key.
    let page: Slug?
    private let http: HTTPClient
    private let silence: Duration

    /// Runs `work` with a source, and closes its connections whatever happens.
    ///
    /// They aren't those that call the API: that client ends an answer which pauses for half a minute.
    static func with<Value>(
        address: ServerAddress, key: APIKey, page: Slug?, silence: Duration = HookSession.longestSilence,
        _ work: (HookSource) async throws -> Value
    ) async throws -> Value {
        try await HTTPClient.withHTTPClient(configuration: ManagementClient.configuration) { http in
            try await work(HookSource(address: address, key: key, page: page, http: http, silence: silence))
        }
    }

    func connect(
        after position: String, opened: @escaping @Sendable () -> Void,
        show: @escaping @Sendable (HeardMessage) async throws -> Void
    ) async throws -> ListeningEnding {
        let response: HTTPClientResponse
        do {
            response = try await http.execute(
                request(after: position), timeout: .seconds(ManagementClient.answerSeconds))
        } catch let error as CancellationError {
            throw error
        } catch {
            return .unreachable(TransportFault(error))
        }
        let isStream =
            response.status == .ok
            && EventStreamParser.isEventStream(contentType: response.headers.first(name: "Content-Type") ?? "")
        if isStream { opened() }
        let session = NIOLockedValueBox(HookSession(at: .now, silence: silence))
        return try await withThrowingTaskGroup(of: ListeningEnding.self) { group in
            group.addTask {
                isStream ? try await follow(response.body, session, show) : await refusal(response)
            }
            group.addTask { try await endOfPatience(session) }
            defer { group.cancelAll() }
            return try await group.next() ?? .lost
        }
    }

    /// The key goes into a header: addresses end up in the logs of proxies.
    private func request(after position: String) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: address.eventStreamURL(page: page, isNew: position == "now"))
        request.headers.add(name: "Authorization", value: "Bearer \(key.reveal())")
        request.headers.add(name: "Accept", value: "text/event-stream")
        request.headers.add(name: "Cache-Control", value: "no-store")
        request.headers.add(name: "User-Agent", value: "tipwire/\(Tipwire.version)")
        if position != "now" { request.headers.add(name: "Last-Event-ID", value: position) }
        return request
    }

    private func follow(
        _ body: HTTPClientResponse.Body, _ session: NIOLockedValueBox<HookSession>,
        _ show: @Sendable (HeardMessage) async throws -> Void
    ) async throws -> ListeningEnding {
        var pieces = body.makeAsyncIterator()
        while true {
            let piece: ByteBuffer?
            do {
                piece = try await pieces.next()
            } catch let error as CancellationError {
                throw error
            } catch {
                return .lost
            }
            guard let piece else { return .ended }
            session.withLockedValue { $0.received(piece) }
            while let action = session.withLockedValue({ $0.next(at: .now) }) {
                switch action {
                case .show(let message): try await show(message)
                case .end(let ending): return ending
                }
            }
        }
    }

    private func endOfPatience(_ session: NIOLockedValueBox<HookSession>) async throws -> ListeningEnding {
        while true {
            try await Task.sleep(until: session.withLockedValue { $0.patienceEnds(at: .now) }, clock: .continuous)
            if let ending = session.withLockedValue({ $0.patienceEnded(at: .now) }) { return ending }
        }
    }

    /// What breaks off a refusal is no news: its status is what counts. What isn't JSON may be long, and isn't read.
    private func refusal(_ response: HTTPClientResponse) async -> ListeningEnding {
        var body = ByteBuffer()
        if response.headers.first(name: "Content-Type")?.hasPrefix("application/json") == true {
            body = (try? await response.body.collect(upTo: ListeningEnding.refusalBytes)) ?? ByteBuffer()
        }
        return .refusal(response.status, response.headers, body: body)
    }
}
