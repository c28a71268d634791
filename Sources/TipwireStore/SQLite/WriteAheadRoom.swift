import GRDB
import GRDBSQLite

/// Room in the `-wal` file for what is committed next.
///
/// A commit appends its pages there and syncs them. If that makes the file longer, the sync has to write the file's new length
/// as well, in another place and after the pages: a second wait for the disk, and where the file system has a journal a commit of
/// that. So the file is made longer ahead, with zeros, which to SQLite are no pages of the log, and most commits write into
/// what is there. Once the log has been filled and folded in for the first time SQLite itself begins at its start again, and it
/// doesn't grow any more.
///
/// Made at the beginning of a transaction, whose lock keeps everybody else, in other processes too, from writing there:
/// behind the file's end is where the next one to commit puts its pages.
struct WriteAheadRoom {
    /// Bytes that the file is made longer by: as many as it has, within these bounds.
    static let step = 64 * 1024...1024 * 1024
    /// Bytes up to which it is made longer: what is there when a checkpoint is due, with the commit that makes it so.
    static let limit = Int64((SQLiteStore.checkpointPages + 64) * frameBytes)
    /// A page in the log, with what SQLite puts before it.
    static let frameBytes = 24 + 4_096

    private static let zeros = [UInt8](repeating: 0, count: step.lowerBound)

    /// How long the file was when last seen.
    private var length: Int64 = 0

    /// Makes room if the file has become longer since the last look, and so has none left. That it fails, on a full disk for
    /// one, is no harm: the commit is told.
    mutating func keep(_ db: Database) {
        guard let file = Self.log(of: db), let methods = file.pointee.pMethods?.pointee else { return }
        var now: Int64 = 0
        guard methods.xFileSize?(file, &now) == SQLITE_OK else { return }
        defer { length = now }
        guard now > length, now < Self.limit else { return }
        let end = min(now + min(max(now, Int64(Self.step.lowerBound)), Int64(Self.step.upperBound)), Self.limit)
        while now < end {
            let piece = min(end - now, Int64(Self.zeros.count))
            guard methods.xWrite?(file, Self.zeros, CInt(piece), now) == SQLITE_OK else { return }
            now += piece
        }
    }

    /// SQLite's own handle of the file: one more descriptor would have to be kept in step with it.
    private static func log(of db: Database) -> UnsafeMutablePointer<sqlite3_file>? {
        guard let connection = db.sqliteConnection else { return nil }
        var file: UnsafeMutablePointer<sqlite3_file>?
        let status = withUnsafeMutablePointer(to: &file) {
            sqlite3_file_control(connection, nil, SQLITE_FCNTL_JOURNAL_POINTER, $0)
        }
        return status == SQLITE_OK ? file : nil
    }
}
