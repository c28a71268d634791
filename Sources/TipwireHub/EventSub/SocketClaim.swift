import Synchronization
import TipwireCore

/// A subscription that has been promised to one socket.
///
/// Given back exactly once: by the socket when it ends, with what it delivered, or, when no socket came of it, by the end
/// of this object's life. There is no way to forget it.
public final class SocketClaim: Sendable {
    public let subscription: EventSubscription
    /// The socket is told of what follows this.
    public let position: Int64
    private let number: Int
    private let sockets: SocketSubscriptions
    private let isOpen = Atomic<Bool>(true)

    /// - Parameter number: what the registry has counted this claim as.
    init(_ subscription: EventSubscription, position: Int64, number: Int, sockets: SocketSubscriptions) {
        self.subscription = subscription
        self.position = position
        self.number = number
        self.sockets = sockets
    }

    deinit { release(position: nil) }

    /// The socket is there. False when the subscription ended in the meantime, or is another node's.
    public func connect(_ holder: any SocketHolder) -> Bool {
        isOpen.load(ordering: .relaxed) && sockets.connect(subscription.id, claim: number, holder)
    }

    /// The socket is gone.
    ///
    /// - Parameter position: what it delivered; nil when it never came.
    public func release(position: Int64?) {
        guard isOpen.exchange(false, ordering: .relaxed) else { return }
        sockets.release(subscription.id, claim: number, position: position)
    }
}
