import HTTPTypes
import Hummingbird
import TipwireCore
import TipwireHub
import TipwireWire

/// Who listens now, and the means to cut one off.
struct ConnectionsController: Sendable {
    let directory: Directory
    let fanout: Fanout

    func addRoutes(to router: APIRouter) {
        router.on(.get, "/api/v1/connections", scope: .manage, list)
        router.on(.delete, "/api/v1/connections/{id}", scope: .manage, cut)
    }

    @Sendable func list(_ call: Call) async throws -> Response {
        let view = directory.view
        let connections = await fanout.connections().filter { isVisible($0, to: call.principal, view: view) }
        return try Answer.list(connections, id: { String($0.id) }, call: call) {
            write($0, to: &$1, view: view, reader: call.principal)
        }
    }

    @Sendable func cut(_ call: Call) async throws -> Response {
        let view = directory.view
        guard let id = Int64(try call.parameter("id")),
            await fanout.connections().contains(where: {
                $0.id == id && isVisible($0, to: call.principal, view: view)
            }),
            await fanout.disconnect(id)
        else { throw Problem(.notFound, "There is no connection of this id on this server.") }
        return Answer.noContent()
    }

    /// Own connections, and those that listen to a page of one's own.
    private func isVisible(_ connection: ConnectionInfo, to principal: Principal, view: DirectoryView) -> Bool {
        if principal.administersServer { return true }
        switch connection.audience {
        case .page(let id):
            return view.page(id).map(principal.maySee) ?? false
        case .owner(let account, let limit):
            guard account == principal.account else { return false }
            guard let mine = principal.pageLimit else { return true }
            return limit?.isSubset(of: mine) ?? false
        }
    }

    private func write(
        _ connection: ConnectionInfo, to writer: inout JSONWriter, view: DirectoryView, reader: Principal
    ) {
        writer.beginObject()
        writer.member("id", String(connection.id))
        writer.member("kind", connection.dialect.kind.rawValue)
        switch (connection.dialect, connection.audience) {
        case (.pally, .owner): writer.member("channel", "firehose")
        case (.pally, .page): writer.member("channel", "activity-feed")
        case (.eventHook, _): writer.member("channel", String?.none)
        case (.overlay, _): writer.member("channel", connection.overlay?.kind.rawValue)
        case (.eventSub(let type, _), _): writer.member("channel", type.rawValue)
        }
        switch connection.audience {
        case .page(let id): writer.member("page", view.page(id)?.slug.text)
        case .owner: writer.member("page", String?.none)
        }
        writer.member("account", view.account(connection.account)?.name.text)
        // A key that reaches further than the reader's is none of the reader's business.
        if case .key(let id) = connection.credential, let key = view.key(id), reader.mayManage(key) {
            writer.member("keyId", key.id)
            writer.member("keyName", key.name)
        } else {
            writer.member("keyId", String?.none)
            writer.member("keyName", String?.none)
        }
        writer.member("remoteAddress", connection.remoteAddress)
        writer.member("connectedAt", connection.connectedAt)
        writer.member("deliveries", connection.deliveries)
        writer.member("lagEvents", connection.lagEvents)
        writer.member("lagBytes", connection.lagBytes)
        writer.endObject()
    }
}
