import Foundation
import TipwireCore
import TipwireServer

/// Looks at a running server as its clients see it, through the proxies between: `tipwire doctor --url`.
///
/// What is most often wrong there is a proxy that holds a stream's bytes back until it has a bufferful: everything seems
/// to work, and events come minutes late. The first message of a stream is sent at once, so a stream that stands and
/// stays silent is held back.
struct OutsideView {
    /// Longest wait for a stream's first message. What isn't held back takes milliseconds.
    static let patience: Duration = .seconds(5)

    let address: ServerAddress
    let configuration: TipwireServer.ServerConfiguration

    private enum Stream: String {
        case serverSentEvents = "server-sent events"
        case webSockets = "WebSockets"
    }

    /// Where a stream stops being looked at: all is seen.
    private struct Seen: Error {}

    func examine(keyFile: String?) async throws -> [Doctor.Finding] {
        let key: PresentedKey
        do {
            key = try presentedKey(keyFile)
        } catch {
            return [problem(Self.reason(error))]
        }
        let client = ManagementClient(address: address, key: key)
        let findings = await examine(with: client)
        await client.close()
        return findings
    }

    /// As the client verbs find it, but for the data folder, which is the one that is examined.
    private func presentedKey(_ file: String?) throws -> PresentedKey {
        var environment = ProcessInfo.processInfo.environment
        environment["TIPWIRE_DATA"] = configuration.dataFolder
        return try PresentedKey.find(option: nil, file: file, environment: environment)
    }

    private func examine(with client: ManagementClient) async -> [Doctor.Finding] {
        do {
            var health = APIRequest(.get, "health")
            health.root = []
            let began = ContinuousClock.now
            let answer: APIAnswer
            do {
                answer = try await client.answer(health)
            } catch {
                return [problem(Self.words(for: error, address))]
            }
            guard String(decoding: answer.body, as: UTF8.self) == "ok\n" else {
                return [problem("\(address) answers, but not as Tipwire does; does the proxy lead to it?")]
            }
            let took = Self.milliseconds(since: began)
            var request = APIRequest(.get, "pages")
            request.query = [("limit", "1")]
            let listed = try await client.answer(request)
            if listed.status == 401 {
                return [
                    problem(
                        "the key from \(client.key.source) is not known there; does \(address) lead to this server?")
                ]
            }
            guard listed.isSuccess else {
                let refused = await client.refusal(of: request, listed)
                return [problem("streams can't be tried: \(refused.message)")]
            }
            let pages = try listed.decoded(as: ListAnswer<PageObject>.self).data
            var findings = [good("\(address) answers, in \(took) ms")]
            findings += links(pages.first) + proxies()
            guard let page = pages.first.flatMap({ Slug($0.slug) }) else {
                return findings + [warning("there is no page yet, so no stream could be tried")]
            }
            findings.append(await attempt(.serverSentEvents, of: page, with: client.key.key))
            findings.append(await attempt(.webSockets, of: page, with: client.key.key))
            return findings
        } catch {
            return [problem(Self.reason(error))]
        }
    }

    /// As the client verbs say it, but for what they advise: here the address is a proxy's, or should be.
    private static func words(for fault: TransportFault, _ address: ServerAddress) -> String {
        switch fault {
        case .refused: "nobody listens at \(address); is the proxy there?"
        case .unknownHost: "the host \(address.host) is not known"
        case .notHTTP: "what listens at \(address) does not answer as Tipwire does"
        default: fault.message(address)
        }
    }

    private static func reason(_ error: any Error) -> String { (error as? Failure)?.message ?? "\(error)" }

    /// Links and feeds show the server's own idea of its address.
    private func links(_ page: PageObject?) -> [Doctor.Finding] {
        guard let shown = page?.url, !shown.hasPrefix(address.description + "/") else { return [] }
        return [warning("links show \(shown); set server.publicURL to \(address)")]
    }

    /// TLS that this server doesn't speak is a proxy's.
    private func proxies() -> [Doctor.Finding] {
        guard address.isSecure, configuration.tls.certificate == nil, configuration.server.trustedProxies.isEmpty else {
            return []
        }
        return [
            warning(
                "a proxy is between, and server.trustedProxies is empty: all callers count as one, whose bad keys can "
                    + "lock the others' bad keys out, and logs name none of them")
        ]
    }

    private func attempt(_ stream: Stream, of page: Slug, with key: APIKey) async -> Doctor.Finding {
        let began = ContinuousClock.now
        switch await ending(of: stream, page: page, key: key) {
        case .success:
            return good("\(stream.rawValue) come through at once, in \(Self.milliseconds(since: began)) ms")
        case .failure(.silent):
            return problem(
                "\(stream.rawValue) are held back: nothing came for \(Self.patience.components.seconds) s; "
                    + "switch off the proxy's buffering, see docs/proxies.md")
        case .failure(let ending):
            return problem(
                "\(stream.rawValue) don't come through: \(ending.message(address)); "
                    + "docs/proxies.md has what a proxy must be told")
        }
    }

    /// How a stream ended before its first message, or success with it.
    private func ending(of stream: Stream, page: Slug, key: APIKey) async -> Result<Void, ListeningEnding> {
        await withTaskGroup(of: Result<Void, ListeningEnding>.self) { group in
            group.addTask {
                do {
                    return .failure(try await listen(to: stream, page: page, key: key))
                } catch is Seen {
                    return .success(())
                } catch {
                    return .failure(.lost)
                }
            }
            group.addTask {
                try? await Task.sleep(for: Self.patience)
                return .failure(.silent(""))
            }
            defer { group.cancelAll() }
            return await group.next() ?? .failure(.lost)
        }
    }

    private func listen(to stream: Stream, page: Slug, key: APIKey) async throws -> ListeningEnding {
        switch stream {
        case .serverSentEvents:
            try await HookSource.with(address: address, key: key, page: page) { source in
                try await source.connect(after: "now", opened: {}, show: { _ in throw Seen() })
            }
        case .webSockets:
            try await FeedSource(address: address, key: key, page: page)
                .connect(after: "now", opened: {}, show: { _ in throw Seen() })
        }
    }

    private static func milliseconds(since began: ContinuousClock.Instant) -> Int {
        Int((ContinuousClock.now - began) / .milliseconds(1))
    }

    private func good(_ text: String) -> Doctor.Finding { .init(verdict: .good, text: "url: \(text)") }
    private func warning(_ text: String) -> Doctor.Finding { .init(verdict: .warning, text: "url: \(text)") }
    private func problem(_ text: String) -> Doctor.Finding { .init(verdict: .problem, text: "url: \(text)") }
}
