import NIOCore
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// Makes the messages of deliveries: the same bytes at each attempt, and the same as a socket gets.
public struct WebhookMessages: Sendable {
    public struct Message: Sendable {
        /// The value of `webhook-id`.
        public let id: String
        public let body: ByteBuffer
    }

    private let encoder: EventEncoder
    private let directory: Directory
    private let epoch: String

    public init(encoder: EventEncoder, directory: Directory, epoch: String) {
        self.encoder = encoder
        self.directory = directory
        self.epoch = epoch
    }

    /// The message's id: the cursor of its event, or what a test was given.
    public func id(of delivery: StoredDelivery) -> String {
        delivery.testID ?? Cursor(epoch: epoch, sequence: delivery.id.sequence).description
    }

    /// The id of the delivery that has this message, as far as the log's own ids tell.
    public func sequence(ofMessage id: String) -> Int64? {
        guard let cursor = Cursor(id), cursor.epoch == epoch, cursor.description == id else { return nil }
        return cursor.sequence
    }

    /// Nil when the event, or its page, is no more.
    ///
    /// - Parameter encoded: the event as others share it, if it is at hand.
    public func message(
        of delivery: StoredDelivery, _ content: DeliveryContent, encoded: EncodedEvent? = nil, to webhook: Webhook
    ) -> Message? {
        let subscription = webhook.subscription
        let id = id(of: delivery)
        let rest: ByteBuffer?
        switch content {
        case .event(let event):
            let encoded = encoded ?? encoder.encode([event]).first
            rest = encoded?.bytes(in: .eventSub(subscription.type, subscription.condition))
        case .test(let body):
            rest = directory.look { $0.page(subscription.page) }.flatMap {
                EventSubMessage.rest(body, of: subscription.type, page: $0, id: id, isTest: true)
            }
        case .expired:
            rest = nil
        }
        return rest.map { Message(id: id, body: webhook.message($0)) }
    }
}
