import TipwireCore
import TipwireStore

@testable import TipwireWebhooks

/// A queue that can be asked inside an expectation, and whose clock is a number of milliseconds.
final class AskedQueue {
    static let start = Timestamp(milliseconds: 1_750_000_000_000)

    static func id(_ sequence: Int) -> DeliveryID {
        DeliveryID(webhook: WebhookNumber(rawValue: 1), sequence: Int64(sequence))
    }

    static func ids(_ sequences: Int...) -> [DeliveryID] { sequences.map(id) }

    static func time(_ milliseconds: Int64) -> Timestamp { start.advanced(milliseconds: milliseconds) }

    static func retry(_ sequence: Int, _ due: Int64) -> EndpointQueue.Retry {
        EndpointQueue.Retry(id: id(sequence), due: time(due))
    }

    var value: EndpointQueue
    var now: Int64 = 0

    /// - Parameter retry: when the earliest retry of the store is due.
    init(firsts: Int = 0, retry: Int64? = nil, held: Int = 4, concurrent: Int = 3) {
        var limits = EndpointQueue.Limits()
        limits.held = held
        limits.concurrent = concurrent
        value = EndpointQueue(
            backlog: WebhookBacklog(pending: firsts, firsts: firsts, earliestRetry: retry.map(Self.time)),
            failingSince: nil, limits: limits)
    }

    /// All that is to be done now.
    func steps(hasRoom: Bool = true) -> [String] {
        var steps: [String] = []
        while let step = value.next(at: Self.time(now), hasRoom: hasRoom) {
            switch step {
            case .attempt(let id, let isFirst): steps.append("\(isFirst ? "first" : "retry") \(id.sequence)")
            case .loadFirsts(let last): steps.append("firsts after \(last?.sequence ?? 0)")
            case .loadRetries: steps.append("retries")
            }
        }
        return steps
    }

    func offer(_ sequences: Int...) { for sequence in sequences { value.offer(first: Self.id(sequence)) } }
    func offer(_ retry: EndpointQueue.Retry) { value.offer(retry: retry) }

    /// An attempt that was made has ended.
    func end(_ sequence: Int, _ outcome: AttemptOutcome = .delivered(status: 200), next: Int64? = nil) {
        _ = value.judge(outcome, at: Self.time(now))
        value.ended(Self.id(sequence), wasMade: true, next: next.map(Self.time), at: Self.time(now))
    }

    /// One that wasn't.
    func giveUp(_ sequence: Int, next: Int64? = nil) {
        value.ended(Self.id(sequence), wasMade: false, next: next.map(Self.time), at: Self.time(now))
    }

    var alarm: Int64? { value.alarm(at: Self.time(now)).map { $0.milliseconds - Self.start.milliseconds } }
    func wantsRoom() -> Bool { value.wantsRoom(at: Self.time(now)) }
}
