import NIOCore
import TipwireCore
import TipwireStore
import TipwireWire

/// Says things to the alert boxes of a page that are in no log, on every node.
public struct OverlayAnnouncer: PageFollowing, SharedPart {
    private let fanout: Fanout
    private let desk: OverlayDesk

    public init(fanout: Fanout, desk: OverlayDesk) {
        self.fanout = fanout
        self.desk = desk
    }

    /// - Returns: the overlays that were told. Those of other nodes hear it a moment later.
    public func announce(_ announcement: OverlayAnnouncement) async throws -> Set<OverlayPlace> {
        // The store first: a box that is told to show an alert again asks for it at once.
        try await desk.sharing?.store.announce(announcement)
        let told = await say(announcement)
        guard let sharing = desk.sharing else { return told }
        let elsewhere = try await sharing.store.presencesElsewhere(page: announcement.page).keys
        return told.union(elsewhere.filter(announcement.isFor))
    }

    private func say(_ announcement: OverlayAnnouncement) async -> Set<OverlayPlace> {
        var announcement = announcement
        if let sequence = announcement.reopens {
            // Whoever has announced it couldn't know yet.
            announcement.besides.formUnion(desk.shownLately(sequence, page: announcement.page))
            desk.reopen(sequence, page: announcement.page)
        }
        return await fanout.tell(
            WebSocketFrame.text(announcement.message), toOverlaysOf: announcement.page, where: announcement.isFor)
    }

    /// Each node does this by itself: the page has it.
    public func alertsSwitched(_ page: Page) async {
        await fanout.tell(OverlayMessage.alerts(page.alerts), toOverlaysOf: page.id)
    }

    // MARK: What other nodes say

    public var subject: StoreChanges { .overlays }

    public func refresh() async throws {
        for announcement in try await desk.sharing?.takeAnnouncements() ?? [] { _ = await say(announcement) }
    }

    public func returned() async { desk.tellAgain() }

    public func logReplaced(_ bounds: LogBounds) async { desk.forget(after: bounds.head) }
}
