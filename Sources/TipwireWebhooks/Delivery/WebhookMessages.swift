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

    private let window: EventWindow
    private let store: any WebhookStore
    private let directory: Directory
    private let position: LogPosition

    init(window: EventWindow, store: any WebhookStore, directory: Directory, position: LogPosition) {
        self.window = window
        self.store = store
        self.directory = directory
        self.position = position
    }

    /// Of the log that the messages' ids are cursors of.
    var epoch: String { position.epoch }

    /// The message's id: the cursor of its event, or what a test was given.
    public func id(of delivery: StoredDelivery) -> String {
        delivery.testID ?? Cursor(epoch: epoch, sequence: delivery.id.sequence).description
    }

    /// The id of the delivery that has this message, as far as the log's own ids tell.
    public func sequence(ofMessage id: String) -> Int64? {
        guard let cursor = Cursor(id), cursor.epoch == epoch, cursor.description == id else { return nil }
        return cursor.sequence
    }

    /// The message of a delivery; nil when the event, or its page, is no more.
    public func message(of delivery: StoredDelivery, to webhook: Webhook) async throws -> Message? {
        delivery.id.isTest
            ? try await test(delivery, to: webhook) : try await event(delivery.id.sequence, to: webhook)
    }

    private func event(_ sequence: Int64, to webhook: Webhook) async throws -> Message? {
        let subscription = webhook.subscription
        let event = try await window.event(sequence, of: subscription.page)
        return event?.bytes(in: .eventSub(subscription.type, subscription.condition)).map {
            Message(id: Cursor(epoch: epoch, sequence: sequence).description, body: webhook.message($0))
        }
    }

    private func test(_ delivery: StoredDelivery, to webhook: Webhook) async throws -> Message? {
        let subscription = webhook.subscription
        let id = id(of: delivery)
        guard let page = directory.look({ $0.page(subscription.page) }),
            let body = try await store.testContent(of: delivery.id)
        else { return nil }
        return EventSubMessage.rest(body, of: subscription.type, page: page, id: id, isTest: true).map {
            Message(id: id, body: webhook.message($0))
        }
    }
}
