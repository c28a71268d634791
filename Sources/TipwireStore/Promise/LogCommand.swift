import TipwireCore

/// One change that goes into the log, whole or not at all.
public enum LogCommand: Sendable {
    /// New tips to one page.
    ///
    /// A tip whose `id` the page has already, with the same content (`Tip.isRepeated`), is answered as the first time
    /// and adds nothing; with other content the whole command is refused. Repeats within `drafts` are answered as
    /// their first.
    ///
    /// An `idempotencyKey` does the same for callers without ids, and goes with exactly one draft. It is looked up
    /// before the draft's `id`; a new key on a known `id` with the same content is a repeat too, and from then on
    /// stands for that tip. A refused command leaves no key behind.
    case receive(page: Page.ID, drafts: [TipDraft], idempotencyKey: TipIdentifier?)
    /// Shows a stored tip again, as it stands now. A refunded one is refused.
    case replay(page: Page.ID, tip: TipIdentifier)
    /// Takes a stored tip back out. A second time it is answered as the first.
    ///
    /// The `idempotencyKey` is one of the page's, like that of a tip: used for anything else before, it is refused.
    case refund(page: Page.ID, tip: TipIdentifier, idempotencyKey: TipIdentifier?)
    /// Changes the page's queue of goals.
    ///
    /// An `idempotencyKey` goes with an adjustment alone: the same adjustment with the same key is answered as the first
    /// time, another one is refused.
    case changeGoals(page: Page.ID, GoalCommand, idempotencyKey: TipIdentifier?)

    /// Entries that it adds at least, for bounding a batch.
    public var weight: Int {
        switch self {
        case .receive(_, let drafts, _): drafts.count
        case .replay, .refund, .changeGoals: 1
        }
    }
}

/// What a command put into the log, or had put there the first time.
public struct LogAnswer: Sendable, Equatable {
    /// What was changed, as it stood then.
    public enum Subject: Sendable, Equatable {
        /// For a repeat as it was first answered: not refunded, whatever came later.
        case tip(Tip)
        /// The goal that was added, edited or adjusted.
        case goal(ListedGoal)
        /// All goals of the page, after one was removed or all were put into another order.
        case goals([ListedGoal])
    }

    public let subject: Subject
    /// The page as its events name it.
    public let page: PageLabel
    /// Empty for a repeat when retention has removed any of its first events.
    public let events: [Event]
    /// The last event's sequence; known even when the events are gone.
    public let lastSequence: Int64
    /// Nothing was added, now or by this command: this is an earlier command's answer. A draft that repeats one before
    /// it in the same command has the answer of that one, `false` if that one was new; so a command of nothing but
    /// repeats is one whose answers all say `true`.
    public let isRepeat: Bool

    public init(subject: Subject, page: PageLabel, events: [Event], lastSequence: Int64, isRepeat: Bool) {
        self.subject = subject
        self.page = page
        self.events = events
        self.lastSequence = lastSequence
        self.isRepeat = isRepeat
    }
}

/// Why a command was not kept.
public enum LogRefusal: Error, Sendable, Equatable {
    case unknownPage
    case unknownTip
    /// The tip was refunded: it is not shown again.
    case refunded
    case goal(GoalRefusal)
    /// The tip at `index` (0 for every other command) has an id that stands for other content, `field` says which kind of
    /// id.
    case conflict(index: Int, field: ConflictField)

    public enum ConflictField: Sendable, Equatable {
        case tipID
        case idempotencyKey
    }
}

/// What is committed together.
public struct LogBatch: Sendable {
    public let commands: [LogCommand]
    /// The clock. The commit's time is this, or the last commit's if the clock went back.
    public let now: Timestamp

    public init(_ commands: [LogCommand], at now: Timestamp) {
        self.commands = commands
        self.now = now
    }
}

/// The outcome of a batch.
public struct Commit: Sendable {
    /// One for each command, in order; of a `receive` one answer for each draft.
    public let results: [Result<[LogAnswer], LogRefusal>]
    /// The log after it.
    public let bounds: LogBounds

    public init(results: [Result<[LogAnswer], LogRefusal>], bounds: LogBounds) {
        self.results = results
        self.bounds = bounds
    }
}

/// Which pages' entries a reader wants.
public enum PageSelection: Hashable, Sendable {
    case all
    case some(Set<Page.ID>)
}

/// A stretch of the log.
public struct EventSlice: Sendable {
    public let events: [Event]
    /// Every wanted entry up to here is in `events` (or was in an earlier slice): the next read starts here.
    public let through: Int64
    /// The log when it was read, in the same snapshot.
    public let bounds: LogBounds
    /// The directory's version in the same snapshot: who knows an older one may have asked for too few pages.
    public let directoryVersion: Int64

    public init(events: [Event], through: Int64, bounds: LogBounds, directoryVersion: Int64 = 0) {
        self.events = events
        self.through = through
        self.bounds = bounds
        self.directoryVersion = directoryVersion
    }
}

/// What `prune` did.
public struct Pruning: Sendable, Equatable {
    public let removed: Int
    /// There is more to remove: call again.
    public let isPartial: Bool

    public init(removed: Int, isPartial: Bool) {
        self.removed = removed
        self.isPartial = isPartial
    }
}

public struct LogStatistics: Sendable, Equatable {
    public let events: Int64
    /// What retention by size counts: the stored events' data and a fixed allowance each.
    public let bytes: Int64
    /// The commit time of the oldest kept event.
    public let oldest: Timestamp?

    public init(events: Int64, bytes: Int64, oldest: Timestamp?) {
        self.events = events
        self.bytes = bytes
        self.oldest = oldest
    }
}

/// A tip and its place in the page's list.
public struct StoredTip: Sendable, Equatable {
    public let tip: Tip
    public let sequence: Int64

    public init(tip: Tip, sequence: Int64) {
        self.tip = tip
        self.sequence = sequence
    }
}
