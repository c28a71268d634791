import NIOCore
import TipwireCore
import TipwireStore
import TipwireWire

/// The log and its tips as plain arrays: what a store must be indistinguishable from.
struct LogModel {
    private(set) var events: [Event] = []
    private(set) var prunedThrough: Int64 = 0
    private(set) var head: Int64 = 0
    private var committedAt = Timestamp(milliseconds: 0)
    private(set) var pages: [Page.ID: Content] = [:]

    struct Content {
        let label: PageLabel
        var tips: [TipIdentifier: Entry] = [:]
        var keys: [TipIdentifier: Meaning] = [:]
        var reducer = PageReducer()
    }

    /// What an idempotency key stands for.
    enum Meaning {
        case tip(TipIdentifier)
        case refund(TipIdentifier)
        case adjustment(GoalCommand, LogAnswer)
    }

    struct Entry {
        let draft: TipDraft
        let tip: Tip
        let credits: [GoalCredit]
        let events: [Event]
        var refund: LogAnswer?
    }

    init(pages: [Page]) {
        for page in pages { self.pages[page.id] = Content(label: page.label) }
    }

    /// - Parameter made: the ids that the store made for drafts that had none, by their place in the command.
    mutating func apply(
        _ command: LogCommand, at now: Timestamp, made: (Int) -> TipIdentifier
    ) -> Result<[LogAnswer], LogRefusal> {
        switch command {
        case .receive(let page, let drafts, let key):
            guard let content = pages[page] else { return .failure(.unknownPage) }
            if let key, let meaning = content.keys[key] {
                guard case .tip(let id) = meaning, repeats(content.tips[id]!, drafts[0]) else {
                    return .failure(.conflict(index: 0, field: .idempotencyKey))
                }
                return .success([answer(content.tips[id]!, page, isRepeat: true)])
            }
            // On a copy, so that a refusal undoes all of it.
            var copy = self
            var answers: [LogAnswer] = []
            for (index, draft) in drafts.enumerated() {
                let id = draft.id ?? made(index)
                if let entry = copy.pages[page]!.tips[id] {
                    guard repeats(entry, draft) else { return .failure(.conflict(index: index, field: .tipID)) }
                    answers.append(copy.answer(entry, page, isRepeat: content.tips[id] != nil))
                } else {
                    let tip = Tip(draft, id: id, committedAt: copy.time(now))
                    let reception = copy.pages[page]!.reducer.receive(tip)
                    let entry = Entry(
                        draft: draft, tip: tip, credits: reception.credits,
                        events: reception.events.map { copy.append($0, page, now) })
                    copy.pages[page]!.tips[id] = entry
                    answers.append(copy.answer(entry, page, isRepeat: false))
                }
            }
            if let key { copy.pages[page]!.keys[key] = .tip(answers[0].tip.id) }
            self = copy
            return .success(answers)
        case .replay(let page, let id):
            guard let content = pages[page] else { return .failure(.unknownPage) }
            guard let entry = content.tips[id] else { return .failure(.unknownTip) }
            guard entry.refund == nil else { return .failure(.refunded) }
            let event = append(.tipReplayed(entry.tip), page, now)
            return .success([
                LogAnswer(
                    tip: entry.tip, page: content.label, events: [event], lastSequence: event.sequence,
                    isRepeat: false)
            ])
        case .refund(let page, let id, let key): return refund(id, key: key, page: page, now)
        case .changeGoals(let page, let change, let key): return changeGoals(change, key: key, page: page, now)
        }
    }

    private mutating func refund(
        _ id: TipIdentifier, key: TipIdentifier?, page: Page.ID, _ now: Timestamp
    ) -> Result<[LogAnswer], LogRefusal> {
        guard let content = pages[page] else { return .failure(.unknownPage) }
        guard let entry = content.tips[id] else { return .failure(.unknownTip) }
        if let key, let meaning = content.keys[key] {
            guard case .refund(id) = meaning else { return .failure(.conflict(index: 0, field: .idempotencyKey)) }
        }
        if let key { pages[page]!.keys[key] = .refund(id) }
        if let first = entry.refund { return .success([repeated(first)]) }
        var tip = entry.tip
        tip.refundedAt = time(now)
        let events = pages[page]!.reducer.refund(tip, credits: entry.credits).map { append($0, page, now) }
        let answer = LogAnswer(
            tip: tip, page: content.label, events: events, lastSequence: events.last!.sequence, isRepeat: false)
        pages[page]!.tips[id]!.refund = answer
        return .success([answer])
    }

    private mutating func changeGoals(
        _ command: GoalCommand, key: TipIdentifier?, page: Page.ID, _ now: Timestamp
    ) -> Result<[LogAnswer], LogRefusal> {
        guard let content = pages[page] else { return .failure(.unknownPage) }
        if let key, let meaning = content.keys[key] {
            guard case .adjustment(command, let first) = meaning else {
                return .failure(.conflict(index: 0, field: .idempotencyKey))
            }
            return .success([repeated(first)])
        }
        let bodies: [EventBody]
        do {
            bodies = try pages[page]!.reducer.change(command)
        } catch {
            return .failure(.goal(error))
        }
        let events = bodies.map { append($0, page, now) }
        let queue = pages[page]!.reducer.queue
        let subject: LogAnswer.Subject
        switch command {
        case .add(let id, _, _), .edit(let id, _, _), .adjust(let id, _, _): subject = .goal(queue.listed(id)!)
        case .remove, .reorder: subject = .goals(queue.listed)
        }
        let answer = LogAnswer(
            subject: subject, page: content.label, events: events, lastSequence: events.last!.sequence,
            isRepeat: false)
        if let key { pages[page]!.keys[key] = .adjustment(command, answer) }
        return .success([answer])
    }

    private func repeated(_ first: LogAnswer) -> LogAnswer {
        LogAnswer(
            subject: first.subject, page: first.page,
            events: first.events[0].sequence > prunedThrough ? first.events : [], lastSequence: first.lastSequence,
            isRepeat: true)
    }

    func goals(_ page: Page.ID) -> GoalQueue { pages[page]?.reducer.queue ?? GoalQueue() }

    /// As one commit: its time counts only if it added something.
    mutating func endCommit(at now: Timestamp, from head: Int64) {
        if self.head > head { committedAt = time(now) }
    }

    mutating func prune(olderThan horizon: Timestamp, keepingBytes bytes: Int64, limit: Int) -> Pruning {
        var removed = 0
        while let first = events.first, first.time < horizon || size > bytes {
            if removed == limit { return Pruning(removed: removed, isPartial: true) }
            prunedThrough = first.sequence
            events.removeFirst()
            removed += 1
        }
        return Pruning(removed: removed, isPartial: false)
    }

    mutating func delete(_ page: Page.ID) {
        pages[page] = nil
        events.removeAll { $0.page == page }
    }

    func events(_ selection: PageSelection, after sequence: Int64) -> [Event] {
        events.filter { event in
            guard event.sequence > sequence else { return false }
            guard case .some(let wanted) = selection else { return true }
            return wanted.contains(event.page)
        }
    }

    func tips(_ page: Page.ID) -> [StoredTip] {
        (pages[page]?.tips.values).map(Array.init).map { entries in
            entries.map { StoredTip(tip: $0.refund?.tip ?? $0.tip, sequence: $0.events.last!.sequence) }
                .sorted { $0.sequence > $1.sequence }
        } ?? []
    }

    var statistics: LogStatistics {
        LogStatistics(events: Int64(events.count), bytes: size, oldest: events.first?.time)
    }

    private var size: Int64 {
        events.reduce(0) { sum, event in
            sum + Int64(EventData.encode(event.body, page: pages[event.page]!.label).readableBytes) + 64
        }
    }

    private func time(_ now: Timestamp) -> Timestamp { max(now, committedAt) }

    private func repeats(_ entry: Entry, _ draft: TipDraft) -> Bool {
        entry.tip.isRepeated(by: draft, statedCreatedAt: entry.draft.createdAt)
    }

    private func answer(_ entry: Entry, _ page: Page.ID, isRepeat: Bool) -> LogAnswer {
        LogAnswer(
            tip: entry.tip, page: pages[page]!.label,
            events: entry.events[0].sequence > prunedThrough ? entry.events : [],
            lastSequence: entry.events.last!.sequence, isRepeat: isRepeat)
    }

    private mutating func append(_ body: EventBody, _ page: Page.ID, _ now: Timestamp) -> Event {
        head += 1
        let event = Event(sequence: head, page: page, time: time(now), body: body)
        events.append(event)
        return event
    }
}
