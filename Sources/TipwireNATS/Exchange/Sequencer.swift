import TipwireCore

/// Puts what several nodes commit back into the log's order, as it comes in from all of them, this one included.
///
/// Commits are made one after the other, but two nodes tell of theirs at the same time, and the later one may be heard first.
/// It waits for the earlier, for moments only: a message may as well be lost, and then the log has what it said. A pure value:
/// times come in, and what may be given on goes out.
struct Sequencer {
    typealias Instant = ContinuousClock.Instant

    struct Limits {
        /// How long what is ahead of a hole waits for it to be filled. Messages between machines of one place take a
        /// millisecond or two; a read of the log, which is the other way, isn't cheap and doesn't take much longer than this.
        var patience = Duration.milliseconds(25)
        /// Most events that wait; beyond it the hole is given up at once.
        var events = 4_096
        /// Most bytes that wait, as their messages had them.
        var bytes = 8 << 20
    }

    /// What may be given on.
    struct Release: Equatable {
        /// In order, none twice. Where holes were given up they show.
        var events: [Event] = []
        /// The oldest commit among them whose time is known.
        var committedAt: Instant?
        /// Holes that were given up.
        var holes = 0
        /// The log has something that isn't among the events, and nothing else shows it.
        var mustRead = false

        var isEmpty: Bool { events.isEmpty && !mustRead }
    }

    private struct Held {
        let event: Event
        let committedAt: Instant?
        let bytes: Int
    }

    /// The log is said to go as far as `head`.
    private struct Rumour {
        var head: Int64
        var since: Instant
    }

    private let limits: Limits
    /// Everything up to here was given on or given up.
    private(set) var through: Int64
    /// What is ahead of a hole.
    private var held: [Int64: Held] = [:]
    private var heldBytes = 0
    /// For each offer of which something was held, oldest first: up to where, and since when.
    private var arrivals: [(last: Int64, at: Instant)] = []
    /// The oldest that isn't settled, and what came after it.
    private var rumour: Rumour?
    private var nextRumour: Rumour?
    /// Events that had been given on before, or came after they were given up.
    private(set) var late = 0

    init(after sequence: Int64, limits: Limits = Limits()) {
        through = sequence
        self.limits = limits
    }

    /// When `expire` has something to do; nil when nothing waits.
    var deadline: Instant? {
        let since = [arrivals.first?.at, rumour?.since].compactMap(\.self).min()
        return since.map { $0 + limits.patience }
    }

    // MARK: What comes in

    /// - Parameters:
    ///   - events: in order, of any node.
    ///   - committedAt: when they were committed, if this process knows.
    ///   - bytes: what they take while they wait, about.
    mutating func offer(
        _ events: [Event], committedAt: Instant? = nil, bytes: Int, at now: Instant
    ) -> Release {
        var release = Release()
        let share = events.isEmpty ? 0 : bytes / events.count
        var lastHeld: Int64?
        for event in events {
            guard event.sequence > through, held[event.sequence] == nil else {
                late += 1
                continue
            }
            let new = Held(event: event, committedAt: committedAt, bytes: share)
            if event.sequence == through + 1 {
                give(new, to: &release)
            } else {
                held[event.sequence] = new
                heldBytes += share
                lastHeld = event.sequence
            }
        }
        giveRun(to: &release)
        if let lastHeld, lastHeld > through { arrivals.append((lastHeld, now)) }
        while held.count > limits.events || heldBytes > limits.bytes { giveUpHole(&release) }
        settle()
        return release
    }

    /// The log goes as far as `head`, by another way than events: they should be here soon, or are lost.
    mutating func expect(_ head: Int64, at now: Instant) {
        guard head > through else { return }
        if rumour == nil {
            rumour = Rumour(head: head, since: now)
        } else if head > max(rumour?.head ?? 0, nextRumour?.head ?? 0) {
            nextRumour = Rumour(head: head, since: now)
        }
    }

    /// Gives up what has been waited for long enough.
    mutating func expire(at now: Instant) -> Release {
        var release = Release()
        while let oldest = arrivals.first, oldest.at + limits.patience <= now {
            giveUpHole(&release)
            settle()
        }
        while let told = rumour, told.since + limits.patience <= now {
            giveUp(through: told.head, &release)
            settle()
        }
        return release
    }

    /// Gives up all that is waited for: nothing will come.
    mutating func flush(into release: inout Release) {
        while !held.isEmpty { giveUpHole(&release) }
        if let head = (nextRumour ?? rumour)?.head { giveUp(through: head, &release) }
        settle()
    }

    // MARK: What goes out

    private mutating func give(_ next: Held, to release: inout Release) {
        release.events.append(next.event)
        release.committedAt = [release.committedAt, next.committedAt].compactMap(\.self).min()
        through = next.event.sequence
    }

    private mutating func giveRun(to release: inout Release) {
        while let next = held.removeValue(forKey: through + 1) {
            heldBytes -= next.bytes
            give(next, to: &release)
        }
    }

    /// Goes on behind the first hole.
    private mutating func giveUpHole(_ release: inout Release) {
        guard let first = held.keys.min() else { return arrivals.removeAll() }
        through = first - 1
        release.holes += 1
        giveRun(to: &release)
    }

    private mutating func giveUp(through head: Int64, _ release: inout Release) {
        while let first = held.keys.min(), first <= head { giveUpHole(&release) }
        guard through < head else { return }
        through = head
        release.holes += 1
        release.mustRead = true
        giveRun(to: &release)
    }

    /// Forgets what is no longer waited for.
    private mutating func settle() {
        while let oldest = arrivals.first, oldest.last <= through { arrivals.removeFirst() }
        while let told = rumour, told.head <= through {
            rumour = nextRumour
            nextRumour = nil
        }
    }
}
