import NIOCore
import TipwireCore

/// What a store does beside `OverlayStore` when several nodes share it: it knows which overlays are connected to any of them,
/// lends an alert of which one copy is wanted to one copy at a time, and carries what is said to the overlays of all.
///
/// None of it is history: it isn't synced to disk, and goes with the node, or after some minutes.
public protocol SharedOverlayStore: OverlayStore {
    /// Keeps which overlays are connected to this node: since when each of these is, or that it isn't any more. A node that
    /// the others have taken for dead has none before its next beat.
    func keepPresences(_ changes: [OverlayPlace: Timestamp?]) async throws
    /// The overlays of a page that are connected to other nodes, and since when by those nodes' clocks.
    func presencesElsewhere(page: Page.ID) async throws -> [OverlayPlace: Timestamp]
    /// Keeps what was shown, frees what copies had that have gone, then lends what is claimed; what has become of each claim.
    ///
    /// What a copy is lent it has for `AlertTimes.lease` from now, and may claim again; also what it has shown.
    func settle(_ errands: AlertErrands) async throws -> [Alert: AlertLease]
    /// Tells the other nodes, as `StoreChanges.overlays`, what to say to their overlays.
    func announce(_ announcement: OverlayAnnouncement) async throws
    /// What other nodes have announced after the `number`th announcement of all, in order, and the number of the last; nothing
    /// but that number where nil is given.
    func announcements(after number: Int64?) async throws -> (list: [OverlayAnnouncement], through: Int64)
}

/// Milliseconds, by the clock of the store where nodes share it: they may have clocks of their own.
public enum AlertTimes {
    /// How long an alert stays with the copy that it was lent to and that says nothing more of it.
    public static let lease: Int64 = 8_000
    /// How long it is remembered whose it was, or that it was shown: overlays pass over older ones.
    public static let memory: Int64 = 10 * 60 * 1_000
    /// How long an announcement waits for nodes that were not told of it.
    public static let announcement: Int64 = 60_000
}

/// What a node has for the store. Its copies have numbers, none of which comes again.
public struct AlertErrands: Hashable, Sendable {
    /// And by whom.
    public var shown: [Alert: Int]
    /// Copies that have gone.
    public var freed: Set<Int>
    /// And for whom.
    public var claims: [Alert: Int]

    public init(shown: [Alert: Int] = [:], freed: Set<Int> = [], claims: [Alert: Int] = [:]) {
        self.shown = shown
        self.freed = freed
        self.claims = claims
    }

    public var isEmpty: Bool { shown.isEmpty && freed.isEmpty && claims.isEmpty }
}

/// Something that is said to the alert boxes of a page, past the log.
public struct OverlayAnnouncement: Hashable, Sendable {
    public let page: Page.ID
    /// JSON, as the boxes get it.
    public let message: ByteBuffer
    /// Screens that need not hear it.
    public var besides: Set<ScreenName>
    /// The event whose alert is nobody's again, and not shown.
    public let reopens: Int64?

    public init(page: Page.ID, message: ByteBuffer, besides: Set<ScreenName> = [], reopens: Int64? = nil) {
        self.page = page
        self.message = message
        self.besides = besides
        self.reopens = reopens
    }

    public func isFor(_ place: OverlayPlace) -> Bool {
        place.page == page && place.kind == .alerts && !besides.contains(place.screen)
    }
}
