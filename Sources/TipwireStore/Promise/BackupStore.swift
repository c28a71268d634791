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

/// The disk that the store is on has no room left; nothing of what was asked for was kept.
public struct StoreFull: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// The store's disk failed, or can't be written.
///
/// Whether what was asked for was kept isn't known: a commit whose sync fails may be found by the next start.
public struct StoreFailing: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}
