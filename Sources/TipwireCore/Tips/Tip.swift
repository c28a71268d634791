/// A tip as it stands in the store.
public struct Tip: Hashable, Sendable {
    public let id: TipIdentifier
    /// `""` exactly when the tip is anonymous.
    public let displayName: String
    public let message: String
    public let grossAmountInCents: Int
    public let processingFeeInCents: Int
    public let isAnonymous: Bool
    /// The caller's time, or the commit's.
    public let createdAt: Timestamp
    /// When it was committed.
    public let processedAt: Timestamp
    public var refundedAt: Timestamp?

    public var netAmountInCents: Int { grossAmountInCents - processingFeeInCents }

    public init(
        id: TipIdentifier, displayName: String, message: String, grossAmountInCents: Int, processingFeeInCents: Int,
        isAnonymous: Bool, createdAt: Timestamp, processedAt: Timestamp, refundedAt: Timestamp? = nil
    ) {
        self.id = id
        self.displayName = displayName
        self.message = message
        self.grossAmountInCents = grossAmountInCents
        self.processingFeeInCents = processingFeeInCents
        self.isAnonymous = isAnonymous
        self.createdAt = createdAt
        self.processedAt = processedAt
        self.refundedAt = refundedAt
    }

    /// The tip that `draft` becomes when it is committed at `time`.
    public init(_ draft: TipDraft, id: TipIdentifier, committedAt time: Timestamp) {
        self.init(
            id: id, displayName: draft.displayName, message: draft.message,
            grossAmountInCents: draft.grossAmountInCents, processingFeeInCents: draft.processingFeeInCents,
            isAnonymous: draft.isAnonymous, createdAt: draft.createdAt ?? time, processedAt: time)
    }

    /// Whether `draft` says the same as the call that made this tip.
    ///
    /// - Parameter statedCreatedAt: the `createdAt` that call gave, nil if it gave none. The stored `createdAt` alone
    ///   can't tell: without a statement it is the commit's time, which a repeat can't know.
    public func isRepeated(by draft: TipDraft, statedCreatedAt: Timestamp?) -> Bool {
        // By bytes: two spellings of one letter are other content, though Swift's `==` calls them equal.
        draft.displayName.utf8.elementsEqual(displayName.utf8) && draft.message.utf8.elementsEqual(message.utf8)
            && draft.grossAmountInCents == grossAmountInCents
            && draft.processingFeeInCents == processingFeeInCents && draft.isAnonymous == isAnonymous
            && draft.createdAt == statedCreatedAt && (draft.id == nil || draft.id == id)
    }
}
