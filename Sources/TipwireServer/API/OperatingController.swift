import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization
import TipwireCore
import TipwireHub
import TipwireStore

/// Whether the server is up, ready, and how it fares.
struct OperatingController: Sendable {
    let store: any Store
    /// Nil where there is one server alone.
    let nodes: NodeKeeper?
    let intake: TipIntake
    let drain: DrainState
    let exposition: MetricsExposition

    func addRoutes(to router: APIRouter) {
        router.open(.get, "/health") { _, _ in Self.text(.ok, "ok\n") }
        router.open(.get, "/ready") { _, _ in await ready() }
        router.on(.get, "/metrics", scope: .admin) { _ in await metrics() }
    }

    /// On a port of its own the metrics need no key: who can reach it is the operator's decision.
    func addOpenRoutes(to router: APIRouter) {
        router.open(.get, "/metrics") { _, _ in await metrics() }
    }

    /// Whether a tip would be taken and a feed be served now.
    private func ready() async -> Response {
        if drain.hasBegun { return Self.text(.serviceUnavailable, "draining\n") }
        guard intake.isAccepting else {
            return Self.text(.serviceUnavailable, "not taking tips: too many wait, or the store fails\n")
        }
        // Said at once: to ask a database that is out of reach may take as long as a load balancer waits.
        if let nodes, !nodes.isConnected { return Self.text(.serviceUnavailable, "database unavailable\n") }
        guard (try? await store.bounds()) != nil else {
            return Self.text(.serviceUnavailable, "store unavailable\n")
        }
        return Self.text(.ok, "ready\n")
    }

    private func metrics() async -> Response {
        let body = await exposition.text()
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/plain; version=0.0.4; charset=utf-8", .cacheControl: "no-store",
                .contentLength: "\(body.utf8.count)",
            ],
            body: .init(byteBuffer: ByteBuffer(string: body)))
    }

    private static func text(_ status: HTTPResponse.Status, _ text: String) -> Response {
        Response(
            status: status,
            headers: [
                .contentType: "text/plain; charset=utf-8", .cacheControl: "no-store",
                .contentLength: "\(text.utf8.count)",
            ],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}

/// Whether the shutdown has begun. Set once.
final class DrainState: Sendable {
    private let state = Atomic<Bool>(false)

    var hasBegun: Bool { state.load(ordering: .relaxed) }
    func begin() { state.store(true, ordering: .relaxed) }
}
