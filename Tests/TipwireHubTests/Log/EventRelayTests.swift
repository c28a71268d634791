import Foundation
import NIOCore
import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub

@Suite("EventRelay", .timeLimit(.minutes(1)))
struct EventRelayTests {
    @Test("What the intake commits reaches a listener, whole and in its dialect")
    func whole() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let listener = try await hub.listen(.page(page.id), as: principal(account))
            let answer = try await hub.tip(page, 1_234)
            try await listener.received(through: answer.lastSequence)
            let heard = listener.sink.heard.value
            #expect(heard.sequences == [answer.lastSequence])
            let text = String(buffer: heard.frames[0])
            #expect(text.contains("\"grossAmountInCents\":1234,"))
            #expect(text.contains("\"id\":\"\(answer.tip.id)\""))
            #expect(text.hasSuffix("\"cursor\":\"\(hub.position.epoch)-1\"}"))
        }
    }

    @Test("Live or read from the log, an event has the same bytes")
    func sameBytes() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let live = try await hub.listen(.page(page.id), as: principal(account))
            let head = try await hub.tips(page, 5).last!.lastSequence
            let replay = try await hub.intake.submit(
                .replay(page: page.id, tip: hub.store.real.tips(page: page.id, before: nil, limit: 1)[0].tip.id))
            try await live.received(through: head + 1)
            #expect(replay[0].lastSequence == head + 1)
            let late = try await hub.listen(
                .page(page.id), as: principal(account), from: .position("\(hub.position.epoch)-0"), loop: 1)
            try await late.received(through: head + 1)
            #expect(late.sequences == Array(1...head + 1))
            #expect(late.sink.heard.value.frames == live.sink.heard.value.frames)
        }
    }

    @Test("What is committed while a fan-out runs goes out together, as one write to each listener")
    func batches() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let listener = try await hub.listen(.page(page.id), as: principal(account))
            try await hub.tips(page, 7)
            try await listener.received(through: 7)
            #expect(listener.sink.heard.value.writes == [Array(1...7)])
        }
    }

    @Test("What a commit hands along is read from no log")
    func reads() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let listener = try await hub.listen(.page(page.id), as: principal(account))
            for _ in 1...50 {
                let answer = try await hub.tip(page)
                try await listener.received(through: answer.lastSequence)
            }
            // The poll's are all there may be, one a second.
            #expect(hub.metrics.logReads.value < 25)
        }
    }

    @Test("A log that another one has taken the place of cuts all listeners, and goes on from its own end")
    func replacedLog() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let listener = try await hub.listen(.page(page.id), as: principal(account))
            try await listener.received(through: try await hub.tips(page, 5).last!.lastSequence)
            // As if the store had come back without the last two, and taken one anew since.
            hub.position.replace(with: LogBounds(epoch: "other", head: 3, prunedThrough: 0))
            hub.wakeUp.signal()
            try await until { listener.sink.heard.value.end != nil }
            let late = try await hub.listen(
                .page(page.id), as: principal(account), from: .position("\(try await hub.store.bounds().epoch)-5"))
            try await until { late.sink.heard.value.resumptions.map(\.status) == [.reset] }
        }
    }

    @Test("An event of a page that another node has made is told, and the page known from then on")
    func foreignPage() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let other = try await TipwireHub.Directory(store: hub.store)
            let page = try await other.makePage("made-elsewhere", of: account.id)
            let listener = try await hub.listen(.owner(account.id, limit: nil), as: principal(account))
            _ = try await hub.store.real.commit(
                [.receive(page: page.id, drafts: [draft()], idempotencyKey: nil)], at: noon)
            hub.wakeUp.signal()
            try await listener.received(through: 1)
            #expect(hub.directory.view.page(page.id) == page)
        }
    }

    @Test("A wake-up without events, as another node's is, makes the relay read the log")
    func newsWithoutEvents() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let listener = try await hub.listen(.page(page.id), as: principal(account))
            let commit = try await hub.store.real.commit(
                [.receive(page: page.id, drafts: [draft(), draft()], idempotencyKey: nil)], at: noon)
            hub.wakeUp.signal()
            try await listener.received(through: 2)
            #expect(listener.sequences == [1, 2])
            // Whoever connects now begins behind what was given out.
            #expect(hub.position.bounds == commit.bounds)
        }
    }

    @Test("Who else reads the log looks at what the relay has found there, which is no news any more")
    func foundBeforeItsNews() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let other = hub.wakeUp.listen()
            let commit = try await hub.store.real.commit(
                [.receive(page: page.id, drafts: [draft()], idempotencyKey: nil)], at: noon)
            var signals = other.signals.makeAsyncIterator()
            await signals.next()
            #expect(other.takeAll().events.isEmpty && hub.position.bounds == commit.bounds)
        }
    }

    @Test("A commit that nobody told of is found by looking, within the poll's second")
    func lostWakeUp() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let listener = try await hub.listen(.page(page.id), as: principal(account))
            _ = try await hub.store.real.commit(
                [.receive(page: page.id, drafts: [draft()], idempotencyKey: nil)], at: noon)
            try await listener.received(through: 1)
            #expect(listener.sequences == [1])
        }
    }

    @Test("Events of a wake-up that leave a hole are not believed: the log fills it")
    func hole() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let listener = try await hub.listen(.page(page.id), as: principal(account))
            let commit = try await hub.store.real.commit(
                [.receive(page: page.id, drafts: (1...4).map { try draft($0) }, idempotencyKey: nil)], at: noon)
            let events = try commit.results[0].get().flatMap(\.events)
            hub.wakeUp.signal(Array(events[2...]))
            try await listener.received(through: 4)
            hub.wakeUp.signal(events)
            try await hub.tip(page)
            try await listener.received(through: 5)
            #expect(listener.sequences == [1, 2, 3, 4, 5])
        }
    }

    @Test("A burst that overflows the wake-up's box arrives whole from the log")
    func overflow() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let listener = try await hub.listen(.page(page.id), as: principal(account))
            let gate = Gate()
            hub.store.hook { $0.beforeRead = { _, _ in try await gate.pass() } }
            try await hub.tip(page)
            // The relay has given that out and stands before the log.
            try await gate.arrived()
            try await hub.tips(page, 1_000)
            try await hub.tips(page, 600)
            try await hub.tips(page, 20)
            gate.open()
            try await listener.received(through: 1_621)
            #expect(listener.sequences == Array(1...1_621))
        }
    }

    @Test("While the log can't be read listeners wait, and afterwards nothing is missing")
    func brokenLog() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let listener = try await hub.listen(.page(page.id), as: principal(account))
            let failed = Gate(isOpen: true)
            hub.store.hook {
                $0.beforeRead = { _, _ in
                    try await failed.pass()
                    throw BrokenStore()
                }
            }
            _ = try await hub.store.real.commit(
                [.receive(page: page.id, drafts: [draft(), draft()], idempotencyKey: nil)], at: noon)
            hub.wakeUp.signal()
            try await failed.arrived()
            #expect(listener.sequences == [])
            hub.store.hook { $0.beforeRead = nil }
            hub.wakeUp.signal()
            try await listener.received(through: 2)
            #expect(listener.sequences == [1, 2])
        }
    }

    @Test("Events of a page that was deleted meanwhile are given to nobody")
    func deletedPage() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let gone = try await hub.directory.makePage("gone", of: account.id)
            let firehose = try await hub.listen(.owner(account.id, limit: nil), as: principal(account))
            let commit = try await hub.store.real.commit(
                [.receive(page: gone.id, drafts: [draft()], idempotencyKey: nil)], at: noon)
            let events = try commit.results[0].get().flatMap(\.events)
            try await hub.directory.deletePage(gone.id)
            hub.wakeUp.signal(events)
            try await hub.tip(page)
            try await firehose.received(through: 2)
            #expect(firehose.sequences == [2])
        }
    }

    @Test("When retention took what was not given out yet, every listener is cut rather than left with a hole")
    func prunedBeforeDelivery() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let gate = Gate()
            hub.store.hook { $0.beforeRead = { _, _ in try await gate.pass() } }
            try await hub.tip(page)
            // The relay has given that out and stands before the log.
            try await gate.arrived()
            let one = try await hub.listen(.page(page.id), as: principal(account))
            let two = try await hub.listen(.owner(account.id, limit: nil), as: principal(account), loop: 1)
            _ = try await hub.store.real.commit(
                [.receive(page: page.id, drafts: (1...3).map { try draft($0) }, idempotencyKey: nil)], at: noon)
            _ = try await hub.store.prune(
                olderThan: noon.advanced(milliseconds: 1), keepingBytes: 1 << 30, limit: 3)
            gate.open()
            for listener in [one, two] {
                #expect(try await listener.ended() == .slow("the log no longer holds what is missing"))
                #expect(listener.sequences == [])
            }
            // Back with its cursor, it is told of the gap and gets what is left.
            let back = try await hub.listen(
                .page(page.id), as: principal(account), from: .position("\(hub.position.epoch)-1"))
            #expect(try await back.begun() == Resumption(status: .gap, start: 3))
            try await back.received(through: 4)
            #expect(back.sequences == [4])
        }
    }

    /// A listener of a page, behind a fan-out that took its time.
    private func slowListener(_ hub: Hub, seconds: Double = 0.2) async throws -> (Page, Listener) {
        let account = try await hub.directory.makeAccount("olivia")
        let page = try await hub.directory.makePage("page", of: account.id)
        let listener = try await hub.listen(.page(page.id), as: principal(account))
        eventLoops[0].execute { Thread.sleep(forTimeInterval: seconds) }
        try await hub.tip(page)
        try await listener.received(through: 1)
        return (page, listener)
    }

    @Test("Where a fan-out takes longer than a commit, it waits while tips are on their way, and a burst is one write")
    func company() async throws {
        let isMoreComing = Watched(false)
        try await withHub(expectedCommit: { isMoreComing.value ? .milliseconds(1) : nil }, longestWait: .seconds(60)) {
            hub in
            let (page, listener) = try await slowListener(hub, seconds: 3)
            isMoreComing.change { $0 = true }
            for _ in 2...4 { try await hub.tip(page) }
            // The last of them has been committed; whoever has told of it has the relay look.
            isMoreComing.change { $0 = false }
            hub.wakeUp.nudge()
            try await listener.received(through: 4)
            #expect(listener.sink.heard.value.writes == [[1], [2, 3, 4]])
        }
    }

    @Test("It waits for no longer than a fan-out takes, and not for long, whatever becomes of the commit")
    func patience() async throws {
        let isMoreComing = Watched(false)
        try await withHub(expectedCommit: { isMoreComing.value ? .milliseconds(1) : nil }) { hub in
            let (page, listener) = try await slowListener(hub)
            isMoreComing.change { $0 = true }
            let began = ContinuousClock.now
            try await hub.tip(page)
            try await listener.received(through: 2)
            #expect(listener.sink.heard.value.writes == [[1], [2]])
            #expect(began.duration(to: .now) >= EventRelay.longestWait)
        }
    }

    @Test("A commit that would take longer than the fan-out isn't waited for")
    func slowCommit() async throws {
        let isMoreComing = Watched(false)
        try await withHub(expectedCommit: { isMoreComing.value ? .seconds(3_600) : nil }) { hub in
            let (page, listener) = try await slowListener(hub)
            isMoreComing.change { $0 = true }
            try await hub.tip(page)
            try await listener.received(through: 2)
            try await hub.tip(page)
            try await listener.received(through: 3)
            #expect(listener.sink.heard.value.writes == [[1], [2], [3]])
        }
    }

    @Test("What waits for company when the server ends is fanned out before the relay has ended")
    func companyAtTheEnd() async throws {
        let isMoreComing = Watched(false)
        let kept = Watched<Listener?>(nil)
        try await withHub(expectedCommit: { isMoreComing.value ? .milliseconds(1) : nil }) { hub in
            let (page, listener) = try await slowListener(hub)
            kept.change { $0 = listener }
            isMoreComing.change { $0 = true }
            try await hub.tip(page)
        }
        #expect(kept.value?.sequences == [1, 2])
    }

    @Test("The advice is to wait while more is on its way, in all for as long as a fan-out takes")
    func advice() {
        var company = Company(longest: .milliseconds(50))
        let now = ContinuousClock.now
        #expect(company.advice(for: .zero, at: now) == .goAlone, "nothing has been fanned out yet")
        company.fannedOut(in: .milliseconds(10))
        #expect(company.advice(for: nil, at: now) == .goAlone)
        #expect(company.advice(for: .milliseconds(10), at: now) == .goAlone)
        #expect(company.advice(for: .milliseconds(2), at: now) == .wait(limit: .milliseconds(10)))
        #expect(company.advice(for: .milliseconds(2), at: now + .milliseconds(7)) == .wait(limit: nil))
        #expect(company.advice(for: .milliseconds(2), at: now + .milliseconds(8)) == .goAlone, "it would be too late")
        #expect(company.advice(for: .milliseconds(2), at: now + .milliseconds(9)) == .wait(limit: .milliseconds(10)))
        #expect(company.advice(for: nil, at: now + .milliseconds(10)) == .goAlone)
        #expect(company.advice(for: .milliseconds(2), at: now + .milliseconds(20)) == .wait(limit: .milliseconds(10)))
        company.fannedOut(in: .seconds(5))
        #expect(company.advice(for: nil, at: now + .seconds(6)) == .goAlone)
        #expect(company.advice(for: .milliseconds(2), at: now + .seconds(6)) == .wait(limit: .milliseconds(50)))
    }
}
