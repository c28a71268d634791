/// What a key allows its bearer to do.
public struct Scope: Hashable, Sendable, RawRepresentable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// Read tips, events and feeds.
    public static let eventsRead = Scope(rawValue: "events:read")
    /// Send tips.
    public static let tipsWrite = Scope(rawValue: "tips:write")
    /// The account's pages, goals, keys and subscriptions.
    public static let manage = Scope(rawValue: "manage")
    /// Read one page and post receipts, nothing else.
    public static let overlay = Scope(rawValue: "overlay")
    /// All of EventSub.
    public static let eventsub = Scope(rawValue: "Funplace::eventsub")
    /// Create EventSub subscriptions.
    public static let eventsubCreate = Scope(rawValue: "Funplace::eventsub::create")
    /// The server itself; includes all others.
    public static let admin = Scope(rawValue: "admin")

    /// Every scope that a key can be given.
    public static let all: [Scope] = [eventsRead, tipsWrite, manage, overlay, eventsub, eventsubCreate, admin]

    /// A granted scope covers itself, every longer one that continues it with `::`, and `admin` covers everything.
    public func covers(_ wanted: Scope) -> Bool {
        self == wanted || self == .admin || wanted.rawValue.hasPrefix(rawValue + "::")
    }
}
