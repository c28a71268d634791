import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import TipwireCore
import TipwireStore

/// Where overlays report: which screens are there, what they have shown, and which of several copies may show an alert.
///
/// Asked on event loops, so it answers from memory; but where nodes share a store, that decides who may show an alert
/// (`OverlaySharing`). What is to be kept is written in batches, a moment later; whoever reads it from the store flushes first.
public final class OverlayDesk: Service {
    /// Between two writes of what was reported.
    static let interval = Duration.milliseconds(250)
    /// Most reports of one page that wait for one; beyond it further ones are let go, and their alerts count as not shown.
    static let maximumReports = 2_000
    /// What a connection may say at once, and each second after that; more is not listened to.
    static let burst = 1_000.0
    static let messagesPerSecond = 50.0

    private struct State {
        var nextID = 1
        var walls: [Page.ID: Wall] = [:]
        var reports = OverlayReports()
        /// Places that have come or gone, of which other nodes weren't told.
        var moved: Set<OverlayPlace> = []
    }

    /// What an overlay begins with.
    public struct Opening: Sendable {
        public let view: OverlayView
        /// Events whose alerts were shown before, for a desk that knows nothing of the page.
        fileprivate let shown: Set<Int64>
        /// The page's places on other nodes.
        fileprivate let elsewhere: Set<OverlayPlace>
    }

    /// What comes of a claim.
    public enum Claim: Sendable {
        case settled(AlertLease)
        /// The store is asked. When that fails there is no answer, and whoever claims asks again.
        case asked(EventLoopFuture<AlertLease>)
    }

    private let store: any OverlayStore
    /// Nil where this server is alone on its store.
    let sharing: OverlaySharing?
    private let clock: WallClock
    private let logger: Logger
    private let state = Mutex(State())

    public init(
        store: any OverlayStore, shared: (any SharedOverlayStore)? = nil, clock: WallClock, logger: Logger
    ) {
        self.store = store
        sharing = shared.map(OverlaySharing.init)
        self.clock = clock
        self.logger = logger
    }

    // MARK: Coming and going

    /// What an overlay of a page begins with. Reads the store; the overlay then comes by `arrive`.
    public func open(page: Page.ID, tips: Int) async throws -> Opening {
        let view = try await store.overlayView(page: page, tips: tips)
        let elsewhere = try await sharing?.store.presencesElsewhere(page: page) ?? [:]
        let isKnown = state.withLock { $0.walls[page] != nil }
        let since = clock.now().advanced(milliseconds: -AlertTimes.memory)
        let shown = isKnown ? [] : try await store.shownSequences(page: page, since: since)
        return Opening(view: view, shown: shown, elsewhere: Set(elsewhere.keys))
    }

    /// An overlay has connected. Nil when its page has as many screens as it may and this is another one, or when this one is
    /// connected too often.
    public func arrive(_ place: OverlayPlace, key: String?, _ opening: Opening) -> OverlayPresence? {
        let now = clock.now()
        return state.withLock { state in
            guard state.walls[place.page, default: Wall()].hasRoom(for: place, elsewhere: opening.elsewhere) else {
                return nil
            }
            let id = state.nextID
            state.nextID += 1
            state.walls[place.page, default: Wall()].arrive(id, at: place, now: now)
            state.walls[place.page]?.showed(opening.shown)
            if sharing != nil { state.moved.insert(place) }
            state.reports.sightings[place] = .init(key: key, seenAt: now)
            return OverlayPresence(id: id, place: place, key: key, desk: self)
        }
    }

    func leave(_ presence: OverlayPresence) {
        let now = clock.now()
        let place = presence.place
        let hasLeft = state.withLock { state in
            guard state.walls[place.page]?.leave(presence.id, from: place) == true else { return false }
            state.reports.sightings[place] = .init(key: presence.key, seenAt: now)
            if sharing != nil { state.moved.insert(place) }
            if state.walls[place.page]?.isEmpty == true { state.walls[place.page] = nil }
            return true
        }
        if hasLeft { sharing?.free(presence.id) }
    }

    /// The overlays of a page that are connected to any node, and since when.
    public func present(on page: Page.ID) async throws -> [OverlayPlace: Timestamp] {
        let elsewhere = try await sharing?.store.presencesElsewhere(page: page) ?? [:]
        let here = state.withLock { $0.walls[page]?.places ?? [:] }
        return here.merging(elsewhere) { min($0, $1) }
    }

    // MARK: Reports

    func received(_ tip: TipIdentifier, sequence: Int64, by presence: OverlayPresence) {
        report(tip, sequence: sequence, shownAt: nil, by: presence)
    }

    func shown(_ tip: TipIdentifier, sequence: Int64, by presence: OverlayPresence) {
        guard report(tip, sequence: sequence, shownAt: clock.now(), by: presence) else { return }
        state.withLock { $0.walls[presence.place.page]?.showed([sequence]) }
        sharing?.showed(Alert(page: presence.place.page, sequence: sequence), by: presence.id)
    }

    /// - Returns: whether it was taken.
    @discardableResult
    private func report(
        _ tip: TipIdentifier, sequence: Int64, shownAt: Timestamp?, by presence: OverlayPresence
    ) -> Bool {
        let now = clock.now()
        guard presence.maySpeak(at: now) else { return false }
        let subject = OverlayReports.Subject(place: presence.place, tip: tip)
        return state.withLock { state in
            guard let wall = state.walls[presence.place.page] else { return false }
            if state.reports.receipts[subject] == nil {
                if wall.reports >= Self.maximumReports { return false }
                state.walls[presence.place.page]?.reports += 1
            }
            var report = state.reports.receipts[subject] ?? .init(sequence: sequence, receivedAt: now)
            report.sequence = max(report.sequence, sequence)
            report.shownAt = shownAt ?? report.shownAt
            state.reports.receipts[subject] = report
            state.reports.sightings[presence.place] = .init(key: presence.key, seenAt: now)
            return true
        }
    }

    func claim(_ sequence: Int64, for presence: OverlayPresence, on eventLoop: any EventLoop) -> Claim? {
        let now = clock.now()
        guard presence.maySpeak(at: now) else { return .settled(.held) }
        let page = presence.place.page
        guard let sharing else {
            return .settled(
                state.withLock { $0.walls[page]?.claim(sequence, for: presence.id, at: now) ?? .held })
        }
        let lease = sharing.claim(Alert(page: page, sequence: sequence), for: presence.id, on: eventLoop)
        return lease.map { .asked($0.map { self.take($0, for: presence) }) }
    }

    private func take(_ lease: AlertLease, for presence: OverlayPresence) -> AlertLease {
        let isThere = state.withLock { $0.walls[presence.place.page]?.has(presence.id, at: presence.place) ?? false }
        // It may have left before the store had heard of its claim.
        if lease == .granted, !isThere { sharing?.free(presence.id) }
        return lease
    }

    /// An alert is to be shown once more, so that it is nobody's and not done with.
    func reopen(_ sequence: Int64, page: Page.ID) {
        state.withLock { $0.walls[page]?.reopen(sequence) }
    }

    /// The screens that have shown an alert, as far as the store doesn't know yet.
    func shownLately(_ sequence: Int64, page: Page.ID) -> Set<ScreenName> {
        state.withLock { state in
            Set(
                state.reports.receipts.lazy.filter { subject, report in
                    subject.place.page == page && report.sequence == sequence && report.shownAt != nil
                }.map(\.key.place.screen))
        }
    }

    /// The log is another one, which ends at `head`.
    func forget(after head: Int64) {
        state.withLock { state in
            for page in state.walls.keys { state.walls[page]?.forget(after: head) }
        }
    }

    // MARK: Keeping

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    while (try? await Task.sleep(for: Self.interval)) != nil {
                        await self.flush()
                    }
                }
                if let sharing = self.sharing {
                    group.addTask { for await _ in sharing.errands { await sharing.settle() } }
                }
            }
        }
        await flush()
        sharing?.close()
    }

    /// The other nodes had taken this one for dead: what they knew of its overlays is gone.
    func tellAgain() {
        state.withLock { state in
            for wall in state.walls.values { state.moved.formUnion(wall.places.keys) }
        }
    }

    /// Tells the other nodes which overlays have come and gone. A store that can't be reached is told later; it is no news, for
    /// this node's beat has found it.
    private func tellOthers(_ sharing: OverlaySharing) async {
        await sharing.turn.take {
            let changes = state.withLock { state in
                defer { state.moved = [] }
                return state.moved.reduce(into: [OverlayPlace: Timestamp?]()) { changes, place in
                    changes[place] = .some(state.walls[place.page]?.since(place))
                }
            }
            guard !changes.isEmpty, (try? await sharing.store.keepPresences(changes)) == nil else { return }
            state.withLock { $0.moved.formUnion(changes.keys) }
        }
    }

    /// Writes what was reported, so that the store tells it.
    public func flush() async {
        if let sharing {
            await sharing.settle()
            await tellOthers(sharing)
        }
        let reports = state.withLock { state in
            defer { state.reports = OverlayReports() }
            for page in state.walls.keys { state.walls[page]?.reports = 0 }
            return state.reports
        }
        guard !reports.isEmpty else { return }
        do {
            try await store.keep(reports)
        } catch {
            logger.warning("what overlays reported was not written", metadata: ["error": "\(error)"])
            // A disk that fails may be there again. What the store refuses it would refuse for ever, and all behind it.
            guard error is StoreFull || error is StoreFailing else { return }
            state.withLock { state in
                // What came meanwhile is newer.
                state.reports.receipts.merge(reports.receipts) { newer, older in
                    .init(
                        sequence: newer.sequence, receivedAt: older.receivedAt,
                        shownAt: newer.shownAt ?? older.shownAt)
                }
                state.reports.sightings.merge(reports.sightings) { newer, _ in newer }
            }
        }
    }
}
