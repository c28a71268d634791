/// What a store that is a file can do beside the `Store` promise.
public protocol BackupStore: Sendable {
    /// Writes the store as it is at one moment into a new file, while others read and write.
    ///
    /// The file is complete when this returns; when it throws, what there is of it is worth nothing. Takes as long as
    /// reading and writing all of it.
    func backUp(to path: String) async throws

    /// Bytes that a backup would take now, about.
    func backupBytes() async throws -> Int64
}
