import NIOCore

/// The connection of a subscription, reachable from any thread.
public protocol SocketHolder: Sendable {
    /// Asks the peer for a sign of life; false when none comes within `limit`, and then the connection is closed and its
    /// subscription free.
    func challenge(within limit: TimeAmount) -> EventLoopFuture<Bool>
    /// The subscription is no more: tells the peer and closes; returns when that has begun.
    func subscriptionEnded() async
    /// Another node has the subscription by now: the same.
    func displaced() async
}
