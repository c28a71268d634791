import NIOCore
import TipwireCore
import TipwireWire

/// An event in the bytes of each dialect, made once and shared by every listener.
public struct EncodedEvent: Sendable {
    public let sequence: Int64
    public let page: Page.ID
    public let owner: Account.ID
    /// A ready WebSocket frame; nil when the Pally feed doesn't tell of this event.
    public let pally: ByteBuffer?

    /// The bytes for one dialect, nil if it leaves this event out.
    func bytes(in dialect: Dialect) -> ByteBuffer? {
        switch dialect {
        case .pally: pally
        }
    }
}

/// The forms in which events leave the server.
public enum Dialect: Hashable, Sendable {
    case pally
}

/// Turns events of the log into bytes.
public struct EventEncoder: Sendable {
    private let directory: Directory
    private let epoch: String
    private let publicURL: @Sendable () -> String

    public init(directory: Directory, epoch: String, publicURL: @escaping @Sendable () -> String) {
        self.directory = directory
        self.epoch = epoch
        self.publicURL = publicURL
    }

    /// Leaves out events of pages that have been deleted meanwhile: nobody may see them any more.
    public func encode(_ events: [Event]) -> [EncodedEvent] {
        let view = directory.view
        let publicURL = publicURL()
        return events.compactMap { event in
            guard let page = view.page(event.page) else { return nil }
            return EncodedEvent(
                sequence: event.sequence, page: page.id, owner: page.owner,
                pally: PallyNotification.frame(for: event, page: page, publicURL: publicURL, epoch: epoch))
        }
    }
}
