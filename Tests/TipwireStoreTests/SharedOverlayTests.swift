import NIOCore
import Testing
import TipwireCore
import TipwireStore

@testable import TipwirePostgres

/// What several nodes on one database have in common of a page's overlays.
@Suite(.enabled(if: StoreKind.postgres != nil, "TIPWIRE_TEST_POSTGRES names no server"), .timeLimit(.minutes(2)))
struct SharedOverlayTests {
    private func place(_ nodes: StoreNodes, _ screen: String, _ kind: OverlayKind = .alerts) -> OverlayPlace {
        OverlayPlace(page: nodes.scene.page.id, kind: kind, screen: ScreenName(screen)!)
    }

    private func alert(_ nodes: StoreNodes, _ sequence: Int64) -> Alert {
        Alert(page: nodes.scene.page.id, sequence: sequence)
    }

    private func claim(_ store: PostgresStore, _ alert: Alert, for copy: Int = 1) async throws -> AlertLease? {
        try await store.settle(AlertErrands(claims: [alert: copy]))[alert]
    }

    /// As if so much time had passed for all leases.
    private func age(_ nodes: StoreNodes, milliseconds: Int64) throws {
        _ = try nodes.run("UPDATE tipwire.alert_leases SET until = until - \(milliseconds)")
    }

    // MARK: Presences

    @Test func `what is connected to one node the others see, until it has gone`() async throws {
        try await withStoreNodes { nodes in
            let (obs, bar) = (place(nodes, "obs"), place(nodes, "obs", .goal))
            try await nodes.first.keepPresences([obs: .seconds(7), bar: .seconds(8)])
            let page = nodes.scene.page.id
            #expect(try await nodes.second.presencesElsewhere(page: page) == [obs: .seconds(7), bar: .seconds(8)])
            #expect(try await nodes.first.presencesElsewhere(page: page) == [:])
            #expect(try await nodes.second.presencesElsewhere(page: nodes.scene.other.id) == [:])
            try await nodes.first.keepPresences([obs: .seconds(9), bar: nil])
            #expect(try await nodes.second.presencesElsewhere(page: page) == [obs: .seconds(9)])
        }
    }

    @Test func `what was connected to a node goes with it, and is told again by one that returns`() async throws {
        try await withStoreNodes { nodes in
            let (page, obs) = (nodes.scene.page.id, place(nodes, "obs"))
            try await nodes.first.keepPresences([obs: .seconds(7)])
            try nodes.silence(nodes.first, milliseconds: NodeTimes.dead + 1)
            _ = try await nodes.second.beat(.sample)
            #expect(try await nodes.second.presencesElsewhere(page: page) == [:])
            // It doesn't know yet.
            try await nodes.first.keepPresences([obs: .seconds(7)])
            #expect(try await nodes.second.presencesElsewhere(page: page) == [:])
            #expect(try await nodes.first.beat(.sample).isNew)
            try await nodes.first.keepPresences([obs: .seconds(7)])
            #expect(try await nodes.second.presencesElsewhere(page: page) == [obs: .seconds(7)])
            try await nodes.first.leave()
            #expect(try await nodes.second.presencesElsewhere(page: page) == [:])
        }
    }

    // MARK: Alerts

    @Test func `of nodes that claim alerts at once, one has each`() async throws {
        try await withStoreNodes { nodes in
            for round in 0..<20 {
                let alerts = (1...5).map { alert(nodes, Int64(round * 5 + $0)) }
                let claims = Dictionary(uniqueKeysWithValues: alerts.map { ($0, 1) })
                async let one = nodes.first.settle(AlertErrands(claims: claims))
                async let other = nodes.second.settle(AlertErrands(claims: claims))
                let answers = try await [one, other]
                for alert in alerts { #expect(Set(answers.map { $0[alert] }) == [.granted, .held], "\(alert)") }
            }
        }
    }

    @Test func `who has an alert has it again, until its time is over or it has gone`() async throws {
        try await withStoreNodes { nodes in
            let one = alert(nodes, 1)
            #expect(try await claim(nodes.first, one) == .granted)
            #expect(try await claim(nodes.first, one, for: 2) == .held, "another copy of the same node")
            try age(nodes, milliseconds: AlertTimes.lease - 2_000)
            #expect(try await claim(nodes.second, one) == .held)
            #expect(try await claim(nodes.first, one) == .granted)
            try age(nodes, milliseconds: AlertTimes.lease - 2_000)
            #expect(try await claim(nodes.second, one) == .held, "renewed")
            try age(nodes, milliseconds: 2_001)
            #expect(try await claim(nodes.second, one) == .granted)
            // Who has lost it gives back nothing, nor does another node's copy of the same number.
            _ = try await nodes.first.settle(AlertErrands(freed: [1, 2]))
            #expect(try await claim(nodes.first, one) == .held)
            _ = try await nodes.second.settle(AlertErrands(freed: [1]))
            #expect(try await claim(nodes.first, one) == .granted)
        }
    }

    @Test func `an alert that was shown is nobody's but whose it was, however it came to be shown`() async throws {
        try await withStoreNodes { nodes in
            let (claimed, unasked) = (alert(nodes, 1), alert(nodes, 2))
            #expect(try await claim(nodes.first, claimed) == .granted)
            _ = try await nodes.first.settle(AlertErrands(shown: [claimed: 1, unasked: 1]))
            try age(nodes, milliseconds: AlertTimes.lease)
            for (store, copy) in [(nodes.first, 2), (nodes.second, 1)] {
                #expect(
                    try await store.settle(AlertErrands(claims: [claimed: copy, unasked: copy]))
                        == [claimed: .shown, unasked: .shown])
            }
            #expect(try await claim(nodes.first, claimed) == .granted, "it is on the screen")
            _ = try await nodes.first.settle(AlertErrands(freed: [1]))
            #expect(try await claim(nodes.second, claimed) == .shown)
            // As old as that an overlay passes over it.
            try age(nodes, milliseconds: AlertTimes.memory + AlertTimes.lease)
            for _ in 0..<2 { _ = try await claim(nodes.second, alert(nodes, 3)) }
            #expect(try nodes.run("SELECT string_agg(sequence::text, ' ') FROM tipwire.alert_leases") == "3")
        }
    }

    @Test func `the connection for overlays is cut off after two seconds of standing still`() async throws {
        try await withStoreNodes { nodes in
            let limit = try await nodes.first.show { db -> String in
                try db.execute("SHOW idle_in_transaction_session_timeout")[0][0]
            }
            #expect(limit == "2s")
        }
    }

    // MARK: Announcements

    @Test func `what one node announces the others hear once, in order, and it doesn't`() async throws {
        try await withStoreNodes { nodes in
            let page = nodes.scene.page.id
            let list = ["one", "two"].map {
                OverlayAnnouncement(
                    page: page, message: ByteBuffer(string: #"{"type":"\#($0)","text":"„ü'\\u0000“"}"#),
                    besides: [ScreenName("obs")!, ScreenName("a.b:c-d_e")!], reopens: 1)
            }
            let start = try await nodes.second.announcements(after: nil)
            #expect(start.list == [])
            for announcement in list { try await nodes.first.announce(announcement) }
            let heard = try await nodes.second.announcements(after: start.through)
            #expect(heard.list == list && heard.through == start.through + 2)
            #expect(try await nodes.second.announcements(after: heard.through).list == [])
            #expect(try await nodes.first.announcements(after: start.through).list == [])
            // A minute later nobody needs them.
            _ = try nodes.run(
                "UPDATE tipwire.overlay_announcements SET said_at = said_at - \(AlertTimes.announcement)")
            try await nodes.second.announce(OverlayAnnouncement(page: page, message: ByteBuffer(string: "{}")))
            #expect(try nodes.run("SELECT count(*) FROM tipwire.overlay_announcements") == "1")
        }
    }

    @Test func `an announcement that shows an alert again makes it anyone's`() async throws {
        try await withStoreNodes { nodes in
            let one = alert(nodes, 1)
            _ = try await nodes.first.settle(AlertErrands(shown: [one: 1]))
            try await nodes.second.announce(
                OverlayAnnouncement(page: one.page, message: ByteBuffer(string: "{}"), reopens: one.sequence))
            #expect(try await claim(nodes.first, one) == .granted)
        }
    }

    @Test func `announcements made at once all come through`() async throws {
        try await withStoreNodes { nodes in
            let page = nodes.scene.page.id
            let start = try await nodes.second.announcements(after: nil).through
            try await withThrowingTaskGroup(of: Void.self) { group in
                for store in [nodes.first, nodes.second] {
                    for number in 0..<20 {
                        group.addTask {
                            try await store.announce(
                                OverlayAnnouncement(page: page, message: ByteBuffer(string: "\(number)")))
                        }
                    }
                }
                try await group.waitForAll()
            }
            for store in [nodes.first, nodes.second] {
                let heard = try await store.announcements(after: start)
                #expect(Set(heard.list.map { String(buffer: $0.message) }).count == 20 && heard.list.count == 20)
                #expect(heard.through == start + 40)
            }
        }
    }
}
