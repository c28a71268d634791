import Hummingbird
import TipwireCore
import TipwireStore
import TipwireWire

/// The servers that share the database of this one; on a file of its own, this one.
struct NodesController: Sendable {
    let nodes: @Sendable () async throws -> [StoredNode]

    func addRoutes(to router: APIRouter) {
        router.on(.get, "/api/v1/nodes", scope: .admin) { call in
            try Answer.list(try await nodes(), id: \.id.text, call: call) { Self.write($0, to: &$1) }
        }
    }

    private static func write(_ node: StoredNode, to writer: inout JSONWriter) {
        let report = node.report
        writer.beginObject()
        writer.member("id", node.id.text)
        writer.member("name", report.name)
        writer.member("version", report.version)
        writer.member("url", report.url)
        writer.member("startedAt", report.startedAt)
        writer.member("isDraining", report.isDraining)
        writer.member("sendsWebhooks", node.isSender)
        writer.key("connections")
        writer.beginObject()
        writer.member("feed", report.feed)
        writer.member("sse", report.sse)
        writer.member("eventsub", report.eventsub)
        writer.member("overlay", report.overlay)
        writer.endObject()
        writer.member("lagEvents", node.lag)
        writer.member("silentMilliseconds", node.silence)
        writer.endObject()
    }
}
