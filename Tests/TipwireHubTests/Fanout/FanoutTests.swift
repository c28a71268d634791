import Foundation
import NIOCore
import Testing
import TipwireCore
import TipwireSockets
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub

@Suite("Fanout", .timeLimit(.minutes(1)))
struct FanoutTests {
    /// Olivia's two pages, of one of which Mia is a member, and Mia's own.
    private struct House: Sendable {
        let hub: Hub
        let olivia: Account
        let mia: Account
        let first: Page
        let second: Page
        let hers: Page

        init(_ hub: Hub) async throws {
            self.hub = hub
            olivia = try await hub.directory.makeAccount("olivia")
            mia = try await hub.directory.makeAccount("mia")
            first = try await hub.directory.makePage("first", of: olivia.id)
            second = try await hub.directory.makePage("second", of: olivia.id)
            hers = try await hub.directory.makePage("hers", of: mia.id)
            try await hub.directory.addMember(mia.id, to: first.id)
        }

        /// A tip to each page: sequences 1, 2 and 3 the first time.
        @discardableResult
        func tipEach() async throws -> Int64 {
            var last: Int64 = 0
            for page in [first, second, hers] { last = try await hub.tip(page).lastSequence }
            return last
        }
    }

    @Test("Each audience hears its pages and no others")
    func audiences() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            let rows: [(Audience, [Int64])] = [
                (.page(house.first.id), [1, 4]), (.page(house.hers.id), [3, 6]),
                (.owner(house.olivia.id, limit: nil), [1, 2, 4, 5]),
                (.owner(house.olivia.id, limit: [house.second.id]), [2, 5]),
                (.owner(house.olivia.id, limit: [house.hers.id]), []), (.owner(house.olivia.id, limit: []), []),
                (.owner(house.mia.id, limit: nil), [3, 6]),
            ]
            var live: [Listener] = []
            for (index, row) in rows.enumerated() {
                live.append(try await hub.listen(row.0, as: principal(house.olivia), loop: index % 2))
            }
            try await house.tipEach()
            let head = try await house.tipEach()
            // The same, read from the log.
            for (index, row) in rows.enumerated() {
                let late = try await hub.listen(
                    row.0, as: principal(house.olivia), from: .position("\(hub.position.epoch)-0"), loop: index % 2)
                #expect(try await late.begun() == Resumption(status: .resumed, start: 0))
                try await late.received(through: row.1.last ?? 0)
                try await live[index].received(through: row.1.last ?? 0)
                #expect(late.sequences == row.1)
            }
            #expect(head == 6)
            // Whoever has the last event of another audience on its loop has had its own chance.
            await hub.settle()
            for (index, row) in rows.enumerated() { #expect(live[index].sequences == row.1) }
        }
    }

    @Test("A page that is made while a firehose is open belongs to it at once")
    func newPage() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            let firehose = try await hub.listen(.owner(house.olivia.id, limit: nil), as: principal(house.olivia))
            let page = try await hub.directory.makePage("third", of: house.olivia.id)
            try await hub.tip(page)
            try await firehose.received(through: 1)
            #expect(firehose.sequences == [1])
        }
    }

    @Test("Only who asked for a start is told of it, before any event, and begins just there")
    func starts() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            let epoch = hub.position.epoch
            let witness = try await hub.listen(.page(house.hers.id), as: principal(house.mia))
            let head = try await house.tipEach()
            try await witness.received(through: head)
            _ = try await hub.store.prune(olderThan: noon.advanced(milliseconds: 1), keepingBytes: 1 << 30, limit: 1)
            hub.position.advance(to: try await hub.store.bounds())
            let rows: [(Subscription.Start, Resumption?, [Int64])] = [
                (.live, nil, [4]), (.now, Resumption(status: .resumed, start: head), [4]),
                (.position("\(epoch)-3"), Resumption(status: .resumed, start: 3), [4]),
                (.position("\(epoch)-1"), Resumption(status: .resumed, start: 1), [2, 4]),
                (.position("\(epoch)-0"), Resumption(status: .gap, start: 1), [2, 4]),
                (.position("\(epoch)-4"), Resumption(status: .reset, start: 3), [4]),
                (.position("other-1"), Resumption(status: .reset, start: 3), [4]),
                (.position("other-99"), Resumption(status: .reset, start: 3), [4]),
                (.position("nonsense"), Resumption(status: .reset, start: 3), [4]),
                (.position(""), Resumption(status: .reset, start: 3), [4]),
            ]
            var listeners: [Listener] = []
            for (index, row) in rows.enumerated() {
                let listener = try await hub.listen(
                    .owner(house.olivia.id, limit: nil), as: principal(house.olivia), from: row.0, loop: index % 2)
                if let resumption = row.1 {
                    #expect(try await listener.begun() == resumption, "\(row.0)")
                    #expect(listener.sink.heard.value.epoch == epoch)
                }
                listeners.append(listener)
            }
            try await hub.tip(house.first)
            for (listener, row) in zip(listeners, rows) {
                try await listener.received(through: 4)
                let heard = listener.sink.heard.value
                #expect(heard.sequences == row.2, "\(row.0)")
                #expect(heard.resumptions == (row.1.map { [$0] } ?? []), "\(row.0)")
                #expect(heard.eventsBeforeResumption == 0, "\(row.0)")
            }
        }
    }

    @Test("When the revocation of a key has returned, its streams are closed and no other's")
    func keyRevoked() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            let revoked = principal(house.olivia, key: "k1")
            let page = try await hub.listen(.page(house.first.id), as: revoked)
            let firehose = try await hub.listen(.owner(house.olivia.id, limit: nil), as: revoked, loop: 1)
            let other = try await hub.listen(.page(house.first.id), as: principal(house.olivia, key: "k2"))
            _ = try await hub.directory.revokeKey("k1")
            #expect(page.sink.heard.value.end == .keyRevoked)
            #expect(firehose.sink.heard.value.end == .keyRevoked)
            try await house.tipEach()
            try await other.received(through: 1)
            await hub.settle()
            #expect(other.sequences == [1])
            #expect(page.sequences == [] && firehose.sequences == [])
            #expect(page.sink.heard.value.afterEnd == 0)
        }
    }

    @Test("When a session's end has been enforced, its streams are closed and no other's")
    func sessionEnded() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            func session(_ token: String) -> Principal {
                Principal(
                    account: house.olivia.id, credential: .session(SecretHash(of: token)), scopes: [.eventsRead],
                    pageLimit: nil, expiresAt: nil)
            }
            let ended = try await hub.listen(.page(house.first.id), as: session("one"))
            let other = try await hub.listen(.page(house.first.id), as: session("two"), loop: 1)
            await hub.fanout.enforce(.sessionEnded(SecretHash(of: "one")))
            #expect(ended.sink.heard.value.end == .sessionEnded)
            #expect(other.sink.heard.value.end == nil)
        }
    }

    @Test("A removed member's streams of that page are closed, and neither its others nor anyone else's")
    func memberRemoved() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            let member = try await hub.listen(.page(house.first.id), as: principal(house.mia), loop: 1)
            let own = try await hub.listen(.page(house.hers.id), as: principal(house.mia))
            let owner = try await hub.listen(.page(house.first.id), as: principal(house.olivia), loop: 1)
            try await hub.directory.removeMember(house.mia.id, from: house.first.id)
            #expect(member.sink.heard.value.end == .accessLost)
            try await house.tipEach()
            try await owner.received(through: 1)
            try await own.received(through: 3)
            await hub.settle()
            #expect(owner.sequences == [1] && own.sequences == [3] && member.sequences == [])
        }
    }

    @Test("A deleted page's streams are closed, a firehose goes on with the other pages")
    func pageDeleted() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            let page = try await hub.listen(.page(house.first.id), as: principal(house.olivia))
            let member = try await hub.listen(.page(house.first.id), as: principal(house.mia), loop: 1)
            let firehose = try await hub.listen(.owner(house.olivia.id, limit: nil), as: principal(house.olivia))
            try await hub.directory.deletePage(house.first.id)
            #expect(page.sink.heard.value.end == .accessLost)
            #expect(member.sink.heard.value.end == .accessLost)
            await #expect(throws: (any Error).self) { try await hub.tip(house.first) }
            try await hub.tip(house.second)
            try await firehose.received(through: 1)
            #expect(firehose.sequences == [1])
            #expect(firehose.sink.heard.value.end == nil)
        }
    }

    @Test("A resuming listener whose right goes while it reads gets nothing of what was read")
    func revokedWhileReading() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            try await house.tipEach()
            await hub.settle()
            let gate = Gate()
            hub.store.hook { $0.afterRead = { _ in try await gate.pass() } }
            let listener = try await hub.listen(
                .page(house.first.id), as: principal(house.olivia), from: .position("\(hub.position.epoch)-0"))
            try await gate.arrived()
            _ = try await hub.directory.revokeKey("k1")
            gate.open()
            hub.store.hook { $0.afterRead = nil }
            let after = try await hub.listen(
                .page(house.first.id), as: principal(house.olivia, key: "k2"),
                from: .position("\(hub.position.epoch)-0"))
            try await after.received(through: 1)
            #expect(listener.sequences == [])
            #expect(listener.sink.heard.value.resumptions == [])
            #expect(listener.sink.heard.value.afterEnd == 0)
        }
    }

    @Test("One connection is closed by its number, which no other has")
    func disconnect() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            var listeners: [Listener] = []
            for index in 0..<6 {
                listeners.append(
                    try await hub.listen(.page(house.first.id), as: principal(house.olivia), loop: index % 2))
            }
            #expect(Set(listeners.map(\.id)).count == 6)
            #expect(await hub.fanout.disconnect(listeners[3].id))
            #expect(listeners.map { $0.sink.heard.value.end } == [nil, nil, nil, .closedByOwner, nil, nil])
            #expect(await hub.fanout.disconnect(listeners[3].id) == false)
            #expect(await hub.fanout.disconnect(999) == false)
            let left = await hub.fanout.connections().map(\.id)
            #expect(left == listeners.map(\.id).filter { $0 != listeners[3].id }.sorted())
        }
    }

    @Test("Listeners who leave in any order leave nothing behind, and twice is once")
    func leaving() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            var seed = TestSeed()
            var listeners: [Listener] = []
            for index in 0..<40 {
                let audiences: [Audience] = [.page(house.first.id), .owner(house.olivia.id, limit: nil)]
                listeners.append(
                    try await hub.listen(
                        audiences.randomElement(using: &seed)!, as: principal(house.olivia), loop: index % 2))
            }
            listeners.shuffle(using: &seed)
            let gone = listeners.prefix(25)
            for listener in gone { try await listener.leave() }
            for listener in gone { try await listener.leave() }
            let last = try await hub.tip(house.first).lastSequence
            for listener in listeners.dropFirst(25) { try await listener.received(through: last) }
            #expect(listeners.dropFirst(25).allSatisfy { $0.sequences == [1] }, "\(seed)")
            #expect(gone.allSatisfy { $0.sequences == [] && $0.sink.heard.value.end == nil }, "\(seed)")
            #expect(await hub.fanout.statistics().connections == 15)
            #expect(await hub.fanout.statistics().feed.deliveries == 15)
            for listener in listeners.dropFirst(25) { try await listener.leave() }
            #expect(await hub.fanout.connections().isEmpty)
        }
    }

    @Test("Whom another's write takes out in the middle of a batch is written nothing of it, and everybody else all")
    func takenOutAmidBatch() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            var listeners: [Listener] = []
            for _ in 0..<4 {
                listeners.append(try await hub.listen(.page(house.first.id), as: principal(house.olivia)))
            }
            // Written to in the order in which they came.
            let (leaving, ending) = (listeners[1], listeners[2])
            listeners[0].sink.onWrite.change { onWrite in
                onWrite = {
                    let shard = hub.fanout.shard(on: eventLoops[0])
                    shard.remove(leaving.subscriber.value)
                    shard.end(ending.subscriber.value, .closedByOwner)
                }
            }
            for sequence in Int64(1)...2 {
                try await hub.tip(house.first)
                for listener in [listeners[0], listeners[3]] { try await listener.received(through: sequence) }
                await hub.settle()
            }
            #expect(listeners.map(\.sequences) == [[1, 2], [], [], [1, 2]])
            #expect(listeners.map { $0.sink.heard.value.written > 0 } == [true, false, false, true])
            #expect(listeners.map { $0.sink.heard.value.end } == [nil, nil, .closedByOwner, nil])
            #expect(listeners.allSatisfy { $0.sink.heard.value.afterEnd == 0 })
            #expect(await hub.fanout.statistics().connections == 2)
        }
    }

    @Test(
        "Sockets that another's write closes in the middle of a batch get no more, nor does who has their numbers at once",
        arguments: SenderWay.possible)
    func numbersGivenAway(way: SenderWay) async throws {
        /// Somebody who has nothing to do with tips, and comes to a number that is free again.
        struct Stranger: Sendable {
            let socket: CInt
            let peer: CInt
        }
        let strangers = Watched<[Stranger]>([])
        try await RealSockets.open { sockets in
            try await withHub(sockets: sockets, makeSender: { way.make() }) { hub in
                let house = try await House(hub)
                let closer = try await hub.listen(.page(house.first.id), as: principal(house.olivia))
                var listeners = [closer]
                for _ in 0..<3 {
                    listeners.append(
                        try await hub.listen(.page(house.first.id), as: principal(house.olivia), hasSocket: true))
                }
                let (full, roomy) = (listeners[1], listeners[2])
                try await hub.tip(house.first)
                // Everybody with a socket has a lane from here on.
                for listener in listeners { try await listener.received(through: 1) }
                await hub.settle()
                // Of what comes next nothing fits into the one, so that it is to be written, behind the closer.
                try await full.setWritable(false)
                let line = try #require(full.sink.line)
                try await eventLoops[0].submit {
                    let filler = [UInt8](repeating: 0, count: 1_024)
                    let flags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
                    while send(line.socket.value.descriptor, filler, filler.count, flags) > 0 {}
                    #expect(errno == EAGAIN)
                }.get()
                closer.sink.onWrite.change { onWrite in
                    onWrite = {
                        guard strangers.value.isEmpty else { return }
                        for line in [full, roomy].compactMap(\.sink.line) {
                            let number = line.socket.value.descriptor
                            line.socket.value.close()
                            var ends: [CInt] = [-1, -1]
                            #expect(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
                            #expect(fcntl(number, F_GETFD) < 0 && dup2(ends[0], number) == number)
                            close(ends[0])
                            let stranger = Stranger(socket: number, peer: ends[1])
                            strangers.change { $0.append(stranger) }
                        }
                    }
                }
                for sequence in Int64(2)...3 {
                    try await hub.tip(house.first)
                    for listener in [closer, listeners[3]] { try await listener.received(through: sequence) }
                    await hub.settle()
                }
                // In the turn's first step the kernel had taken the second of them for who had room.
                try await roomy.received(through: 2)
                #expect(listeners.map(\.sequences) == [[1, 2, 3], [1], [1, 2], [1, 2, 3]])
                #expect(full.sink.heard.value.written == 0 && roomy.sink.heard.value.written == 0)
                #expect(strangers.value.count == 2)
                for stranger in strangers.value {
                    var byte: UInt8 = 0
                    #expect(recv(stranger.peer, &byte, 1, CInt(MSG_DONTWAIT)) < 0 && errno == EAGAIN)
                    close(stranger.peer)
                    close(stranger.socket)
                }
                #expect(await hub.fanout.statistics().connections == 2)
            }
        }
    }

    @Test("What is shown of a connection is where it stands, and what it has had")
    func connectionInfo() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            let live = try await hub.listen(.page(house.first.id), as: principal(house.olivia))
            let slow = try await hub.listen(
                .owner(house.olivia.id, limit: nil), as: principal(house.mia, key: "k9"), isWritable: false)
            try await house.tipEach()
            try await live.received(through: 1)
            try await until { await hub.fanout.connections().contains { $0.lagEvents == 3 } }
            let shown = await hub.fanout.connections()
            #expect(shown.map(\.id) == [live.id, slow.id])
            #expect(shown.map(\.deliveries) == [1, 0])
            #expect(shown[0].lagBytes == 0 && shown[0].lagEvents == 0)
            let frames = live.sink.heard.value.frames[0].readableBytes
            #expect(shown[1].lagBytes > frames && shown[1].lagEvents == 3)
            #expect(shown[1].credential == .key(id: "k9"))
            #expect(shown[1].account == house.mia.id)
            #expect(shown[1].remoteAddress == "192.0.2.1")
            #expect(shown[1].audience == .owner(house.olivia.id, limit: nil))
        }
    }
}
