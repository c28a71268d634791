import Foundation
import Testing
import TipwireCore
import TipwirePostgres
import TipwireStore

/// Two nodes that are there on a database of their own, and a key.
struct StoreNodes: Sendable {
    let first: PostgresStore
    let second: PostgresStore
    let scene: Scene
    let run: @Sendable (String) throws -> String

    /// As if a node had sent no beat for so long.
    func silence(_ node: PostgresStore, milliseconds: Int64) throws {
        _ = try run("UPDATE tipwire.nodes SET seen_at = seen_at - \(milliseconds) WHERE id = '\(node.node.text)'")
    }
}

func withStoreNodes(_ body: (StoreNodes) async throws -> Void) async throws {
    let kind = try #require(StoreKind.postgres)
    let server = try #require(PostgresServer.given)
    try await withFolder { folder in
        let opened = [try await kind.open(folder), try await kind.open(folder)]
        let stores = try opened.map { try #require($0.store as? PostgresStore) }
        let scene = try await Scene(stores[0])
        try await scene.store.createKey(.sample("k1", account: scene.account.id))
        for store in stores { _ = try await store.beat(.sample) }
        let nodes = StoreNodes(
            first: stores[0], second: stores[1], scene: scene, run: { try server.run(folder.lastPathComponent, $0) })
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body(nodes)) } catch { outcome = .failure(error) }
        for store in opened { try await store.close() }
        try outcome.get()
    }
}

extension NodeReport {
    static let sample = NodeReport(name: "n", version: "1", url: "http://n", startedAt: .zero)
}
