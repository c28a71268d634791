import TipwireCore

/// What a store does beside `SocketStore` when several nodes share it: it says which of them has a subscription, so that each
/// has one socket at a time on all of them together.
///
/// A subscription waits here, where any node may claim it, or is a node's: from its claim, or its being held, to its release. What
/// a node has is free when the node is gone (`NodeStore.leave`, or another's `beat`), and stands then where it was last kept to
/// stand. `recordSocketPositions` keeps where this node's subscriptions stand, and touches no other.
///
/// Milliseconds by the clock of the store: nodes may have clocks of their own. What one node changes others are told of as
/// `StoreChanges.sockets`.
public protocol SharedSocketStore: SocketStore {
    /// This node.
    var node: NodeID { get }
    /// All of them, and whose each is.
    func sharedSockets() async throws -> [SharedSocket]
    /// Opens the windows of those that wait anew, unless another node is there: while all were down nobody could connect.
    func reopenSocketWindows() async throws
    /// Gives this node a subscription for a socket that asks for it; of several that claim one at once one has it.
    ///
    /// It is had when it waits and its window isn't over, when this node has it already, or when the node that has it is gone.
    /// Else that node is asked to let its socket show that it lives, or to make room. One that keeps silent to that for
    /// `SharedSockets.patience`, and has sent no beat either, has lost it. A node that the others have taken for dead is given
    /// nothing before its next beat.
    ///
    /// - Parameter asked: when the other node was first asked for this socket, as it was answered; nil the first time.
    func claimSocket(_ id: String, asked: Int64?) async throws -> SharedClaim
    /// Gives back those of them that are this node's, each with what it was told of. Their windows are open again.
    func releaseSockets(_ positions: [String: Int64]) async throws
    /// The sockets of those that are this node's live: whoever has asked for them is refused.
    func keepSockets(_ ids: Set<String>) async throws
    /// Takes back what nobody has claimed since this node was taken for dead; returns what is this node's of them.
    func holdSockets(_ ids: Set<String>) async throws -> Set<String>
    /// Ends those whose window is over, whoever had them; returns which. The window of one that was given back or made begins
    /// when any node next asks for this, which each does every second.
    func expireSockets(window: Int64) async throws -> [String]
}

public enum SharedSockets {
    /// How long a node may take to say whether a socket of its own lives, in milliseconds: the socket has three seconds.
    public static let patience: Int64 = 3_000
}

/// A subscription on a store that several nodes share.
public struct SharedSocket: Hashable, Sendable {
    public let socket: StoredSocket
    /// Whose it is; nil for one that waits.
    public let node: NodeID?
    /// Another node has asked for it.
    public let isWanted: Bool

    public init(_ socket: StoredSocket, node: NodeID?, isWanted: Bool = false) {
        self.socket = socket
        self.node = node
        self.isWanted = isWanted
    }
}

/// What comes of a claim.
public enum SharedClaim: Hashable, Sendable {
    case granted(StoredSocket)
    /// It isn't to be had yet: another node has it, and was asked for it at this time. To be claimed again a moment later.
    case asked(at: Int64)
    /// Another node has it, and its socket has shown that it lives.
    case occupied
    case unknown
}
