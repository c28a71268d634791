import NIOCore
import TipwireCore
import TipwireSockets

/// The listeners of one event loop. Touched on that loop only.
public final class Shard {
    struct Settings: Sendable {
        let idleSeconds: UInt32
        let probeSeconds: UInt32
        let keepaliveSeconds: UInt32
        let maxStreamSeconds: UInt32
        let delivery: Delivery.Limits
        let recentEvents: Int
    }

    public let eventLoop: any EventLoop
    private let settings: Settings
    private let log: LogPosition
    private let reader: CatchUpReader
    private let clock: WallClock

    private var subscribers: [Subscriber] = []
    private var groups = SubscriberGroups()
    /// Everything up to here has been offered to this loop's listeners.
    private var position: Int64
    private var recent: RecentEvents
    /// A batch is being offered. In the middle of that handlers are called, and `position` isn't true.
    private var isDelivering = false
    private var nextID: Int64
    private let idStride: Int64
    private let makeSender: @Sendable () -> any SocketSender
    /// What was read for listeners that are behind, and waits for its turn.
    ///
    /// What a crowd that comes back has missed is read once and there for all of them at the same moment, a hundred KB for each: written
    /// in one turn of the loop, that would keep a tip from being taken in for a good part of a second.
    private lazy var answers = Rounds<CatchUpAnswer>(eventLoop: eventLoop) { [weak self] answer in
        self?.readEnded(answer.result, for: answer.subscriber, after: answer.sequence)
    }
    /// Made on the loop, by the first batch: a ring belongs to its thread.
    private lazy var sender = makeSender()
    /// Seconds since this shard began; the time base of idle and stall limits.
    private var now: UInt32 = 0
    private let began = NIODeadline.now()
    private(set) var statistics = ShardStatistics()

    /// - Parameters:
    ///   - firstID: of its connections; the next has `idStride` more, so that no two shards share one.
    init(
        eventLoop: any EventLoop, firstID: Int64, idStride: Int64, settings: Settings, log: LogPosition,
        reader: CatchUpReader, clock: WallClock, makeSender: @escaping @Sendable () -> any SocketSender
    ) {
        self.eventLoop = eventLoop
        self.settings = settings
        self.log = log
        self.reader = reader
        self.clock = clock
        self.makeSender = makeSender
        position = log.bounds.head
        recent = RecentEvents(after: log.bounds, capacity: settings.recentEvents)
        nextID = firstID
        self.idStride = idStride
    }

    // MARK: Listeners

    /// Takes a listener in. From here on it gets every event that is committed later, none twice.
    public func subscribe(_ subscription: Subscription, sink: any SubscriberSink) -> Subscriber {
        let key = SubscriberGroup.Key(dialect: subscription.dialect, audience: subscription.audience)
        let group = groups.group(for: key)
        let head = log.bounds.head
        let delivery: Delivery
        switch subscription.start {
        case .live, .now: delivery = Delivery(liveAfter: head)
        case .position(let text): delivery = Delivery(readingAfter: Cursor(text)?.sequence ?? head)
        // Nothing has happened since: the common case, and no reason to read. It may have been told of more than this node
        // knows of yet, by another one.
        case .after(let sequence) where sequence >= head: delivery = Delivery(liveAfter: sequence)
        case .after(let sequence): delivery = Delivery(readingAfter: sequence)
        }
        let subscriber = Subscriber(
            id: nextID, subscription: subscription, group: group, sink: sink, delivery: delivery, now: now)
        nextID += idStride
        subscriber.shardIndex = subscribers.count
        subscribers.append(subscriber)
        group.add(subscriber)
        statistics[subscriber.kind].connections += 1
        return subscriber
    }

    /// Begins the stream of a listener whose handshake has been answered.
    public func start(_ subscriber: Subscriber) {
        switch subscriber.subscription.start {
        case .live: break
        case .now:
            guard case .live(let head) = subscriber.delivery.state else { return }
            subscriber.sink?.resumed(Resumption(status: .resumed, start: head), epoch: log.epoch)
        case .position, .after:
            guard case .behind(let lag) = subscriber.delivery.state else {
                // What it may have to catch up with later begins where it is by then.
                subscriber.hasBegun = true
                return
            }
            read(subscriber, after: lag.through)
        }
    }

    /// Takes a listener out; harmless when it is out already.
    public func remove(_ subscriber: Subscriber) {
        guard subscriber.sink != nil else { return }
        subscriber.sink = nil
        subscriber.reading?.cancel()
        subscriber.departure = delivered(to: subscriber)
        subscriber.delivery.end()
        let last = subscribers.removeLast()
        if last !== subscriber {
            subscribers[subscriber.shardIndex] = last
            last.shardIndex = subscriber.shardIndex
        }
        let group = subscriber.group
        group.remove(subscriber)
        if group.subscribers.isEmpty { groups.drop(group) }
        statistics[subscriber.kind].connections -= 1
    }

    /// Everything of a listener's audience up to here has been given to it.
    public func delivered(to subscriber: Subscriber) -> Int64 {
        if let departure = subscriber.departure { return departure }
        switch subscriber.delivery.state {
        case .live(let through): return max(through, position)
        case .behind(let lag): return lag.through
        case .ended: return subscriber.delivery.delivered
        }
    }

    /// What an EventSub listener had been given when last, by the shard's look each second, nothing of it was left in
    /// this process.
    public func flushed(of subscriber: Subscriber) -> Int64 { subscriber.flushed }

    /// Looks where EventSub's listeners stand: what all that are level have been given, and who isn't. What has not left
    /// this process would be lost with it, and so doesn't count.
    func look() -> Fanout.Standing {
        var standing = Fanout.Standing(level: position, behind: [:])
        for subscriber in subscribers {
            guard let id = subscriber.subscription.eventSub?.id, let sink = subscriber.sink else { continue }
            if sink.hasUnsent {
                standing.behind[id] = subscriber.flushed
                continue
            }
            subscriber.flushed = delivered(to: subscriber)
            if case .behind(let lag) = subscriber.delivery.state { standing.behind[id] = lag.through }
        }
        return standing
    }

    /// The peer was heard.
    public func heard(_ subscriber: Subscriber) {
        subscriber.lastHeard = now
        subscriber.isProbed = false
    }

    /// The connection keeps bytes: until it has none, what comes goes behind them.
    public func held(_ subscriber: Subscriber) {
        // Who has left has no place in its group any more.
        if subscriber.sink != nil { subscriber.group.closeLane(of: subscriber) }
    }

    /// The connection takes bytes again.
    public func becameWritable(_ subscriber: Subscriber) {
        perform(subscriber.delivery.becameWritable(), for: subscriber)
    }

    // MARK: Delivery

    /// Offers a batch to every listener that it concerns: one write each, whatever the batch holds.
    func deliver(_ events: [EncodedEvent], through: Int64, committedAt: ContinuousClock.Instant? = nil) {
        isDelivering = true
        defer { isDelivering = false }
        let touched = groups.sort(events)
        var turn = DeliveryTurn(sender: sender, now: now, limits: settings.delivery)
        for group in touched {
            let kind = group.key.dialect.kind
            statistics[kind] = statistics[kind] + turn.offer(to: group)
        }
        for (subscriber, rest) in turn.finish() {
            switch rest {
            case .bytes(let bytes): subscriber.sink?.write(bytes)
            case .entries(let entries): write(entries, to: subscriber)
            case .cut(let reason): cut(subscriber, reason)
            }
        }
        position = through
        recent.append(events, through: through)
        // Once for the batch, after the last write: what each delivery took would cost a clock reading for each.
        if let committedAt, !touched.isEmpty { statistics.latency.observe(committedAt.duration(to: .now)) }
    }

    private func write(_ entries: [ByteBuffer], to subscriber: Subscriber) {
        guard let sink = subscriber.sink, !entries.isEmpty else { return }
        let size = entries.reduce(0) { $0 + $1.readableBytes }
        subscriber.deliveries += entries.count
        statistics[subscriber.kind].deliveries += entries.count
        statistics[subscriber.kind].bytes += size
        sink.write(subscriber.message(of: entries))
    }

    // MARK: Catching up

    private func read(_ subscriber: Subscriber, after sequence: Int64) {
        // In the middle of a batch what is at hand ends before it, though it has been offered; what is read comes after it.
        if !isDelivering {
            let recalled = reader.recall(
                recent, after: sequence, through: position, bounds: log.bounds, key: subscriber.group.key)
            if let recalled { return readEnded(recalled, for: subscriber, after: sequence) }
        }
        let waiting = NIOLoopBound(subscriber, eventLoop: eventLoop)
        let shard = NIOLoopBound(self, eventLoop: eventLoop)
        let eventLoop = eventLoop
        subscriber.reading = reader.read(after: sequence, key: subscriber.group.key) { result in
            eventLoop.execute {
                shard.value.answers.append(
                    CatchUpAnswer(result: result, subscriber: waiting.value, sequence: sequence))
            }
        }
    }

    private struct CatchUpAnswer {
        let result: CatchUpReader.Answer?
        let subscriber: Subscriber
        let sequence: Int64
    }

    private func readEnded(_ result: CatchUpReader.Answer?, for subscriber: Subscriber, after sequence: Int64) {
        guard subscriber.sink != nil else { return }
        subscriber.reading = nil
        guard let result else {
            subscriber.delivery.readFailed()
            return
        }
        let seen = log.saw(result.bounds)
        guard result.bounds.epoch == seen.epoch else {
            // Another log has taken its place meanwhile: whoever listens is about to be cut.
            subscriber.delivery.readFailed()
            return
        }
        var through = result.through
        var entries = result.entries
        if case .position(let text) = subscriber.subscription.start, !subscriber.hasBegun {
            subscriber.hasBegun = true
            // The stretch may have been read for someone else a while ago, or show more than this node was told of yet: the head
            // is the further one.
            let bounds = LogBounds(
                epoch: seen.epoch, head: seen.head, prunedThrough: result.bounds.prunedThrough)
            let resumption = Resumption(position: text, log: bounds)
            subscriber.delivery.begin(at: resumption.start)
            subscriber.sink?.resumed(resumption, epoch: seen.epoch)
            if resumption.status == .reset {
                entries = []
                through = resumption.start
            }
            // With a gap, what was read after the old position is just what is kept: it begins where the gap ends.
        } else if case .after(let sequence) = subscriber.subscription.start, !subscriber.hasBegun {
            // The dialect has no word for a gap; what is kept follows.
            subscriber.hasBegun = true
            subscriber.delivery.begin(at: max(sequence, result.bounds.prunedThrough))
        } else if let reason = subscriber.delivery.lost(toRetention: result.bounds.prunedThrough) {
            cut(subscriber, reason)
            return
        }
        guard let sink = subscriber.sink else { return }
        if !entries.isEmpty, !sink.isWritable {
            // Full since it was asked for. The stretch is read again when there is room: the log keeps it, not the channel.
            subscriber.delivery.readWasted(now: now)
            return
        }
        write(entries, to: subscriber)
        let next = subscriber.delivery.caughtUp(
            through: through, bytes: entries.reduce(0) { $0 + $1.readableBytes }, position: position,
            isWritable: sink.isWritable, now: now)
        perform(next, for: subscriber)
    }

    private func perform(_ next: Delivery.NextRead, for subscriber: Subscriber) {
        switch next {
        case .read(let after): read(subscriber, after: after)
        case .none: break
        case .cut(let reason): cut(subscriber, reason)
        }
    }

    private func cut(_ subscriber: Subscriber, _ reason: Delivery.Cut) {
        statistics.slowConsumersCut += 1
        let text =
            switch reason {
            case .lagBytes: "too slow: more than \(settings.delivery.lagBytes) bytes behind"
            case .stalled: "too slow: nothing taken for \(settings.delivery.stallSeconds) seconds"
            case .retention: "too slow: the log no longer holds what is missing"
            }
        end(subscriber, .slow(text))
    }

    // MARK: Ending

    /// Ends a listener's stream for a reason that it is told.
    public func end(_ subscriber: Subscriber, _ reason: EndReason) {
        guard let sink = subscriber.sink else { return }
        remove(subscriber)
        sink.end(reason)
    }

    /// The log is another one, of which nothing was offered yet behind `head`.
    func restart(after head: Int64) {
        // Before anybody is ended: what those are told to have been given is of the new log.
        position = head
        recent = RecentEvents(after: log.bounds, capacity: settings.recentEvents)
        _ = end(.slow("the log was replaced")) { _ in true }
    }

    var sessions: Set<SecretHash> {
        subscribers.reduce(into: []) { sessions, subscriber in
            if case .session(let hash) = subscriber.subscription.principal.credential { sessions.insert(hash) }
        }
    }

    func end(_ reason: EndReason, where condition: (Subscriber) -> Bool) -> Int {
        let ending = subscribers.filter(condition)
        for subscriber in ending { end(subscriber, reason) }
        return ending.count
    }

    /// Says something that is in no log to the overlays of a page that are wanted, and tells which heard it. One that takes nothing
    /// at the moment is passed over: what it has missed of the log it will be given, and this would come too late.
    func tell(_ message: ByteBuffer, page: Page.ID, where isWanted: (OverlayPlace) -> Bool) -> Set<OverlayPlace> {
        var told: Set<OverlayPlace> = []
        for subscriber in subscribers {
            guard let place = subscriber.subscription.overlay, place.page == page, isWanted(place),
                let sink = subscriber.sink, sink.isWritable
            else { continue }
            sink.write(message)
            told.insert(place)
        }
        return told
    }

    /// The statistics, with how this loop's listeners stand at this moment.
    var report: ShardStatistics {
        var report = statistics
        report.relayed = position
        let head = log.bounds.head
        for subscriber in subscribers {
            guard case .behind(let lag) = subscriber.delivery.state else { continue }
            if lag.stalledSince == nil {
                report[subscriber.kind].catchingUp += 1
            } else {
                report[subscriber.kind].stalled += 1
            }
            let share = report[subscriber.kind]
            report[subscriber.kind].lagEvents = max(share.lagEvents, Int(head - lag.through))
            report[subscriber.kind].lagBytes = max(share.lagBytes, lag.bytes)
        }
        return report
    }

    var listeners: [ConnectionInfo] { subscribers.map { ConnectionInfo($0, head: log.bounds.head) } }

    /// Called about once a second.
    func tick() {
        now = UInt32(truncatingIfNeeded: (NIODeadline.now() - began).nanoseconds / 1_000_000_000)
        let wall = clock.now()
        let everyone = subscribers
        for subscriber in everyone {
            guard let sink = subscriber.sink else { continue }
            if let expiry = subscriber.subscription.principal.expiresAt, expiry <= wall {
                end(subscriber, .keyExpired)
                continue
            }
            if let reason = keepAlive(subscriber, sink) {
                end(subscriber, reason)
                continue
            }
            perform(
                subscriber.delivery.tick(now: now, isWritable: sink.isWritable, limits: settings.delivery),
                for: subscriber)
        }
    }

    /// What the time that has passed asks for on a connection; the reason to end it if it has had its time.
    private func keepAlive(_ subscriber: Subscriber, _ sink: any SubscriberSink) -> EndReason? {
        switch subscriber.kind {
        case .feed, .eventsub, .overlay:
            // Whole seconds that have surely passed: both ends were cut to the last tick, so one of them may not be over.
            let quiet = max(now - subscriber.lastHeard, 1) - 1
            if quiet >= settings.idleSeconds { return .idle }
            if quiet >= settings.probeSeconds, !subscriber.isProbed {
                subscriber.isProbed = true
                sink.probe()
            }
        case .sse:
            // Its client can't be heard. It is told that the stream lives, at an even pace.
            if settings.maxStreamSeconds > 0, now - subscriber.began >= settings.maxStreamSeconds { return .timeIsUp }
            if now - subscriber.lastHeard >= settings.keepaliveSeconds {
                subscriber.lastHeard = now
                sink.probe()
            }
        }
        return nil
    }
}
