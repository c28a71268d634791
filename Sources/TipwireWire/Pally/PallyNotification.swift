import NIOCore
import TipwireCore

/// `campaigntip.notify`, the one event of the Pally feed.
public enum PallyNotification {
    /// The message as a ready WebSocket text frame, or nil for an event that this feed doesn't tell of.
    ///
    /// A replay is the original tip once more: same id, same times, its own cursor.
    public static func frame(for event: Event, page: Page, publicURL: String, epoch: String) -> ByteBuffer? {
        json(for: event, page: page, publicURL: publicURL, epoch: epoch).map(WebSocketFrame.text)
    }

    static func json(for event: Event, page: Page, publicURL: String, epoch: String) -> ByteBuffer? {
        let tip: Tip
        switch event.body {
        case .tipReceived(let received, _): tip = received
        case .tipReplayed(let replayed): tip = replayed
        case .tipRefunded, .goalCompleted, .goalsChained, .goalQueueChanged: return nil
        }
        var writer = JSONWriter(capacity: 640)
        writer.beginObject()
        writer.member("type", "campaigntip.notify")
        writer.key("payload")
        writer.beginObject()
        writer.key("campaignTip")
        writer.beginObject()
        writer.member("createdAt", tip.createdAt)
        writer.member("displayName", tip.displayName)
        writer.member("grossAmountInCents", tip.grossAmountInCents)
        writer.member("id", tip.id.text)
        writer.member("message", tip.message)
        writer.member("netAmountInCents", tip.netAmountInCents)
        writer.member("processingFeeInCents", tip.processingFeeInCents)
        writer.member("updatedAt", tip.processedAt)
        writer.endObject()
        writer.key("page")
        writer.beginObject()
        writer.member("id", page.publicID)
        writer.member("slug", page.slug.text)
        writer.member("title", page.title)
        writer.member("url", page.url(publicURL: publicURL))
        writer.endObject()
        writer.endObject()
        writer.member("cursor", Cursor(epoch: epoch, sequence: event.sequence))
        writer.endObject()
        return writer.finish()
    }
}

/// `feed.resumed`, the first frame of a feed that was opened with `since`, and of no other.
public enum PallyResumed {
    public static func frame(_ resumption: Resumption, epoch: String) -> ByteBuffer {
        var writer = JSONWriter(capacity: 128)
        writer.beginObject()
        writer.member("type", "feed.resumed")
        writer.key("payload")
        writer.beginObject()
        writer.member("status", resumption.status.rawValue)
        writer.member("cursor", Cursor(epoch: epoch, sequence: resumption.start))
        writer.endObject()
        writer.endObject()
        return WebSocketFrame.text(writer.finish())
    }
}
