import Testing
import TipwireCore
import TipwireStore

// MARK: - Screens and receipts

extension Scene {
    fileprivate func place(
        _ screen: String = "obs", _ kind: OverlayKind = .alerts, page: Page? = nil
    ) -> OverlayPlace {
        OverlayPlace(page: (page ?? self.page).id, kind: kind, screen: ScreenName(screen)!)
    }

    fileprivate func report(
        _ tip: String, on place: OverlayPlace, received: Int64, shown: Int64? = nil, sequence: Int64 = 1
    ) async throws {
        var reports = OverlayReports()
        reports.sightings[place] = .init(key: nil, seenAt: .seconds(shown ?? received))
        reports.receipts[.init(place: place, tip: TipIdentifier(tip)!)] = .init(
            sequence: sequence, receivedAt: .seconds(received), shownAt: shown.map { .seconds($0) })
        try await store.keep(reports)
    }

    fileprivate func receipts(_ tip: String) async throws -> [Receipt] {
        let id = TipIdentifier(tip)!
        return try await store.receipts(page: page.id, tips: [id])[id] ?? []
    }
}

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `a receipt says when a tip was first received and when it was shown`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.receive([draft(id: "t")])
            try await scene.report("t", on: scene.place(), received: 5)
            let obs = ScreenName("obs")!
            #expect(
                try await scene.receipts("t")
                    == [Receipt(kind: .alerts, screen: obs, receivedAt: .seconds(5), shownAt: nil)])
            try await scene.report("t", on: scene.place(), received: 6, shown: 7)
            try await scene.report("t", on: scene.place("phone"), received: 8)
            // Brought again and not shown yet: that it was shown before stays true.
            try await scene.report("t", on: scene.place(), received: 9, sequence: 4)
            #expect(
                try await scene.receipts("t") == [
                    Receipt(kind: .alerts, screen: obs, receivedAt: .seconds(5), shownAt: .seconds(7)),
                    Receipt(kind: .alerts, screen: ScreenName("phone")!, receivedAt: .seconds(8), shownAt: nil),
                ])
            #expect(try await scene.store.shownSequences(page: scene.page.id, since: .seconds(7)) == [4])
            #expect(try await scene.store.shownSequences(page: scene.page.id, since: .seconds(8)) == [])
        }
    }

    @Test(arguments: StoreKind.all)
    func `what is reported of a tip or page that isn't there leaves nothing`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.receive([draft(id: "t")])
            try await scene.report("none", on: scene.place(), received: 1)
            try await scene.report("t", on: scene.place(page: scene.other), received: 1, shown: 1)
            for tip in ["none", "t"] { #expect(try await scene.receipts(tip) == []) }
            try await scene.store.deletePage(scene.other.id)
            try await scene.report("t", on: scene.place(page: scene.other), received: 2)
            #expect(try await scene.store.screens(page: scene.other.id) == [])
            try await scene.report("t", on: scene.place(), received: 3)
            try await scene.store.deletePage(scene.page.id)
            #expect(try await scene.receipts("t") == [])
        }
    }

    @Test(arguments: StoreKind.all)
    func `screens are listed with their last signs of life, the oldest are forgotten`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.receive([draft(id: "t")])
            try await scene.report("t", on: scene.place("b"), received: 2, shown: 3)
            try await scene.report("t", on: scene.place("a", .goal), received: 1)
            let listed = try await scene.store.screens(page: scene.page.id)
            #expect(listed.map(\.place) == [scene.place("a", .goal), scene.place("b")])
            #expect(listed.map(\.lastSeenAt) == [.seconds(1), .seconds(3)])
            #expect(listed.map(\.lastShownAt) == [nil, .seconds(3)])
            try await scene.store.deleteScreen(scene.place("b", .goal))
            try await scene.store.deleteScreen(scene.place("b"))
            #expect(try await scene.store.screens(page: scene.page.id).map(\.place.screen.text) == ["a"])
            for number in 1...Limits.screens {
                try await scene.report("t", on: scene.place("s\(number)"), received: Int64(10 + number))
            }
            let names = try await scene.store.screens(page: scene.page.id).map(\.place.screen.text)
            #expect(names.count == Limits.screens && !names.contains("a"))
        }
    }

    @Test(arguments: StoreKind.all)
    func `an overlay's view is goals, newest tips and the log's end, refunded tips left out`(kind: StoreKind)
        async throws
    {
        try await withScene(kind) { scene in
            try await scene.receive([draft(id: "a"), draft(id: "b"), draft(id: "c")])
            _ = try await scene.results([
                .refund(page: scene.page.id, tip: TipIdentifier("b")!, idempotencyKey: nil),
                .changeGoals(
                    page: scene.page.id, .add("g", description: "Mic", amountInCents: 900), idempotencyKey: nil),
            ])
            let view = try await scene.store.overlayView(page: scene.page.id, tips: 2)
            #expect(view.recent.map(\.id.text) == ["c", "a"])
            #expect(view.goals.goals.map(\.description) == ["Mic"])
            #expect(view.bounds.head == 5)
        }
    }

    @Test(arguments: StoreKind.all)
    func `switches of alerts are kept with the page`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            var page = scene.page
            page.alerts = AlertSwitches(isPaused: true, isMuted: false)
            try await scene.store.updatePage(page)
            let kept = try await scene.store.directory().pages.first { $0.id == page.id }
            #expect(kept?.alerts == page.alerts)
        }
    }
}

// MARK: - Statistics and search

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `statistics count each tip in its bucket, refunded ones in none`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.receive([draft(id: "a", 100, fee: 10, name: "Ann")], at: .seconds(0))
            try await scene.receive([draft(id: "b", 200, name: "Bob"), draft(300, name: nil)], at: .seconds(59))
            try await scene.receive([draft(400, name: "Ann")], at: .seconds(60))
            try await scene.receive([draft(id: "r", 9_000, name: "Eve")], at: .seconds(61))
            try await scene.receive([draft(5_000, name: "Late")], at: .seconds(180))
            try await scene.receive([draft(7_000, name: "Other")], to: scene.other, at: .seconds(180))
            _ = try await scene.results([.refund(page: scene.page.id, tip: TipIdentifier("r")!, idempotencyKey: nil)])
            let span = BucketedSpan(from: .seconds(0), to: .seconds(180), bucket: 60_000)
            let found = try await scene.store.statistics(page: scene.page.id, over: span)
            #expect(
                found.buckets == [
                    .init(tips: 3, grossAmountInCents: 600, feesInCents: 50),
                    .init(tips: 1, grossAmountInCents: 400, feesInCents: 20), .init(),
                ])
            #expect(found.total == .init(tips: 4, grossAmountInCents: 1_000, feesInCents: 70))
            #expect(
                found.supporters == [
                    .init(displayName: "Ann", tips: 2, grossAmountInCents: 500),
                    .init(displayName: "", tips: 1, grossAmountInCents: 300),
                    .init(displayName: "Bob", tips: 1, grossAmountInCents: 200),
                ])
            #expect(found.completions.isEmpty)
        }
    }

    @Test(arguments: StoreKind.all)
    func `statistics name the goals that were completed, the newest first`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            for goal in ["one", "two"] {
                _ = try await scene.results([
                    .changeGoals(
                        page: scene.page.id, .add(goal, description: goal, amountInCents: 100), idempotencyKey: nil)
                ])
            }
            try await scene.receive([draft(250)], at: .seconds(5))
            let span = BucketedSpan(from: .seconds(5), to: .seconds(6), bucket: 1_000)
            let found = try await scene.store.statistics(page: scene.page.id, over: span)
            #expect(found.completions.map(\.completion.name) == ["two", "one"])
            #expect(found.completions.allSatisfy { $0.time == .seconds(5) })
        }
    }

    @Test(arguments: StoreKind.all)
    func `a search finds names and messages, and takes no sign for a pattern`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.receive([
                draft(id: "a", 100, name: "Zoë_1"), draft(id: "b", 200, name: "Bob", message: "100% ZOË"),
                draft(id: "c", 300, name: "back\\slash"), draft(id: "d", 400, name: "Ann"),
            ])
            func found(_ text: String?, least: Int? = nil) async throws -> [String] {
                try await scene.store.search(
                    page: scene.page.id, before: nil, limit: 10,
                    for: TipFilter(text: text, minimumAmountInCents: least)
                ).tips.map(\.tip.id.text)
            }
            #expect(try await found("zo") == ["b", "a"])
            #expect(try await found("_") == ["a"])
            #expect(try await found("%") == ["b"])
            #expect(try await found("\\") == ["c"])
            #expect(try await found("' OR 1=1 --") == [])
            #expect(try await found(nil, least: 300) == ["d", "c"])
            #expect(try await found("zo", least: 150) == ["b"])
            let first = try await scene.store.search(
                page: scene.page.id, before: nil, limit: 1, for: TipFilter(text: "zo"))
            let rest = try await scene.store.search(
                page: scene.page.id, before: first.next, limit: 2, for: TipFilter(text: "zo"))
            #expect(rest.tips.map(\.tip.id.text) == ["a"] && rest.next == nil)
        }
    }

    @Test(arguments: StoreKind.all)
    func `all sessions of an account end together, and no one else's`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let other = try await scene.store.createAccount(
                NewAccount(name: Slug("someone")!, passwordHash: nil, createdAt: .zero))
            for (name, account) in [("a", scene.account), ("b", scene.account), ("c", other)] {
                try await scene.store.createSession(
                    SecretHash(of: name), account: account.id, expiresAt: .seconds(90))
            }
            try await scene.store.createLoginCode(
                SecretHash(of: "code"), account: scene.account.id, expiresAt: .seconds(90))
            try await scene.store.deleteSessions(of: scene.account.id)
            for (name, isThere) in [("a", false), ("b", false), ("c", true)] {
                #expect(try await (scene.store.session(SecretHash(of: name), at: .zero) != nil) == isThere)
            }
            #expect(try await scene.store.redeemLoginCode(SecretHash(of: "code"), at: .zero) == nil)
        }
    }
}
