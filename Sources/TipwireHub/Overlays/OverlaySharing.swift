import NIOCore
import Synchronization
import TipwireCore
import TipwireStore

/// What one node needs so that a page's overlays are one wall on all nodes together.
///
/// An alert of which one copy is wanted is lent by the store, to one copy on one node at a time: what is decided here too could
/// be another decision. What many ask for at once is asked for together: as long as the store is busy with some, the rest
/// waits and goes along next.
final class OverlaySharing: Sendable {
    /// Most alerts that are to be kept as shown while the store fails. Beyond it they may be shown again.
    static let maximumShown = 10_000
    /// Most claims of one page that wait for the store at a time. Whoever comes then is told to ask again.
    static let maximumClaims = 1_000

    /// One copy's claim to an alert.
    private struct Claim: Hashable {
        let alert: Alert
        let holder: Int
    }

    private struct State {
        var shown: [Alert: Int] = [:]
        var freed: Set<Int> = []
        /// In the order in which they came.
        var claims: [Claim] = []
        /// Of those that wait, and of those that the store is asked for.
        var promises: [Claim: EventLoopPromise<AlertLease>] = [:]
        var count: [Page.ID: Int] = [:]
        /// The last announcement that was heard; nil before the first look.
        var heard: Int64?
        var isClosed = false
    }

    let store: any SharedOverlayStore
    /// What is told of this node's overlays is told in the order in which it came to be.
    let turn = Turn()
    /// One element stands for any number of errands.
    let errands: AsyncStream<Void>
    private let errand: AsyncStream<Void>.Continuation
    private let state = Mutex(State())

    init(_ store: any SharedOverlayStore) {
        self.store = store
        (errands, errand) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Asks for an alert; nil when the same was asked for and not answered yet, or nobody answers any more. Fails when the
    /// store does: whoever asks isn't told anything then, and asks again.
    func claim(_ alert: Alert, for holder: Int, on eventLoop: any EventLoop) -> EventLoopFuture<AlertLease>? {
        let promise: EventLoopPromise<AlertLease>? = state.withLock { state in
            let claim = Claim(alert: alert, holder: holder)
            guard !state.isClosed, state.promises[claim] == nil else { return nil }
            let promise = eventLoop.makePromise(of: AlertLease.self)
            guard state.count[alert.page, default: 0] < Self.maximumClaims else {
                promise.succeed(.held)
                return promise
            }
            state.count[alert.page, default: 0] += 1
            state.claims.append(claim)
            state.promises[claim] = promise
            return promise
        }
        if promise != nil { errand.yield() }
        return promise?.futureResult
    }

    func showed(_ alert: Alert, by holder: Int) {
        state.withLock { state in
            if state.shown.count < Self.maximumShown { state.shown[alert] = holder }
        }
        errand.yield()
    }

    /// Whoever this was has gone.
    func free(_ holder: Int) {
        state.withLock { _ = $0.freed.insert(holder) }
        errand.yield()
    }

    /// Takes to the store what has come together, and what failed the last time.
    func settle() async { await turn.take { await settleNow() } }

    private func settleNow() async {
        let (errands, claims) = state.withLock { state in
            // Of several copies of this node that want one alert the first asks.
            let first = Dictionary(state.claims.map { ($0.alert, $0.holder) }) { first, _ in first }
            defer { (state.shown, state.freed, state.claims) = ([:], [], []) }
            return (AlertErrands(shown: state.shown, freed: state.freed, claims: first), state.claims)
        }
        guard !errands.isEmpty else { return }
        let outcome: Result<[Alert: AlertLease], any Error>
        do {
            outcome = .success(try await store.settle(errands))
        } catch {
            outcome = .failure(error)
            // What was given back comes free by itself. What was shown would be shown again.
            state.withLock { state in
                if state.shown.count < Self.maximumShown { state.shown.merge(errands.shown) { newer, _ in newer } }
            }
        }
        let promises = state.withLock { state in
            claims.compactMap { claim -> (Claim, EventLoopPromise<AlertLease>)? in
                guard let promise = state.promises.removeValue(forKey: claim) else { return nil }
                state.count[claim.alert.page]! -= 1
                if state.count[claim.alert.page] == 0 { state.count[claim.alert.page] = nil }
                return (claim, promise)
            }
        }
        for (claim, promise) in promises {
            promise.completeWith(
                outcome.map { leases in
                    let lease = leases[claim.alert] ?? .held
                    return errands.claims[claim.alert] == claim.holder || lease == .shown ? lease : .held
                })
        }
    }

    /// Nobody is answered any more.
    func close() {
        let promises = state.withLock { state in
            state.isClosed = true
            defer { state.promises = [:] }
            return state.promises
        }
        for promise in promises.values { promise.fail(CancellationError()) }
    }

    /// What other nodes have said since the last time.
    func takeAnnouncements() async throws -> [OverlayAnnouncement] {
        let (list, through) = try await store.announcements(after: state.withLock(\.heard))
        state.withLock { $0.heard = through }
        return list
    }
}
