import TipwireCore
import TipwireStore

/// What happened to the log, as the callers of the intake were told: the truth that every listener is held against.
struct HubHistory: Sendable {
    /// The page of each sequence that was committed.
    private(set) var pages: [Int64: Page.ID] = [:]
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
                if event.body.kind == .tipReceived { tips.append((event.page, answer.tip.id)) }
            }
        }
    }

    /// The sequences of `audience` after `start`, in order.
    func view(of audience: Set<Page.ID>, after start: Int64) -> [Int64] {
        pages.filter { $0.key > start && audience.contains($0.value) && !deleted.contains($0.value) }.keys.sorted()
    }

    /// `received` without the events of pages that are gone.
    func lasting(_ received: [Int64]) -> [Int64] {
        received.filter { sequence in pages[sequence].map { !deleted.contains($0) } ?? true }
    }
}
