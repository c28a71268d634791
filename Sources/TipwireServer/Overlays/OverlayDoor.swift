import Logging
import NIOCore
import NIOHTTP1
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// Decides about the WebSocket of an overlay, `/overlay/socket`.
///
/// It is opened by a key in its address, which needs the scope `overlay` and nothing else; it begins with the state of the page as
/// a whole, and goes on with the events behind that.
struct OverlayDoor: Sendable {
    static let path: Substring = "/overlay/socket"
    /// Newest tips in the state.
    static let recentTips = 20

    let admission: Admission
    let desk: OverlayDesk
    let position: LogPosition
    let logger: Logger

    /// What the address asked for.
    private struct Wish: Sendable {
        let principal: Principal
        let place: OverlayPlace
        let position: Subscription.Start?
        let accept: String
        let address: String
    }

    /// The handshake has been checked. Looked at in this order: the key, `kind`, `screen`, the page, and then, with the store asked for
    /// the page's state, room for one more.
    func decide(
        query: QueryString, accept: String, address: String, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Result<AcceptedStream, StreamRefusal>> {
        switch wish(query, accept: accept, address: address) {
        case .failure(let refusal):
            return eventLoop.makeSucceededFuture(.failure(refusal))
        case .success(let wish):
            let opening = eventLoop.makeFutureWithTask {
                try await desk.open(page: wish.place.page, tips: Self.recentTips)
            }
            return opening.map { open(wish, with: $0, on: eventLoop) }.flatMapErrorThrowing { error in
                logger.error("an overlay's state can't be read", metadata: ["error": "\(error)"])
                return .failure(
                    StreamRefusal(
                        .serviceUnavailable, "The page can't be read at the moment.", because: "store",
                        headers: ["retry-after": "5"]))
            }
        }
    }

    private func wish(_ query: QueryString, accept: String, address: String) -> Result<Wish, StreamRefusal> {
        admission.principal(
            key: query.nonEmpty("key"), address: address, hint: "add key=YOUR_OVERLAY_KEY to the URL", scope: .overlay
        ).flatMap { principal in
            guard let kind = OverlayKind(rawValue: query.nonEmpty("kind") ?? OverlayKind.alerts.rawValue) else {
                return .failure(
                    StreamRefusal(
                        .badRequest, "The parameter 'kind' must be 'alerts', 'goal' or 'recent'.", because: "kind"))
            }
            guard let screen = ScreenName(query.nonEmpty("screen") ?? "screen") else {
                return .failure(
                    StreamRefusal(
                        .badRequest, "The parameter 'screen' \(ScreenName.rule).", because: "screen"))
            }
            return page(principal, named: query.nonEmpty("page")).map { page in
                Wish(
                    principal: principal, place: OverlayPlace(page: page.id, kind: kind, screen: screen),
                    position: query.nonEmpty("since").map { Subscription.Start.given($0) }, accept: accept,
                    address: address)
            }
        }
    }

    /// The page that was asked for, or the only one that the key has.
    private func page(_ principal: Principal, named name: String?) -> Result<Page, StreamRefusal> {
        if let name { return admission.page(name, for: principal) }
        let choices = admission.directory.look { $0.pages(of: principal.account) }.filter(principal.mayFollow)
        if choices.count == 1 { return .success(choices[0]) }
        return .failure(
            StreamRefusal(
                .badRequest,
                choices.isEmpty
                    ? "This key has no page to show." : "The parameter 'page' is missing: name the page's slug.",
                because: "page"))
    }

    /// Back on the loop, in the turn that subscribes: what ended while the store was read is seen here.
    private func open(
        _ wish: Wish, with opening: OverlayDesk.Opening, on eventLoop: any EventLoop
    ) -> Result<AcceptedStream, StreamRefusal> {
        let view = opening.view
        guard admission.authenticator.isGood(wish.principal),
            let page = admission.directory.look({ $0.page(wish.place.page) }), wish.principal.mayFollow(page)
        else {
            return .failure(
                StreamRefusal(.unauthorized, "This API key is unknown, expired or revoked.", because: "key_invalid"))
        }
        return admission.room().flatMap { permit in
            guard case .key(let key) = wish.principal.credential,
                let presence = desk.arrive(wish.place, key: key, opening)
            else {
                return .failure(
                    StreamRefusal(
                        .tooManyRequests,
                        "This page has \(Limits.screens) overlay screens connected, or this screen \(Limits.copies) times; that is the most.",
                        because: "screens", headers: ["retry-after": "60"]))
            }
            var greeting = WebSocketHandshake.response(accept: wish.accept)
            greeting.writeImmutableBuffer(
                OverlayMessage.state(
                    OverlayMessage.State(
                        version: TipwireVersion.text, build: Asset.build,
                        page: PageLabel(slug: page.slug, currency: page.currency), title: page.title,
                        goals: view.goals.listed, recent: view.recent, alerts: page.alerts,
                        cursor: Cursor(epoch: position.epoch, sequence: view.bounds.head))))
            let subscription = Subscription(
                dialect: .overlay, audience: .page(page.id), principal: wish.principal,
                // What was committed since the state was read follows it.
                start: wish.position ?? .after(view.bounds.head), remoteAddress: wish.address,
                connectedAt: admission.clock.now(), overlay: wish.place)
            return .success(
                AcceptedStream(
                    form: .webSocket(OverlayVoice(presence: presence, position: position, eventLoop: eventLoop)),
                    purpose: .listen(subscription),
                    opening: greeting, permit: permit))
        }
    }
}
