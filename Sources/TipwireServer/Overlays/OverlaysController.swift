import HTTPTypes
import Hummingbird
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// The overlays' screens as the dashboard manages them, and what their alert boxes are told past the log.
struct OverlaysController: Sendable {
    let directory: Directory
    let store: any Store
    let desk: OverlayDesk
    let announcer: OverlayAnnouncer
    let position: LogPosition
    let clock: WallClock

    func addRoutes(to router: APIRouter) {
        router.on(.get, "/api/v1/pages/{slug}/screens", scope: .manage, screens)
        router.on(.delete, "/api/v1/pages/{slug}/screens/{screen}", scope: .manage, forget)
        router.on(.get, "/api/v1/pages/{slug}/alerts", scope: .manage, alerts)
        router.on(.patch, "/api/v1/pages/{slug}/alerts", scope: .manage, switchAlerts)
        router.on(.post, "/api/v1/pages/{slug}/test-alert", scope: .manage, testAlert)
    }

    @Sendable func screens(_ call: Call) async throws -> Response {
        let page = try call.page(in: directory)
        await desk.flush()
        let stored = try await store.screens(page: page.id)
        let present = try await desk.present(on: page.id)
        let view = directory.view
        return Answer.list(stored, next: nil) { screen, writer in
            writer.beginObject()
            writer.member("screen", screen.place.screen.text)
            writer.member("kind", screen.place.kind.rawValue)
            // A key that reaches further than the reader's is none of the reader's business.
            let key = screen.key.flatMap(view.key).flatMap { call.principal.mayManage($0) ? $0 : nil }
            writer.member("key", key?.name)
            writer.member("isConnected", present[screen.place] != nil)
            writer.member("connectedAt", present[screen.place])
            writer.member("lastSeenAt", screen.lastSeenAt)
            writer.member("lastShownAt", screen.lastShownAt)
            writer.endObject()
        }
    }

    @Sendable func forget(_ call: Call) async throws -> Response {
        let page = try call.page(in: directory)
        guard let screen = ScreenName(try call.parameter("screen")) else {
            throw Problem(.notFound, "There is no such screen.")
        }
        await desk.flush()
        let places = try await store.screens(page: page.id).map(\.place).filter { $0.screen == screen }
        guard !places.isEmpty else { throw Problem(.notFound, "There is no such screen.") }
        let present = try await desk.present(on: page.id)
        let gone = places.filter { present[$0] == nil }
        guard !gone.isEmpty else {
            throw Problem(.conflict, "The screen '\(screen)' is connected; close its overlays first.")
        }
        for place in gone { try await store.deleteScreen(place) }
        return Answer.noContent()
    }

    @Sendable func alerts(_ call: Call) async throws -> Response {
        let page = try call.page(in: directory)
        return Answer.json { OverlayMessage.write(page.alerts, to: &$0) }
    }

    /// Kept with the page, which tells the alert boxes that are there (`OverlayAnnouncer`); those that come later begin with it.
    @Sendable func switchAlerts(_ call: Call) async throws -> Response {
        _ = try call.page(in: directory)
        var reader = try ObjectReader(try await call.json())
        let isPaused = reader.bool("paused")
        let isMuted = reader.bool("muted")
        try reader.finish()
        let page = try call.page(in: directory)
        let updated = try await directory.updatePage(page.id) { page in
            if let isPaused { page.alerts.isPaused = isPaused }
            if let isMuted { page.alerts.isMuted = isMuted }
        }
        guard let updated else { throw LogRefusal.unknownPage }
        return Answer.json { OverlayMessage.write(updated.alerts, to: &$0) }
    }

    /// An alert for the boxes alone: no log, no goal and no other listener hears of it.
    @Sendable func testAlert(_ call: Call) async throws -> Response {
        let page = try call.page(in: directory)
        let body = try await call.jsonIfAny() ?? .object(JSONObject())
        let now = clock.now()
        let draft = try TipInput.testDraft(body, now: now)
        let tip = Tip(draft, id: .new(at: now), committedAt: now)
        let message = OverlayMessage.test(tip, page: PageLabel(slug: page.slug, currency: page.currency))
        return Self.accepted(try await announcer.announce(OverlayAnnouncement(page: page.id, message: message)))
    }

    /// Shows a tip again on the screens that have not shown it.
    func showMissed(_ call: Call, page: Page, tip id: TipIdentifier) async throws -> Response {
        await desk.flush()
        guard let stored = try await store.tip(page: page.id, id: id) else { throw LogRefusal.unknownTip }
        guard stored.tip.refundedAt == nil else { throw LogRefusal.refunded }
        let receipts = try await store.receipts(page: page.id, tips: [id])[id] ?? []
        let message = OverlayMessage.again(
            stored.tip, cursor: Cursor(epoch: position.epoch, sequence: stored.sequence),
            page: PageLabel(slug: page.slug, currency: page.currency))
        let done = Set(receipts.filter { $0.shownAt != nil && $0.kind == .alerts }.map(\.screen))
        return Self.accepted(
            try await announcer.announce(
                OverlayAnnouncement(page: page.id, message: message, besides: done, reopens: stored.sequence)))
    }

    private static func accepted(_ told: Set<OverlayPlace>) -> Response {
        Answer.json(.accepted) { writer in
            writer.beginObject()
            writer.member("screens", told.count)
            writer.endObject()
        }
    }
}

/// What became of a tip on the screens.
enum ReceiptObject {
    static func write(_ receipts: [Receipt], to writer: inout JSONWriter) {
        writer.beginArray()
        for receipt in receipts {
            writer.beginObject()
            writer.member("screen", receipt.screen.text)
            writer.member("kind", receipt.kind.rawValue)
            writer.member("receivedAt", receipt.receivedAt)
            writer.member("shownAt", receipt.shownAt)
            writer.endObject()
        }
        writer.endArray()
    }
}
