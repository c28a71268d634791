import Logging
import ServiceLifecycle
import Synchronization
import TipwireCore
import TipwireStore
import TipwireWire

/// Where overlays report: which screens are there, what they have shown, and which of several copies may show an alert.
///
/// Asked on event loops, so it answers from memory. What is to be kept is written in batches, a moment later; whoever reads it
/// from the store flushes first.
public final class OverlayDesk: Service {
    /// Between two writes of what was reported.
    static let interval = Duration.milliseconds(250)
    /// Most reports of one page that wait for one; beyond it further ones are let go, and their alerts count as not shown.
    static let maximumReports = 2_000
    /// What a connection may say at once, and each second after that; more is not listened to.
    static let burst = 1_000.0
    static let messagesPerSecond = 50.0
    /// How long an alert stays with who was given it and says nothing more.
    static let leaseMilliseconds: Int64 = 8_000
    /// How far back it is remembered which alerts were shown, for copies that come back: overlays pass over older ones.
    static let memoryMilliseconds: Int64 = 10 * 60 * 1_000
    /// Most alerts of one page that are remembered as shown, or lent.
    static let maximumAlerts = 1_000

    private struct Lease {
        let holder: Int
        var until: Timestamp
    }

    /// What is known of a page while it has overlays.
    private struct Wall {
        /// The overlays that are connected, and since when; a place has several while a new connection replaces an old one.
        var present: [OverlayPlace: [Int: Timestamp]] = [:]
        var leases: [Int64: Lease] = [:]
        var shown: Set<Int64> = []
        /// Of those that wait to be written.
        var reports = 0

        /// Forgets the oldest, in one go for many, so that it costs each little.
        mutating func trim() {
            guard shown.count > OverlayDesk.maximumAlerts * 2 else { return }
            shown = Set(shown.sorted().suffix(OverlayDesk.maximumAlerts))
        }
    }

    private struct State {
        var nextID = 1
        var walls: [Page.ID: Wall] = [:]
        var reports = OverlayReports()
    }

    private let store: any OverlayStore
    private let clock: WallClock
    private let logger: Logger
    private let state = Mutex(State())

    public init(store: any OverlayStore, clock: WallClock, logger: Logger) {
        self.store = store
        self.clock = clock
        self.logger = logger
    }

    // MARK: Coming and going

    /// What an overlay of a page begins with. Reads the store; the overlay then comes by `arrive`.
    public func view(of page: Page.ID, tips: Int) async throws -> (view: OverlayView, shown: Set<Int64>) {
        let view = try await store.overlayView(page: page, tips: tips)
        let isKnown = state.withLock { $0.walls[page] != nil }
        guard !isKnown else { return (view, []) }
        let since = clock.now().advanced(milliseconds: -Self.memoryMilliseconds)
        return (view, try await store.shownSequences(page: page, since: since))
    }

    /// An overlay has connected. Nil when its page has as many screens as it may and this is another one, or when this one is
    /// connected too often.
    ///
    /// - Parameter shown: what `view` said was shown before.
    public func arrive(_ place: OverlayPlace, key: String?, shown: Set<Int64>) -> OverlayPresence? {
        let now = clock.now()
        return state.withLock { state in
            let wall = state.walls[place.page]
            let connections = wall?.present[place]?.count ?? 0
            if connections == 0, wall?.present.count ?? 0 >= Limits.screens { return nil }
            if connections >= Limits.copies { return nil }
            let id = state.nextID
            state.nextID += 1
            state.walls[place.page, default: Wall()].present[place, default: [:]][id] = now
            state.walls[place.page]?.shown.formUnion(shown)
            state.walls[place.page]?.trim()
            state.reports.sightings[place] = .init(key: key, seenAt: now)
            return OverlayPresence(id: id, place: place, key: key, desk: self)
        }
    }

    fileprivate func leave(_ presence: OverlayPresence) {
        let now = clock.now()
        state.withLock { state in
            let place = presence.place
            guard state.walls[place.page]?.present[place]?.removeValue(forKey: presence.id) != nil else { return }
            if state.walls[place.page]?.present[place]?.isEmpty == true {
                state.walls[place.page]?.present[place] = nil
            }
            state.reports.sightings[place] = .init(key: presence.key, seenAt: now)
            if state.walls[place.page]?.present.isEmpty == true {
                state.walls[place.page] = nil
            } else {
                // What it was about to show is for another to show.
                let mine = state.walls[place.page]?.leases.filter { $0.value.holder == presence.id } ?? [:]
                for sequence in mine.keys { state.walls[place.page]?.leases[sequence] = nil }
            }
        }
    }

    /// The overlays of a page that are connected, and since when.
    public func present(on page: Page.ID) -> [OverlayPlace: Timestamp] {
        state.withLock { $0.walls[page]?.present.compactMapValues { $0.values.min() } ?? [:] }
    }

    // MARK: Reports

    func received(_ tip: TipIdentifier, sequence: Int64, by presence: OverlayPresence) {
        report(tip, sequence: sequence, shownAt: nil, by: presence)
    }

    func shown(_ tip: TipIdentifier, sequence: Int64, by presence: OverlayPresence) {
        guard report(tip, sequence: sequence, shownAt: clock.now(), by: presence) else { return }
        state.withLock { state in
            state.walls[presence.place.page]?.shown.insert(sequence)
            state.walls[presence.place.page]?.trim()
        }
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

    func claim(_ sequence: Int64, for presence: OverlayPresence) -> OverlayMessage.Lease {
        let now = clock.now()
        guard presence.maySpeak(at: now) else { return .held }
        let page = presence.place.page
        return state.withLock { state in
            guard let lease = state.walls[page].map({ $0.leases[sequence] }) else { return .held }
            if state.walls[page]?.shown.contains(sequence) == true {
                // Who shows it asks again from time to time, and is told to go on.
                return lease?.holder == presence.id ? .granted : .shown
            }
            if let lease, lease.holder != presence.id, lease.until > now { return .held }
            if lease == nil, state.walls[page]?.leases.count ?? 0 >= Self.maximumAlerts {
                // Nobody who is at it loses it to one who claims without end.
                let living = state.walls[page]?.leases.filter { $0.value.until > now } ?? [:]
                state.walls[page]?.leases = living
                if state.walls[page]?.leases.count ?? 0 >= Self.maximumAlerts { return .held }
            }
            state.walls[page]?.leases[sequence] = Lease(
                holder: presence.id, until: now.advanced(milliseconds: Self.leaseMilliseconds))
            return .granted
        }
    }

    /// An alert is to be shown once more, so that it is nobody's and not done with.
    public func reopen(_ sequence: Int64, page: Page.ID) {
        state.withLock { state in
            state.walls[page]?.leases[sequence] = nil
            state.walls[page]?.shown.remove(sequence)
        }
    }

    // MARK: Keeping

    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: Self.interval)
                await self.flush()
            }
        }
        await flush()
    }

    /// Writes what was reported, so that the store tells it.
    public func flush() async {
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

/// One overlay's connection, as the desk knows it. Ends with `leave`, or when nobody has it any more.
public final class OverlayPresence: Sendable {
    fileprivate let id: Int
    public let place: OverlayPlace
    fileprivate let key: String?
    private let desk: OverlayDesk
    /// What it may still say, and when that was counted.
    private let allowance = Mutex((left: OverlayDesk.burst, at: Timestamp(milliseconds: 0)))

    fileprivate init(id: Int, place: OverlayPlace, key: String?, desk: OverlayDesk) {
        self.id = id
        self.place = place
        self.key = key
        self.desk = desk
    }

    deinit { desk.leave(self) }

    fileprivate func maySpeak(at now: Timestamp) -> Bool {
        allowance.withLock { allowance in
            let passed = Double(max(0, now.milliseconds - allowance.at.milliseconds)) / 1_000
            allowance.left = min(OverlayDesk.burst, allowance.left + passed * OverlayDesk.messagesPerSecond)
            allowance.at = now
            guard allowance.left >= 1 else { return false }
            allowance.left -= 1
            return true
        }
    }

    public func leave() { desk.leave(self) }

    public func received(_ tip: TipIdentifier, sequence: Int64) {
        desk.received(tip, sequence: sequence, by: self)
    }

    public func shown(_ tip: TipIdentifier, sequence: Int64) { desk.shown(tip, sequence: sequence, by: self) }

    /// Whether this screen may show an alert that is wanted once.
    public func claim(_ sequence: Int64) -> OverlayMessage.Lease { desk.claim(sequence, for: self) }
}
