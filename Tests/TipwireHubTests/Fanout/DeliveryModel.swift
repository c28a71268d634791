import TipwireCore
import TipwireTestSupport

@testable import TipwireHub

/// A log, one shard and its listeners, in memory and in one thread: what surrounds `Delivery`, made small enough to try
/// every order of things. Sockets, loops and the store are chances here.
struct DeliveryModel {
    struct Read {
        let after: Int64
        /// What the log answered; nil until it has.
        var answer: Answer?
    }

    struct Answer {
        let entries: [Int64]
        let through: Int64
        let bounds: LogBounds
    }

    struct Listener {
        var delivery: Delivery
        /// Which pages it hears of.
        let pages: Set<Int>
        /// What it asked for; nil: live.
        let position: String?
        /// Its view begins after this; nil until that is judged.
        var start: Int64?
        var received: [Int64] = []
        var isWritable = true
        var read: Read?
        var cut: Delivery.Cut?

        var isLive: Bool {
            if case .live = delivery.state { true } else { false }
        }
    }

    static let stretch = 3
    static let bytesPerEvent = 10

    let limits: Delivery.Limits
    /// Everything that was ever committed: the page of sequence `n` is at `n - 1`.
    private(set) var log: [Int] = []
    private(set) var pruned: Int64 = 0
    /// How far the shard has offered live batches.
    private(set) var offered: Int64 = 0
    private(set) var now: UInt32 = 0
    var listeners: [Listener] = []

    var head: Int64 { Int64(log.count) }
    var bounds: LogBounds { LogBounds(epoch: "e", head: head, prunedThrough: pruned) }

    /// Everything has been given out, and nobody waits for anything.
    var isQuiet: Bool { offered == head && listeners.allSatisfy { $0.cut != nil || $0.isLive } }

    init(limits: Delivery.Limits) { self.limits = limits }

    /// What of the log, from its very beginning, a listener should hear after `start`.
    func view(of pages: Set<Int>, after start: Int64, through end: Int64? = nil) -> [Int64] {
        let end = end ?? head
        return start < end ? ((start + 1)...end).filter { pages.contains(log[Int($0) - 1]) } : []
    }

    // MARK: What happens

    mutating func commit(_ pages: [Int]) { log += pages }

    /// Retention; never further than what has been given out.
    mutating func prune(through sequence: Int64) { pruned = max(pruned, min(sequence, offered)) }

    mutating func connect(pages: Set<Int>, position: String?) {
        if let position {
            let first = Cursor(position)?.sequence ?? head
            listeners.append(
                Listener(
                    delivery: Delivery(readingAfter: first), pages: pages, position: position, start: nil,
                    read: Read(after: first)))
        } else {
            listeners.append(
                Listener(delivery: Delivery(liveAfter: head), pages: pages, position: nil, start: head))
        }
    }

    /// The shard offers the next batch.
    mutating func offer(_ count: Int, using seed: inout TestSeed) {
        let through = min(head, offered + Int64(count))
        for index in listeners.indices {
            let entries = view(of: listeners[index].pages, after: offered, through: through)
            guard let first = entries.first, let last = entries.last else { continue }
            let action = listeners[index].delivery.offer(
                first: first, last: last, bytes: entries.count * Self.bytesPerEvent,
                isWritable: listeners[index].isWritable, now: now, limits: limits)
            switch action {
            case .writeAll: write(entries, to: index, using: &seed)
            case .write(let above): write(entries.filter { $0 > above }, to: index, using: &seed)
            case .hold: break
            case .cut(let reason): listeners[index].cut = reason
            }
        }
        offered = through
    }

    mutating func setWritable(_ isWritable: Bool, _ index: Int) {
        guard listeners[index].cut == nil else { return }
        listeners[index].isWritable = isWritable
        if isWritable { perform(listeners[index].delivery.becameWritable(), for: index) }
    }

    /// The log answers a read that is under way.
    mutating func answerRead(_ index: Int) {
        guard let after = listeners[index].read?.after, listeners[index].read?.answer == nil else { return }
        let all = view(of: listeners[index].pages, after: max(after, pruned))
        let entries = Array(all.prefix(Self.stretch))
        let through = entries.count == Self.stretch ? entries[Self.stretch - 1] : head
        let answer = Answer(entries: entries, through: through, bounds: bounds)
        listeners[index].read = Read(after: after, answer: answer)
    }

    /// The answer reaches the event loop, if it is there.
    mutating func endRead(_ index: Int, using seed: inout TestSeed) {
        guard listeners[index].cut == nil, let answer = listeners[index].read?.answer else { return }
        listeners[index].read = nil
        var entries = answer.entries
        var through = answer.through
        if let position = listeners[index].position, listeners[index].start == nil {
            let resumption = Resumption(position: position, log: answer.bounds)
            listeners[index].start = resumption.start
            listeners[index].delivery.begin(at: resumption.start)
            if resumption.status == .reset { (entries, through) = ([], resumption.start) }
        } else if let reason = listeners[index].delivery.lost(toRetention: answer.bounds.prunedThrough) {
            listeners[index].cut = reason
            return
        }
        if !entries.isEmpty, !listeners[index].isWritable {
            listeners[index].delivery.readWasted(now: now)
            return
        }
        write(entries, to: index, using: &seed)
        let next = listeners[index].delivery.caughtUp(
            through: through, bytes: entries.count * Self.bytesPerEvent, position: offered,
            isWritable: listeners[index].isWritable, now: now)
        perform(next, for: index)
    }

    mutating func failRead(_ index: Int) {
        guard listeners[index].cut == nil, listeners[index].read != nil else { return }
        listeners[index].read = nil
        listeners[index].delivery.readFailed()
    }

    mutating func tick(seconds: UInt32) {
        now += seconds
        for index in listeners.indices where listeners[index].cut == nil {
            let next = listeners[index].delivery.tick(
                now: now, isWritable: listeners[index].isWritable, limits: limits)
            perform(next, for: index)
        }
    }

    // MARK: What follows

    private mutating func write(_ entries: [Int64], to index: Int, using seed: inout TestSeed) {
        listeners[index].received += entries
        // Any write may be the one that fills the socket's buffer.
        if !entries.isEmpty, seed.chance(15) { listeners[index].isWritable = false }
    }

    private mutating func perform(_ next: Delivery.NextRead, for index: Int) {
        switch next {
        case .read(let after):
            precondition(listeners[index].read == nil, "two reads of one listener at a time")
            listeners[index].read = Read(after: after)
        case .none: break
        case .cut(let reason): listeners[index].cut = reason
        }
    }
}
