import Foundation
import TipwireCore
import TipwireHub
import TipwireStore

/// Puts a backup in the place of a data folder's database: `tipwire restore`.
///
/// All that can be wrong with the backup is found on a copy, before anything in the folder is touched; from then on there
/// is at every moment a whole database under its name, the old one or the new one. The old one is kept.
public struct Restoration {
    /// What was done.
    public struct Outcome: Sendable {
        public let events: Int
        public let pages: Int
        public let goals: Int
        /// Where the database is that was there before; nil if there was none.
        public let keptDatabase: String?
        /// Where the admin key is that the restored database doesn't know; nil if it knows it, or there was none.
        public let keptAdminKey: String?
    }

    /// What the person at the terminal should read.
    public struct Refusal: Error, CustomStringConvertible {
        public let description: String
    }

    private let dataFolder: String
    private let clock: WallClock

    public init(dataFolder: String, clock: WallClock = .system) {
        self.dataFolder = dataFolder
        self.clock = clock
    }

    /// Restores the backup in `file`, which is only read.
    ///
    /// Throws `Refusal`, `StoreUnusable` or `StartupError`, and has then left the folder's database as it was.
    public func run(from name: String) async throws -> Outcome {
        umask(0o077)
        // A link would be copied as a link, and what is behind it be changed.
        let file = URL(fileURLWithPath: name).resolvingSymlinksInPath().path
        let own = URL(fileURLWithPath: "\(dataFolder)/tipwire.db.new").resolvingSymlinksInPath().path
        guard file != own else {
            throw Refusal(description: "\(name) has the name that a restore gives to its own copy; rename it first")
        }
        // Before the folder is made: a mistyped name must not leave one behind.
        let hasLog = ProcessReading.fileBytes(file + "-wal") ?? 0 > 0
        try SQLiteStore.requireBackup(try Self.header(of: file), hasLog: hasLog, named: file)
        let folder = try DataFolder.open(dataFolder)
        let new = "\(folder.database).new"
        Self.remove(new)
        let prepared: (audit: StoreAudit, directory: DirectorySnapshot)
        do {
            prepared = try await prepare(new, from: file, hasLog: hasLog)
        } catch {
            Self.remove(new)
            // The copy's name would mean nothing to the reader.
            if let error = error as? StoreUnusable {
                throw Refusal(description: error.description.replacingOccurrences(of: new, with: file))
            }
            throw error
        }
        // Before the database: were this process ended in between, the next start makes a key that is not needed.
        let keptKey = try keepForeignKey(of: folder, prepared.directory)
        let keptDatabase = try await replaceDatabase(of: folder, with: new)
        return Outcome(
            events: prepared.audit.events, pages: prepared.audit.pages, goals: prepared.audit.goals,
            keptDatabase: keptDatabase, keptAdminKey: keptKey)
    }

    /// Copies, checks, brings up to date and begins a new epoch, all beside the database in use.
    private func prepare(
        _ new: String, from file: String, hasLog: Bool
    ) async throws -> (StoreAudit, DirectorySnapshot) {
        try Self.copy(file, to: new)
        // The file of a server that was killed has the rest beside it.
        if hasLog { try Self.copy(file + "-wal", to: new + "-wal") }
        let store = try SQLiteStore.open(at: new)
        let directory: DirectorySnapshot
        do {
            try await store.beginEpoch()
            directory = try await store.directory()
        } catch {
            try? await store.close()
            throw error
        }
        try await store.close()
        let audit = try SQLiteStore.audit(at: new)
        guard audit.problems.isEmpty else {
            let lines = audit.problems.prefix(10).map { "\n  \($0)" }.joined()
            throw Refusal(description: "\(file) is not sound, so it was not restored:\(lines)")
        }
        // A log that is left would be taken for one of the database that this becomes.
        guard ProcessReading.fileBytes(new + "-wal") ?? 0 == 0 else {
            throw Refusal(description: "the copy \(new) can't be completed; is the disk full?")
        }
        unlink(new + "-wal")
        unlink(new + "-shm")
        try Self.sync(new)
        return (audit, directory)
    }

    private func replaceDatabase(of folder: DataFolder, with new: String) async throws -> String? {
        let old = folder.database
        var kept: String?
        if FileManager.default.fileExists(atPath: old) {
            let name = freeName(for: old)
            // Folds what a killed server has left in the write-ahead log into the file. A database that can't be opened any
            // more takes its log with it instead.
            if let store = try? SQLiteStore.open(at: old) { try? await store.close() }
            if ProcessReading.fileBytes(old + "-wal") ?? 0 > 0 { try Self.rename(old + "-wal", to: name + "-wal") }
            unlink(old + "-wal")
            unlink(old + "-shm")
            // A second name first, so that the new file can take the place of the old one in one step.
            if link(old, name) != 0 { try Self.rename(old, to: name) }
            kept = name
        }
        folder.giveToOwner(new)
        try Self.rename(new, to: old)
        try Self.sync(folder.path)
        return kept
    }

    /// An admin key that the restored database doesn't know opens nothing; the next start makes another.
    private func keepForeignKey(of folder: DataFolder, _ directory: DirectorySnapshot) throws -> String? {
        guard FileManager.default.fileExists(atPath: folder.adminKeyFile) else { return nil }
        let now = clock.now()
        if let key = folder.readKey(folder.adminKeyFile),
            directory.keys.contains(where: { $0.hash == key.hash && $0.expiresAt.map { $0 > now } ?? true })
        {
            return nil
        }
        let name = freeName(for: folder.adminKeyFile)
        try Self.rename(folder.adminKeyFile, to: name)
        return name
    }

    /// `FILE.before-20261128T101500Z`, with a number behind it if somebody restores twice in a second.
    private func freeName(for file: String) -> String {
        let time = clock.now().description.prefix(19).filter { $0 != "-" && $0 != ":" }
        let name = "\(file).before-\(time)Z"
        var candidate = name
        var number = 2
        while FileManager.default.fileExists(atPath: candidate) {
            candidate = "\(name)-\(number)"
            number += 1
        }
        return candidate
    }
}

// MARK: - Files

extension Restoration {
    /// - Parameter file: not a link.
    private static func header(of file: String) throws -> Data {
        guard access(file, R_OK) == 0 else { throw Refusal(description: "can't read \(file): \(SystemReason.text())") }
        let type = try? FileManager.default.attributesOfItem(atPath: file)[.type] as? FileAttributeType
        guard type == .typeRegular else { throw Refusal(description: "\(file) is not a file") }
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
            defer { try? handle.close() }
            return try handle.read(upToCount: 100) ?? Data()
        } catch {
            throw Refusal(description: "can't read \(file); check its permissions")
        }
    }

    /// A copy that its owner alone can read.
    private static func copy(_ file: String, to new: String) throws {
        do {
            try FileManager.default.copyItem(atPath: file, toPath: new)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: new)
        } catch {
            throw Refusal(description: "can't copy \(file) to \(new); is there room for it on the disk?")
        }
    }

    private static func remove(_ new: String) {
        for end in ["", "-wal", "-shm", "-journal"] { unlink(new + end) }
    }

    private static func rename(_ file: String, to name: String) throws {
        guard Glibc.rename(file, name) == 0 else {
            throw Refusal(description: "can't rename \(file) to \(name): \(SystemReason.text())")
        }
    }

    private static func sync(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Refusal(description: "can't open \(path): \(SystemReason.text())") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else {
            throw Refusal(description: "can't sync \(path) to disk: \(SystemReason.text())")
        }
    }
}
