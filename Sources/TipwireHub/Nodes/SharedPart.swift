import TipwireCore
import TipwireStore

/// A part of this process whose truth is in a store that other nodes change too.
///
/// All of it is asked for by `NodeKeeper`, from one task for each part, so that a part never meets itself.
public protocol SharedPart: Sendable {
    /// The changes that concern it.
    var subject: StoreChanges { get }
    /// Others have made such changes: takes over what the store has. When it throws it is asked again.
    func refresh() async throws
    /// This node was taken for dead and is not: what it had may be another's by now.
    func returned() async
    /// The sending of webhooks is this node's from here on, or isn't any more.
    func setSending(_ isSender: Bool) async
    /// The log is another one from here on, and ends at its own head.
    func logReplaced(_ bounds: LogBounds) async
}

extension SharedPart {
    public var subject: StoreChanges { [] }
    public func refresh() async throws {}
    public func returned() async {}
    public func setSending(_ isSender: Bool) async {}
    public func logReplaced(_ bounds: LogBounds) async {}
}
