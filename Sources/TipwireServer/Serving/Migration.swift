import Foundation
import TipwireCore
import TipwirePostgres
import TipwireStore

/// Moves what a data folder's database holds into PostgreSQL: `tipwire migrate`.
///
/// The file is only read, and stays. No server may run on either of the two.
public struct Migration {
    /// What was copied.
    public struct Outcome: Sendable {
        public struct Table: Sendable {
            public let name: String
            public let rows: Int
        }

        public let tables: [Table]
        /// Whether an earlier copy was replaced.
        public let isRepeated: Bool
        /// The folder of the file, where the keys lie that the server goes on with.
        public let dataFolder: String
        /// The folder's admin key, when the copy doesn't know it.
        public let foreignAdminKey: String?
    }

    /// What the person at the terminal should read.
    public struct Refusal: Error, CustomStringConvertible {
        public let description: String
    }

    private let file: String
    private let target: String

    /// - Parameters:
    ///   - source: `sqlite:` and the path of a database file, or of a data folder.
    ///   - target: a URL as the setting `database` takes it.
    public init(from source: String, to target: String) throws {
        let scheme = "sqlite:"
        guard source.hasPrefix(scheme), source.count > scheme.count else {
            throw Refusal(description: "--from must be like sqlite:/var/lib/tipwire, not '\(source.quotable)'")
        }
        guard Setting.isDatabaseURL(target) else {
            throw Refusal(
                description: "--to must be a URL such as postgres://USER@HOST/DATABASE, not '\(target.quotable)'")
        }
        let path = String(source.dropFirst(scheme.count))
        var isFolder: ObjCBool = false
        let isThere = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        let name = isThere && isFolder.boolValue ? "\(path)/tipwire.db" : path
        // Whose folder is locked is a question of where the file is, not of a link to it.
        file = URL(fileURLWithPath: name).resolvingSymlinksInPath().path
        self.target = target
    }

    /// Throws `Refusal`, `StoreUnusable`, `StartupError` or what PostgreSQL says, and has then changed nothing.
    public func run() async throws -> Outcome {
        umask(0o077)
        try requireDatabase()
        let folder = try lockFolder()
        let store = try await PostgresStore.openAlone(target)
        do {
            let moved = try await store.move(from: file)
            let directory = try await store.directory()
            try await store.close()
            let key = folder.flatMap { folder in folder.readKey(folder.adminKeyFile) }
            let isKnown = key.map { key in directory.keys.contains { $0.hash == key.hash } } ?? true
            return Outcome(
                tables: moved.tables.map { Outcome.Table(name: $0.name, rows: $0.rows) },
                isRepeated: moved.isRepeated, dataFolder: URL(fileURLWithPath: file).deletingLastPathComponent().path,
                foreignAdminKey: isKnown ? nil : folder?.adminKeyFile)
        } catch {
            try? await store.close()
            throw error
        }
    }

    /// Looked at before it is opened: a name with nothing behind it would be made into a database.
    private func requireDatabase() throws {
        guard access(file, R_OK) == 0 else {
            throw Refusal(description: "can't read \(file): \(SystemReason.text())")
        }
        let header = FileManager.default.contents(atPath: file, upTo: 100)
        let hasLog = ProcessReading.fileBytes(file + "-wal") ?? 0 > 0
        try SQLiteStore.requireBackup(header, hasLog: hasLog, named: file)
    }

    /// Keeps servers from the file's folder for the life of the process.
    ///
    /// - Returns: nil for a file of another name than servers give theirs, which nobody runs on: a backup, perhaps
    ///   where nothing may be written.
    private func lockFolder() throws -> DataFolder? {
        let url = URL(fileURLWithPath: file)
        guard url.lastPathComponent == "tipwire.db" else { return nil }
        let path = url.deletingLastPathComponent().path
        guard DataFolder.holder(of: path) == nil else {
            throw Refusal(description: "the data folder \(path) is in use by a server; stop it first")
        }
        return try DataFolder.open(path)
    }
}

extension FileManager {
    fileprivate func contents(atPath path: String, upTo count: Int) -> Data {
        guard let handle = FileHandle(forReadingAtPath: path) else { return Data() }
        defer { try? handle.close() }
        return (try? handle.read(upToCount: count)) ?? Data()
    }
}
