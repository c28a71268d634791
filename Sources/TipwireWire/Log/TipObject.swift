import TipwireCore

/// A tip as the API and the log show it.
public enum TipObject {
    /// `{id,page,displayName,message,grossAmountInCents,processingFeeInCents,netAmountInCents,currency,isAnonymous,
    /// createdAt,processedAt,refundedAt}`.
    ///
    /// - Parameter more: writes members that go with it.
    public static func write(
        _ tip: Tip, page: PageLabel, to writer: inout JSONWriter, more: (inout JSONWriter) -> Void = { _ in }
    ) {
        writer.beginObject()
        writeMembers(of: tip, page: page, to: &writer)
        more(&writer)
        writer.endObject()
    }

    static func writeMembers(of tip: Tip, page: PageLabel, to writer: inout JSONWriter) {
        writer.member("id", tip.id.text)
        writer.member("page", page.slug.text)
        writer.member("displayName", tip.displayName)
        writer.member("message", tip.message)
        writer.member("grossAmountInCents", tip.grossAmountInCents)
        writer.member("processingFeeInCents", tip.processingFeeInCents)
        writer.member("netAmountInCents", tip.netAmountInCents)
        writer.member("currency", page.currency.code)
        writer.member("isAnonymous", tip.isAnonymous)
        writer.member("createdAt", tip.createdAt)
        writer.member("processedAt", tip.processedAt)
        writer.member("refundedAt", tip.refundedAt)
    }
}
