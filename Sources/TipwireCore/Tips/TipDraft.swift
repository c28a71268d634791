/// What a caller says of a tip, of the right types but not yet checked.
public struct TipFields: Sendable {
    public var id: String?
    public var displayName: String?
    public var grossAmountInCents: Int
    public var processingFeeInCents: Int?
    public var message: String?
    public var isAnonymous: Bool?
    public var createdAt: Timestamp?

    public init(
        id: String? = nil, displayName: String? = nil, grossAmountInCents: Int, processingFeeInCents: Int? = nil,
        message: String? = nil, isAnonymous: Bool? = nil, createdAt: Timestamp? = nil
    ) {
        self.id = id
        self.displayName = displayName
        self.grossAmountInCents = grossAmountInCents
        self.processingFeeInCents = processingFeeInCents
        self.message = message
        self.isAnonymous = isAnonymous
        self.createdAt = createdAt
    }
}

/// A tip that passed every rule and waits for its commit.
public struct TipDraft: Hashable, Sendable {
    /// The caller's id; nil lets the store make one.
    public let id: TipIdentifier?
    /// `""` for an anonymous tip: the name of someone who asked not to be named goes no further than this file.
    public let displayName: String
    public let message: String
    public let grossAmountInCents: Int
    public let processingFeeInCents: Int
    public let isAnonymous: Bool
    /// The caller's time; nil means the time of the commit.
    public let createdAt: Timestamp?

    /// Whether `other` says the same, byte for byte: two spellings of one letter are other content, though Swift's `==`
    /// calls them equal.
    public func isRepeated(by other: TipDraft) -> Bool {
        self == other && displayName.utf8.elementsEqual(other.displayName.utf8)
            && message.utf8.elementsEqual(other.message.utf8)
    }

    /// Checks `fields` and applies the defaults. Throws an error that names every bad field.
    public init(validating fields: TipFields, now: Timestamp) throws(InvalidInput) {
        var errors: [FieldError] = []
        func refuse(_ field: String, _ detail: String) { errors.append(FieldError(field: field, detail: detail)) }

        let name = fields.displayName ?? ""
        if let problem = TextRules.problem(in: name, scalars: Limits.displayNameScalars, newlines: true) {
            refuse("displayName", problem)
        }
        if let problem = TextRules.problem(
            in: fields.message ?? "", scalars: Limits.messageScalars, newlines: true)
        {
            refuse("message", problem)
        }
        let gross = fields.grossAmountInCents
        if !Limits.grossAmountInCents.contains(gross) {
            refuse(
                "grossAmountInCents",
                "must be from \(Limits.grossAmountInCents.lowerBound) to \(Limits.grossAmountInCents.upperBound)")
        }
        let fee = fields.processingFeeInCents ?? 0
        if fee < 0 || fee > max(gross, 0) {
            refuse("processingFeeInCents", "must be from 0 to grossAmountInCents")
        }
        var id: TipIdentifier?
        if let text = fields.id {
            id = TipIdentifier(text)
            if id == nil { refuse("id", TipIdentifier.rule) }
        }
        if let createdAt = fields.createdAt {
            let latest = now.advanced(milliseconds: Limits.createdAtLeadMilliseconds)
            if createdAt < Limits.earliestCreatedAt || createdAt > latest {
                refuse(
                    "createdAt",
                    "must lie between \(Limits.earliestCreatedAt) and five minutes from now (the server's clock says "
                        + "\(now))")
            }
        }
        guard errors.isEmpty else { throw InvalidInput(errors) }

        isAnonymous = fields.isAnonymous == true || TextRules.isBlank(name)
        displayName = isAnonymous ? "" : name
        message = fields.message ?? ""
        grossAmountInCents = gross
        processingFeeInCents = fee
        createdAt = fields.createdAt
        self.id = id
    }
}
