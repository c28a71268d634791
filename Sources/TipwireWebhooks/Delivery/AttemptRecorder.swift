import Logging
import Synchronization
import TipwireCore
import TipwireStore

/// Keeps how attempts ended, many in one transaction.
///
/// While one transaction is synced to disk, further ends gather for the next: as with tips, what it costs doesn't grow with
/// their number. An endpoint's place is free only when its attempt is kept, so there is never more here than attempts have
/// room, and a store that can't be written to holds deliveries up instead of losing track of them.
final class AttemptRecorder: Sendable {
    /// How long it waits after a failure, in milliseconds.
    static let pause: Int64 = 1_000

    private struct Entry {
        let progress: DeliveryProgress
        let standing: EndpointStanding?
        let kept: CheckedContinuation<Void, Never>
        /// Counts them, in the order in which they came.
        let number: Int
    }

    /// What a log that lost its end leaves of ends that were told before: nothing of events that it doesn't have any more.
    /// Their ids come to stand for others.
    private struct Loss {
        let before: Int
        let head: Int64

        func takes(_ entry: Entry) -> Bool { entry.number < before && entry.progress.id.sequence > head }
    }

    private struct State {
        var waiting: [Entry] = []
        var count = 0
        var losses: [Loss] = []
        var isHurried = false
        var isStopped = false
    }

    private let store: any WebhookStore
    private let health: @Sendable (WebhookNumber) -> EndpointHealth?
    private let clock: any DeliveryClock
    private let logger: Logger
    private let state = Mutex(State())
    private let news: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    /// - Parameter health: how an endpoint is now; nil when there is none. Attempts that ran side by side may come to be kept
    ///   in another order than they ended in, and a failure must not be the last word after a success.
    init(
        store: any WebhookStore, health: @escaping @Sendable (WebhookNumber) -> EndpointHealth?,
        clock: any DeliveryClock, logger: Logger
    ) {
        self.store = store
        self.health = health
        self.clock = clock
        self.logger = logger
        (news, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Returns when it is on disk; or when the server stops without having got it there, and then the attempt is made
    /// again after the next start.
    func record(_ progress: DeliveryProgress, standing: EndpointStanding?) async {
        await withCheckedContinuation { kept in
            let isStopped = state.withLock { state in
                if !state.isStopped {
                    state.waiting.append(
                        Entry(progress: progress, standing: standing, kept: kept, number: state.count))
                    state.count += 1
                }
                return state.isStopped
            }
            if isStopped { kept.resume() } else { signal.yield() }
        }
    }

    /// Ends that wait for the next transaction.
    var waitingCount: Int { state.withLock(\.waiting.count) }

    func run() async {
        for await _ in news { await recordAll() }
        let left = state.withLock { state in
            state.isStopped = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for entry in left { entry.kept.resume() }
    }

    /// From now on what can't be kept at once is given up: the server stops.
    func hurry() { state.withLock { $0.isHurried = true } }

    /// The log is another one, which ends at `head`.
    func logReplaced(endingAt head: Int64) {
        state.withLock { $0.losses.append(Loss(before: $0.count, head: head)) }
    }

    /// Ends `run`, when what it has is kept.
    func stop() { signal.finish() }

    private func recordAll() async {
        while case let batch = take(), !batch.isEmpty {
            var standings: [WebhookNumber: EndpointStanding] = [:]
            for entry in batch {
                guard let standing = entry.standing else { continue }
                let webhook = entry.progress.id.webhook
                standings[webhook] = EndpointStanding(
                    failingSince: health(webhook).map(\.failingSince) ?? standing.failingSince,
                    disabled: standing.disabled ?? standings[webhook]?.disabled)
            }
            await record(batch, standings)
            for entry in batch { entry.kept.resume() }
        }
    }

    private func take() -> [Entry] {
        state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
    }

    /// Returns when it has succeeded, or the server stops.
    private func record(_ batch: [Entry], _ standings: [WebhookNumber: EndpointStanding]) async {
        while true {
            do {
                let losses = state.withLock(\.losses)
                let progress = batch.filter { entry in !losses.contains { $0.takes(entry) } }.map(\.progress)
                return try await store.record(progress, standings: standings)
            } catch {
                logger.error("attempts of webhooks were not kept", metadata: ["error": "\(error)"])
                guard !state.withLock(\.isHurried) else { return }
                guard (try? await clock.sleep(milliseconds: Self.pause)) != nil else { return }
            }
        }
    }
}
