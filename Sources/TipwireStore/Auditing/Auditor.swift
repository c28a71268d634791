import NIOCore
import TipwireCore
import TipwireWire

/// One look through a store: the log's counts against its entries, that every entry can be read, and for each page that
/// the log leads to the goals that the store holds.
package struct Auditor<Tables: AuditTables> {
    /// Entries of the log that are held at a time; one of a long queue of goals may have tens of KiB.
    private static var window: Int { 500 }

    private let tables: Tables
    private let log: LogRow
    private var audit = StoreAudit()
    private var slugs: [Page.ID: String] = [:]
    private var replays: [Page.ID: GoalReplay] = [:]
    /// Pages whose replay has failed: what follows there would only repeat it.
    private var broken: Set<Page.ID> = []
    /// The tips that the present window tells of.
    private var tips: [TipName: TipRow] = [:]

    package init(_ tables: Tables) throws {
        self.tables = tables
        log = try tables.readLog()
    }

    package mutating func run() throws -> StoreAudit {
        audit.problems += try tables.damage()
        slugs = try tables.slugs()
        audit.pages = slugs.count
        let pruned = try tables.prunedGoals(pages: Array(slugs.keys))
        for page in slugs.keys { replays[page] = GoalReplay(from: pruned[page] ?? GoalQueue()) }
        try readLog()
        try findUntold()
        try compareGoals()
        return audit
    }

    private mutating func readLog() throws {
        var bytes: Int64 = 0
        var position: Int64 = 0
        while true {
            let entries = try tables.entries(after: position, limit: Self.window)
            guard let last = entries.last else { break }
            position = last.sequence
            let bodies = entries.map { entry in Result { try EventData.decode(kind: entry.kind, data: entry.data) } }
            try readTips(zip(entries, bodies).compactMap { entry, body in try? body.get().tipName(on: entry.page) })
            for (entry, body) in zip(entries, bodies) {
                bytes += entry.bytes + LogRow.allowancePerEvent
                try read(entry, body)
            }
        }
        if log.events != audit.events {
            audit.problems.append("the log counts \(log.events) events and holds \(audit.events)")
        }
        if log.bytes != bytes { audit.problems.append("the log counts \(log.bytes) bytes and holds \(bytes)") }
    }

    private mutating func readTips(_ names: [TipName]) throws {
        tips = names.isEmpty ? [:] : try tables.tips(Set(names))
    }

    private mutating func read(_ entry: LogEntry, _ body: Result<EventBody, any Error>) throws {
        audit.events += 1
        if entry.sequence <= log.prunedThrough || entry.sequence > log.head {
            audit.problems.append("event \(entry.sequence) lies outside the log (\(log.prunedThrough) to \(log.head))")
        }
        if let last = audit.lastCommit, entry.time < last {
            audit.problems.append("event \(entry.sequence) is older than the one before it")
        }
        audit.lastCommit = entry.time
        do {
            try follow(
                Event(sequence: entry.sequence, page: entry.page, time: entry.time, body: try body.get()))
        } catch let error as EventDataError {
            audit.problems.append("event \(entry.sequence): \(error)")
            broken.insert(entry.page)
        }
    }

    private mutating func follow(_ event: Event) throws {
        guard !broken.contains(event.page) else { return }
        do {
            // In place: a copy of a long queue for each event would take longer than all the rest.
            try replays[event.page]?.apply(event.body)
        } catch {
            audit.problems.append("page '\(slugs[event.page] ?? "")', event \(event.sequence): \(error)")
            broken.insert(event.page)
            return
        }
        if let problem = try problem(withTipOf: event) {
            audit.problems.append("page '\(slugs[event.page] ?? "")', event \(event.sequence): \(problem)")
        }
    }

    /// What the table of tips says otherwise than the event: a refund is paid from there.
    private func problem(withTipOf event: Event) throws -> String? {
        let row = event.body.tipName(on: event.page).flatMap { tips[$0] }
        switch event.body {
        case .tipReceived(let tip, _):
            guard let row else { return "tip '\(tip.id)' is not in the store" }
            guard row.tip.grossAmountInCents == tip.grossAmountInCents,
                row.tip.processingFeeInCents == tip.processingFeeInCents
            else { return "tip '\(tip.id)' has another amount in the store" }
            let replay = replays[event.page]
            guard try row.credits() == replay?.credits ?? [] else {
                return "the store says that tip '\(tip.id)' gave other amounts to goals"
            }
            let last = event.sequence + Int64((replay?.tipEvents ?? 1) - 1)
            guard row.sequences == event.sequence...last else {
                return "the store looks for tip '\(tip.id)' elsewhere in the log"
            }
        case .tipRefunded(let tip):
            guard row?.tip.refundedAt == tip.refundedAt, row?.refundSequences?.lowerBound == event.sequence else {
                return "the store doesn't hold this refund of tip '\(tip.id)'"
            }
        case .goalQueueChanged(_, .refunded(let id, let taken)):
            let given = try row?.credits() ?? []
            for credit in taken
            where !given.contains(where: { $0.goal == credit.goal && $0.amountInCents >= credit.amountInCents }) {
                return "the refund of tip '\(id)' took more from a goal than the tip had given"
            }
        case .tipReplayed, .goalCompleted, .goalsChained, .goalQueueChanged: break
        }
        return nil
    }

    /// Tips and refunds that the log should tell of, and doesn't.
    private mutating func findUntold() throws {
        for tip in try tables.untoldTips(after: log.prunedThrough) {
            audit.problems.append("the log doesn't tell of tip '\(tip)', which the store holds")
        }
        for tip in try tables.untoldRefunds(after: log.prunedThrough) {
            audit.problems.append("the log doesn't tell of the refund of tip '\(tip)'")
        }
    }

    private mutating func compareGoals() throws {
        let stored = try tables.goals(pages: Array(slugs.keys))
        for (page, slug) in slugs.sorted(by: { $0.value < $1.value }) {
            let queue = stored[page] ?? GoalQueue()
            audit.goals += queue.goals.count
            guard !broken.contains(page), let replay = replays[page] else { continue }
            do {
                try replay.finish()
            } catch {
                audit.problems.append("page '\(slug)': \(error)")
            }
            for difference in Self.differences(queue, replay.queue) {
                audit.problems.append("page '\(slug)': \(difference)")
            }
        }
    }

    /// What the two say differently, compared as the bytes that the API would show.
    private static func differences(_ stored: GoalQueue, _ replayed: GoalQueue) -> [String] {
        guard json(stored) != json(replayed) else { return [] }
        var texts: [String] = []
        let known = Dictionary(uniqueKeysWithValues: replayed.goals.map { ($0.id, $0) })
        for goal in stored.goals {
            guard let other = known[goal.id] else {
                texts.append("the store holds the goal '\(goal.id)', and the log doesn't lead to it")
                continue
            }
            if goal.progressInCents != other.progressInCents {
                texts.append(
                    "goal '\(goal.id)' has \(goal.progressInCents), and by the log it has \(other.progressInCents)")
            }
            if goal.amountInCents != other.amountInCents {
                texts.append("goal '\(goal.id)' takes \(goal.amountInCents), and by the log \(other.amountInCents)")
            }
            if !goal.description.utf8.elementsEqual(other.description.utf8) {
                texts.append("goal '\(goal.id)' is described otherwise than by the log")
            }
        }
        for goal in replayed.goals where !stored.goals.contains(where: { $0.id == goal.id }) {
            texts.append("the log leads to the goal '\(goal.id)', and the store doesn't hold it")
        }
        return texts.isEmpty ? ["the goals stand in another order than the log leads to"] : texts
    }

    private static func json(_ queue: GoalQueue) -> String {
        var writer = JSONWriter(capacity: 256)
        writer.beginArray()
        for goal in queue.listed { GoalObject.write(goal, to: &writer) }
        writer.endArray()
        return String(buffer: writer.finish())
    }
}

extension EventBody {
    /// The tip whose row the event must agree with; nil where there is none.
    fileprivate func tipName(on page: Page.ID) -> TipName? {
        switch self {
        case .tipReceived(let tip, _), .tipRefunded(let tip): TipName(page: page, id: tip.id)
        case .goalQueueChanged(_, .refunded(let id, _)): TipName(page: page, id: id)
        case .tipReplayed, .goalCompleted, .goalsChained, .goalQueueChanged: nil
        }
    }
}
