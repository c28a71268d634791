import TipwireCore
import TipwirePostgres
import TipwireStore

/// The store that a server runs on: the file in its data folder, or the PostgreSQL that it was told of.
struct OpenedStore: Sendable {
    let store: any Store
    let close: @Sendable () async throws -> Void
    /// Ends what waits for a store that doesn't answer.
    let hasten: @Sendable () -> Void

    static func open(_ configuration: ServerConfiguration, in folder: DataFolder) async throws -> OpenedStore {
        if let url = configuration.database {
            let store = try await PostgresStore.open(url)
            return OpenedStore(store: store, close: store.close, hasten: store.hasten)
        }
        let store = try SQLiteStore.open(at: folder.database)
        return OpenedStore(store: store, close: store.close, hasten: store.hasten)
    }
}
