import TipwireCore

/// An event as the management API shows it: `{cursor,type,page,time,data}`.
public enum EventObject {
    public static func write(_ event: Event, page: PageLabel, epoch: String, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("cursor", Cursor(epoch: epoch, sequence: event.sequence))
        writer.member("type", event.body.kind.rawValue)
        writer.member("page", page.slug.text)
        writer.member("time", event.time)
        writer.key("data")
        EventData.write(event.body, page: page, to: &writer)
        writer.endObject()
    }
}
