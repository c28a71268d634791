import TipwireCore
import TipwireWire

/// Tells the alert boxes of a page that alerts were paused or muted, or aren't any more.
public struct AlertAnnouncer: PageFollowing {
    private let fanout: Fanout

    public init(fanout: Fanout) { self.fanout = fanout }

    public func alertsSwitched(_ page: Page) async {
        await fanout.tell(OverlayMessage.alerts(page.alerts), toOverlaysOf: page.id)
    }
}
