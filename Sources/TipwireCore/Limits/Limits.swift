/// Every bound on what callers may send, in one place: each has a name, a unit and a tested refusal.
///
/// Bounds that an operator may move are settings (`docs/configuration.md`); these are part of the wire contract and
/// are the same on every server, so that a client can rely on them.
public enum Limits {
    /// Longest display name of a tipper, in Unicode scalars.
    public static let displayNameScalars = 100
    /// Longest message of a tip, in Unicode scalars. With the other limits it keeps one event under 16 KiB on the
    /// wire, which a client that decodes UTF-8 chunk by chunk depends on.
    public static let messageScalars = 1_000
    /// Longest page title, in Unicode scalars.
    public static let titleScalars = 200
    /// Longest page URL, in characters; all of them printable ASCII.
    public static let urlCharacters = 2_000
    /// Longest name of an API key, in Unicode scalars.
    public static let keyNameScalars = 100
    /// Longest slug or account name, in characters.
    public static let slugCharacters = 64
    /// Longest tip id or idempotency key, in characters.
    public static let identifierCharacters = 64
    /// Gross amount of one tip, in minor units of the page's currency.
    public static let grossAmountInCents = 1...100_000_000
    /// Longest description of a goal, in Unicode scalars.
    public static let goalDescriptionScalars = 200
    /// What a goal may take, in minor units of the page's currency.
    public static let goalAmountInCents = 1...10_000_000_000
    /// Most goals of one page, completed ones included. With the limits on amounts it keeps every sum in 64 bits.
    public static let goals = 1_000
    /// Longest reason of an adjustment, in Unicode scalars.
    public static let reasonScalars = 200
    /// Largest body of a request, in bytes.
    public static let requestBytes = 64 * 1024
    /// Largest body of a batch of tips, in bytes.
    public static let batchRequestBytes = 8 * 1024 * 1024
    /// Most tips of one batch.
    public static let batchTips = 1_000
    /// Rows of one page of a list.
    public static let listRows = 1...1_000
    /// About the largest answer of a list of tips or events, in bytes; `next` leads on from there.
    public static let listAnswerBytes = 1024 * 1024
    /// Rows of a list when the caller names no limit.
    public static let defaultListRows = 50
    /// Shortest and longest password, in Unicode scalars.
    public static let passwordScalars = 8...128
    /// Most pages that one key can be limited to.
    public static let keyPages = 1_000
    /// Overlay screens of one page that are remembered; beyond it those that were seen longest ago are forgotten.
    public static let screens = 100
    /// Connections of one overlay on one screen: an old one that isn't known to be gone yet, and some of a person who has it open.
    public static let copies = 8
    /// Screens whose receipts for one tip are kept.
    public static let receipts = 100
    /// Rows of a list of tips with receipts.
    public static let receiptRows = 200
    /// Tips that one search looks through; the next goes on from there.
    public static let searchedTips = 50_000
    /// Buckets of one answer about a page's statistics.
    public static let statisticsBuckets = 2_000
    /// Supporters that such an answer names.
    public static let supporters = 10
    /// Completed goals that such an answer names.
    public static let completions = 100
    /// Longest text that a list of tips is searched for, in Unicode scalars.
    public static let searchScalars = 100
    /// Earliest `createdAt` of a tip, 2000-01-01T00:00:00.000Z: anything before is a unit mistake, not a tip.
    public static let earliestCreatedAt = Timestamp(milliseconds: 946_684_800_000)
    /// How far ahead of the server's clock a tip's `createdAt` may lie, in milliseconds.
    public static let createdAtLeadMilliseconds: Int64 = 5 * 60 * 1_000
}
