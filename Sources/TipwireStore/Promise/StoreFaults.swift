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

    /// What a store that was closed answers.
    package static let closed = StoreFailing("the store was closed")
}
