import TipwireCore

/// The screens that overlays are shown on, and what each has shown.
///
/// Reports come in batches, some moments after what they tell of: a crash loses at most those moments, and what was shown is
/// then shown again rather than never.
public protocol OverlayStore: Sendable {
    /// What an overlay begins with, in one snapshot: goals, the newest tips, and where the log ends.
    func overlayView(page: Page.ID, tips: Int) async throws -> OverlayView
    /// Keeps what screens have reported. A report about a page or tip that isn't there (any more) is passed over.
    func keep(_ reports: OverlayReports) async throws
    /// Of each of these tips what the screens have made of it, by the screens' names.
    func receipts(page: Page.ID, tips: [TipIdentifier]) async throws -> [TipIdentifier: [Receipt]]
    /// The sequences of events whose alerts were shown since `time`.
    func shownSequences(page: Page.ID, since time: Timestamp) async throws -> Set<Int64>
    /// A page's screens, by their names.
    func screens(page: Page.ID) async throws -> [StoredScreen]
    /// Forgets an overlay of a screen, but not its receipts.
    func deleteScreen(_ place: OverlayPlace) async throws
}

public struct OverlayView: Sendable {
    public let goals: GoalQueue
    /// Newest first, refunded ones left out.
    public let recent: [Tip]
    public let bounds: LogBounds

    public init(goals: GoalQueue, recent: [Tip], bounds: LogBounds) {
        self.goals = goals
        self.recent = recent
        self.bounds = bounds
    }
}

/// A screen, connected or not.
public struct StoredScreen: Hashable, Sendable {
    public let place: OverlayPlace
    /// The key that it last came with; nil when that is gone.
    public let key: String?
    public let lastSeenAt: Timestamp
    public let lastShownAt: Timestamp?

    public init(place: OverlayPlace, key: String?, lastSeenAt: Timestamp, lastShownAt: Timestamp?) {
        self.place = place
        self.key = key
        self.lastSeenAt = lastSeenAt
        self.lastShownAt = lastShownAt
    }
}

/// What has been reported since the last time. Of several reports about one thing the latest is there.
public struct OverlayReports: Sendable {
    public struct Subject: Hashable, Sendable {
        public let place: OverlayPlace
        public let tip: TipIdentifier

        public init(place: OverlayPlace, tip: TipIdentifier) {
            self.place = place
            self.tip = tip
        }
    }

    public struct Report: Hashable, Sendable {
        /// The event that brought it.
        public var sequence: Int64
        public var receivedAt: Timestamp
        public var shownAt: Timestamp?

        public init(sequence: Int64, receivedAt: Timestamp, shownAt: Timestamp? = nil) {
            self.sequence = sequence
            self.receivedAt = receivedAt
            self.shownAt = shownAt
        }
    }

    public struct Sighting: Hashable, Sendable {
        public var key: String?
        public var seenAt: Timestamp

        public init(key: String?, seenAt: Timestamp) {
            self.key = key
            self.seenAt = seenAt
        }
    }

    public var receipts: [Subject: Report] = [:]
    public var sightings: [OverlayPlace: Sighting] = [:]

    public init() {}

    public var isEmpty: Bool { receipts.isEmpty && sightings.isEmpty }
}
