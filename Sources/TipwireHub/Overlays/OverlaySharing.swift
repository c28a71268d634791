import NIOCore
import Synchronization
import TipwireCore
import TipwireStore

/// What one node needs so that a page's overlays are one wall on all nodes together.
///
/// An alert of which one copy is wanted is lent by the store to one node at a time, and by that node, in memory, to one of its
/// own copies. What many ask for at once is asked for together: as long as the store is busy with some, the rest waits and goes
/// along next.
final class OverlaySharing: Sendable {
    /// Most alerts that are to be kept as shown while the store fails. Beyond it they may be shown again.
    static let maximumShown = 10_000

    private struct State {
        var errands = AlertErrands()
        var waiting: [Alert: [EventLoopPromise<AlertLease>]] = [:]
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

    /// Asks for an alert. Fails when the store does: whoever asks isn't told anything then, and asks again.
    func claim(_ alert: Alert, on eventLoop: any EventLoop) -> EventLoopFuture<AlertLease> {
        let promise = eventLoop.makePromise(of: AlertLease.self)
        let isTaken = state.withLock { state in
            guard !state.isClosed else { return false }
            state.errands.claims.insert(alert)
            state.waiting[alert, default: []].append(promise)
            return true
        }
        if isTaken { errand.yield() } else { promise.fail(CancellationError()) }
        return promise.futureResult
    }

    func showed(_ alert: Alert) {
        state.withLock { state in
            guard state.errands.shown.count < Self.maximumShown else { return }
            state.errands.shown.insert(alert)
        }
        errand.yield()
    }

    func free(_ alerts: [Alert]) {
        guard !alerts.isEmpty else { return }
        state.withLock { $0.errands.freed.formUnion(alerts) }
        errand.yield()
    }

    /// Takes to the store what has come together, and what failed the last time.
    func settle() async { await turn.take { await settleNow() } }

    private func settleNow() async {
        let (errands, waiting) = state.withLock { state in
            defer { (state.errands, state.waiting) = (AlertErrands(), [:]) }
            return (state.errands, state.waiting)
        }
        guard !errands.isEmpty else { return }
        let outcome: Result<[Alert: AlertLease], any Error>
        do {
            outcome = .success(try await store.settle(errands))
        } catch {
            outcome = .failure(error)
            // What was given back comes free by itself. What was shown would be shown again.
            state.withLock { state in
                if state.errands.shown.count < Self.maximumShown { state.errands.shown.formUnion(errands.shown) }
            }
        }
        for (alert, promises) in waiting {
            for promise in promises { promise.completeWith(outcome.map { $0[alert] ?? .held }) }
        }
    }

    /// Nobody is answered any more.
    func close() {
        let waiting = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [:] }
            return state.waiting
        }
        for promise in waiting.values.joined() { promise.fail(CancellationError()) }
    }

    /// What other nodes have said since the last time.
    func takeAnnouncements() async throws -> [OverlayAnnouncement] {
        let (list, through) = try await store.announcements(after: state.withLock(\.heard))
        state.withLock { $0.heard = through }
        return list
    }
}
