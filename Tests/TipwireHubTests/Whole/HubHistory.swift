import TipwireCore
import TipwireHub
import TipwireStore

/// What happened to the log, as the callers of the intake were told: the truth that every listener is held against.
struct HubHistory: Sendable {
    /// The page of each sequence that was committed.
    private(set) var pages: [Int64: Page.ID] = [:]
    /// The sequences of replays, which the Event Hook doesn't tell of.
    private var replays: Set<Int64> = []
    /// Tips that can be shown again.
    private(set) var tips: [(page: Page.ID, id: TipIdentifier)] = []
    /// Pages that are gone: what of theirs was under way may or may not have been given out.
    var deleted: Set<Page.ID> = []
    /// Nothing more will come; listeners may rest.
    var isOver = false

    var count: Int { pages.count }

    mutating func add(_ answers: [LogAnswer]) {
        for answer in answers where !answer.isRepeat {
            for event in answer.events {
                pages[event.sequence] = event.page
                if event.body.kind == .tipReplayed { replays.insert(event.sequence) }
                if event.body.kind == .tipReceived { tips.append((event.page, answer.tip.id)) }
            }
        }
    }

    /// The sequences of `audience` after `start` that a dialect tells of, in order.
    func view(of audience: Set<Page.ID>, after start: Int64, in dialect: Dialect) -> [Int64] {
        pages.filter { sequence, page in
            sequence > start && audience.contains(page) && !deleted.contains(page)
                && (dialect.kind != .sse || !replays.contains(sequence))
        }.keys.sorted()
    }

    /// `received` without the events of pages that are gone.
    func lasting(_ received: [Int64]) -> [Int64] {
        received.filter { sequence in pages[sequence].map { !deleted.contains($0) } ?? true }
    }
}
