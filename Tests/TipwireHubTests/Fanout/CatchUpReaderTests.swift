import Dispatch
import NIOCore
import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub

@Suite("CatchUpReader", .timeLimit(.minutes(1)))
struct CatchUpReaderTests {
    @Test("Who resumes behind what another node has just committed has missed nothing, nor makes it old news")
    func ahead() async throws {
        try await withStore { store in
            let hub = try await Hub(store: store, settings: .test(), maxPending: 10)
            defer { hub.fanout.stop() }
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            try await withServices([hub.reader]) { _ in
                _ = try await store.commit(
                    [.receive(page: page.id, drafts: [draft(1), draft(2)], idempotencyKey: nil)], at: noon)
                for (after, sequences) in [(Int64(1), [Int64(2)]), (2, [])] {
                    let back = try await hub.listen(
                        .page(page.id), as: principal(account), from: .position("\(hub.position.epoch)-\(after)"))
                    #expect(try await back.begun() == Resumption(status: .resumed, start: after))
                    if after < 2 { try await back.received(through: 2) }
                    #expect(back.sequences == sequences)
                }
                #expect(hub.position.bounds.head == 0)
            }
        }
    }

    @Test("However many come back at once, a few read the log at a time, and all are served")
    func workers() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            try await hub.tips(page, 10)
            let underWay = Watched((now: 0, most: 0))
            hub.store.hook {
                $0.beforeRead = { _, pages in
                    guard pages != .all else { return }
                    underWay.change {
                        $0.now += 1
                        $0.most = max($0.most, $0.now)
                    }
                    // The first ones stay until as many as may be are there.
                    try await underWay.wait { $0.most == CatchUpReader.workers }
                }
                $0.afterRead = { pages in if pages != .all { underWay.change { $0.now -= 1 } } }
            }
            var listeners: [Listener] = []
            for index in 0..<40 {
                listeners.append(
                    try await hub.listen(
                        .page(page.id), as: principal(account), from: .position("\(hub.position.epoch)-\(index % 10)"),
                        loop: index % 2))
            }
            for (index, listener) in listeners.enumerated() {
                try await listener.received(through: 10)
                #expect(listener.sequences == Array(Int64(index % 10 + 1)...10))
            }
            #expect(underWay.value.most == CatchUpReader.workers)
        }
    }

    @Test("While a crowd is given what it has missed, its event loop sees to others again and again")
    func pace() async throws {
        try await withHub(sharing: .seconds(60)) { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            try await hub.tips(page, 10)
            let door = Gate(isOpen: false)
            hub.store.hook { $0.beforeRead = { _, pages in if pages != .all { try await door.pass() } } }
            let loop = eventLoops[0]
            let (turns, written) = (Watched(0), Watched<[Int]>([]))
            var crowd: [Listener] = []
            for _ in 0..<20 {
                let listener = try await hub.listen(
                    .page(page.id), as: principal(account), from: .position("\(hub.position.epoch)-0"))
                listener.sink.onWrite.change { onWrite in
                    onWrite = {
                        let began = NIODeadline.now()
                        while NIODeadline.now() - began < .milliseconds(1) {}
                        written.change { $0.append(turns.value) }
                    }
                }
                crowd.append(listener)
            }
            // What has been read for them is there for all of them at once, when the loop has time for them.
            let hold = DispatchSemaphore(value: 0)
            loop.execute { hold.wait() }
            let last = try await hub.listen(
                .page(page.id), as: principal(account), from: .position("\(hub.position.epoch)-0"), loop: 1)
            door.open()
            try await last.received(through: 10)
            let others = loop.scheduleRepeatedTask(initialDelay: .zero, delay: .microseconds(100)) { _ in
                turns.change { $0 += 1 }
            }
            hold.signal()
            for listener in crowd {
                try await listener.received(through: 10)
                #expect(listener.sequences == Array(1...10))
            }
            others.cancel()
            let between = Set(written.value)
            #expect(between.count > 10, "\(written.value)")
        }
    }

    @Test("A long way is read in stretches, each written as it comes")
    func stretches() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let other = try await hub.directory.makePage("other", of: account.id)
            for _ in 0..<3 {
                try await hub.tips(page, 200)
                try await hub.tips(other, 50)
            }
            let epoch = hub.position.epoch
            let one = try await hub.listen(.page(page.id), as: principal(account), from: .position("\(epoch)-0"))
            let all = try await hub.listen(
                .owner(account.id, limit: nil), as: principal(account), from: .position("\(epoch)-0"), loop: 1)
            try await one.received(through: 700)
            try await all.received(through: 750)
            #expect(one.sink.heard.value.writes.map(\.count) == [256, 256, 88])
            #expect(all.sink.heard.value.writes.map(\.count) == [256, 256, 238])
            #expect(one.sequences.count == 600)
            #expect(all.sequences == Array(1...750))
        }
    }

    @Test("A page that is made, and tipped to, while a firehose is being read for is not missed")
    func pageMadeMeanwhile() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            try await hub.tip(try await hub.directory.makePage("old", of: account.id))
            let made = Watched<Page?>(nil)
            hub.store.hook {
                $0.beforeRead = { _, pages in
                    // The pages to look for are settled, the log is not yet looked at.
                    guard pages != .all, made.value == nil else { return }
                    let page = try await hub.directory.makePage("new", of: account.id)
                    made.change { $0 = page }
                    try await hub.tip(page)
                }
            }
            let firehose = try await hub.listen(
                .owner(account.id, limit: nil), as: principal(account), from: .position("\(hub.position.epoch)-0"))
            #expect(try await firehose.begun()?.status == .resumed)
            let page = try #require(made.value)
            let last = try await hub.tip(page).lastSequence
            try await firehose.received(through: last)
            #expect(firehose.sequences == [1, 2, 3])
        }
    }

    @Test("A listener that has left while it was read for is written nothing")
    func left() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            try await hub.tip(page)
            let gate = Gate()
            hub.store.hook { $0.afterRead = { pages in if pages != .all { try await gate.pass() } } }
            let position = Subscription.Start.position("\(hub.position.epoch)-0")
            let gone = try await hub.listen(.page(page.id), as: principal(account), from: position)
            try await gate.arrived()
            try await gone.leave()
            let stays = try await hub.listen(.page(page.id), as: principal(account), from: position)
            gate.open()
            try await stays.received(through: 1)
            #expect(stays.sequences == [1])
            #expect(gone.sequences == [] && gone.sink.heard.value.resumptions == [])
        }
    }

    @Test("Who has left before its turn is not read for: reconnecting for ever must not fill the queue")
    func leftBeforeItsTurn() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            try await hub.tip(page)
            let gate = Gate()
            hub.store.hook { $0.beforeRead = { _, pages in if pages != .all { try await gate.pass() } } }
            let start = Subscription.Start.position("\(hub.position.epoch)-0")
            for _ in 0..<CatchUpReader.workers {
                _ = try await hub.listen(.page(page.id), as: principal(account), from: start)
            }
            try await gate.arrived(CatchUpReader.workers)
            for _ in 0..<50 {
                try await hub.listen(.page(page.id), as: principal(account), from: start).leave()
            }
            let last = try await hub.listen(.page(page.id), as: principal(account), from: start)
            gate.open()
            try await last.received(through: 1)
            #expect(gate.arrivals == CatchUpReader.workers + 1)
        }
    }

    @Test("Who come to one place of the log's end within a moment share a read, and later ones read again")
    func sharedEnd() async throws {
        for (sharing, reads) in [(Duration.seconds(3_600), 1), (.zero, 6)] {
            try await withHub(sharing: sharing) { hub in
                let account = try await hub.directory.makeAccount("olivia")
                let page = try await hub.directory.makePage("page", of: account.id)
                try await hub.tips(page, 10)
                let start = Subscription.Start.position("\(hub.position.epoch)-4")
                for index in 0..<6 {
                    let listener = try await hub.listen(
                        .page(page.id), as: principal(account), from: start, loop: index % 2)
                    try await listener.received(through: 10)
                    #expect(listener.sequences == Array(5...10))
                }
                #expect(hub.metrics.catchUpReads.value == reads)
                // What the shared stretch lacks is read next.
                try await hub.tips(page, 2)
                let late = try await hub.listen(.page(page.id), as: principal(account), from: start)
                try await late.received(through: 12)
                #expect(late.sequences == Array(5...12))
            }
        }
    }

    @Test("Many who come back to one position share one read of a whole stretch")
    func sharedStretch() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let other = try await hub.directory.makePage("other", of: account.id)
            for page in [page, other] { try await hub.tips(page, CatchUpReader.stretchEvents) }
            let reads = Watched<[Int64]>([])
            hub.store.hook {
                $0.beforeRead = { after, pages in if pages != .all { reads.change { $0.append(after) } } }
            }
            let start = Subscription.Start.position("\(hub.position.epoch)-0")
            var frames: [[ByteBuffer]] = []
            for index in 0..<6 {
                let listener = try await hub.listen(
                    .page(page.id), as: principal(account), from: start, loop: index % 2)
                try await listener.received(through: 256)
                #expect(listener.sequences == Array(1...256))
                frames.append(listener.sink.heard.value.frames)
            }
            #expect(frames.allSatisfy { $0 == frames[0] })
            #expect(reads.value.count { $0 == 0 } == 1)
            // Another audience at the same position is another read.
            let all = try await hub.listen(.owner(account.id, limit: nil), as: principal(account), from: start)
            try await all.received(through: 512)
            #expect(all.sequences == Array(1...512))
        }
    }

    @Test("Who is reset begins at the log's end, however long ago the stretch that it shares was read")
    func resetAfterSharedStretch() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            try await hub.tips(page, 300)
            let first = try await hub.listen(
                .page(page.id), as: principal(account), from: .position("\(hub.position.epoch)-0"))
            try await first.received(through: 300)
            try await hub.tips(page, 5)
            try await first.received(through: 305)
            let reset = try await hub.listen(.page(page.id), as: principal(account), from: .position("other-0"))
            #expect(try await reset.begun() == Resumption(status: .reset, start: 305))
            try await hub.tip(page)
            try await reset.received(through: 306)
            #expect(reset.sequences == [306])
        }
    }
}
