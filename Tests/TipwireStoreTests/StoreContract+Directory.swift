import Testing
import TipwireCore
import TipwireStore

// MARK: - Accounts and pages

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `accounts and pages come back as they were made`(kind: StoreKind) async throws {
        try await withStore(kind) { store in
            let ann = try await store.createAccount(
                NewAccount(name: Slug("ann")!, passwordHash: "scrypt$…", createdAt: .seconds(1)))
            let bob = try await store.createAccount(
                NewAccount(name: Slug("bob")!, passwordHash: nil, createdAt: .seconds(2)))
            let page = try await store.createPage(
                NewPage(
                    slug: Slug("cats")!, title: "Cats — and \"dogs\"", customURL: "https://cats.example/",
                    currency: Currency(code: "JPY")!, owner: ann.id, createdAt: .seconds(3)))
            let other = try await store.createPage(.named("dogs", owner: bob))
            let directory = try await store.directory()
            #expect(directory.accounts == [ann, bob] && directory.pages == [page, other])
            #expect(page.publicID.hasPrefix("\(Timestamp.seconds(3).milliseconds)x"))
            #expect(try await store.passwordHash(of: ann.id) == "scrypt$…")
            #expect(try await store.passwordHash(of: bob.id) == nil)
            try await store.setPasswordHash("new", of: bob.id)
            #expect(try await store.passwordHash(of: bob.id) == "new")
        }
    }

    @Test(arguments: StoreKind.all)
    func `names are unique`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            await #expect(throws: DirectoryRefusal.taken) {
                try await scene.store.createAccount(
                    NewAccount(name: Slug("ADMIN")!, passwordHash: nil, createdAt: .zero))
            }
            await #expect(throws: DirectoryRefusal.taken) {
                try await scene.store.createPage(.named("cats", owner: scene.account))
            }
            let pages = try await scene.store.directory().pages
            #expect(pages == [scene.page, scene.other])
        }
    }

    @Test(arguments: StoreKind.all)
    func `nothing refers to an account or page that is not there`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            let nobody = Account.ID(rawValue: 99)
            let nowhere = Page.ID(rawValue: 99)
            let stranger = Account(id: nobody, publicID: "x", name: Slug("x")!, createdAt: .zero)
            await #expect(throws: DirectoryRefusal.missingReference) {
                try await store.createPage(.named("new", owner: stranger))
            }
            await #expect(throws: DirectoryRefusal.missingReference) {
                try await store.addMember(nobody, to: scene.page.id)
            }
            await #expect(throws: DirectoryRefusal.missingReference) {
                try await store.addMember(scene.account.id, to: nowhere)
            }
            await #expect(throws: DirectoryRefusal.missingReference) {
                try await store.createKey(.sample("k", account: nobody))
            }
            await #expect(throws: DirectoryRefusal.missingReference) {
                try await store.createKey(.sample("k", account: scene.account.id, pages: [scene.page.id, nowhere]))
            }
            await #expect(throws: DirectoryRefusal.missingReference) {
                try await store.setPasswordHash("x", of: nobody)
            }
            await #expect(throws: DirectoryRefusal.missingReference) {
                try await store.createSession(SecretHash(of: "s"), account: nobody, expiresAt: .seconds(9))
            }
            // The half of the key that could be written wasn't.
            let keys = try await store.directory().keys
            #expect(keys.isEmpty)
        }
    }

    @Test(arguments: StoreKind.all)
    func `a page's title, address and currency can change`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            var page = scene.page
            page.title = "New"
            page.customURL = "https://new.example"
            page.currency = Currency(code: "EUR")!
            try await scene.store.updatePage(page)
            #expect(try await scene.store.directory().pages == [page, scene.other])
            page.customURL = nil
            try await scene.store.updatePage(page)
            #expect(try await scene.store.directory().pages == [page, scene.other])
            try await scene.store.deletePage(page.id)
            await #expect(throws: DirectoryRefusal.missingReference) { try await scene.store.updatePage(page) }
        }
    }

    @Test(arguments: StoreKind.all)
    func `the currency stays once there are tips in it`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.receive([draft()])
            var page = scene.page
            page.title = "New"
            try await scene.store.updatePage(page)
            var changed = page
            changed.title = "Newer"
            changed.currency = Currency(code: "EUR")!
            await #expect(throws: DirectoryRefusal.currencyInUse) { try await scene.store.updatePage(changed) }
            #expect(try await scene.store.directory().pages[0] == page)
        }
    }

    @Test(arguments: StoreKind.all)
    func `members come and go, each time idempotently`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            let bob = try await store.createAccount(
                NewAccount(name: Slug("bob")!, passwordHash: nil, createdAt: .zero))
            for _ in 0..<2 { try await store.addMember(bob.id, to: scene.page.id) }
            #expect(try await store.directory().pages.map(\.members) == [[bob.id], []])
            for _ in 0..<2 { try await store.removeMember(bob.id, from: scene.page.id) }
            #expect(try await store.directory().pages.map(\.members) == [[], []])
        }
    }

    @Test(arguments: StoreKind.all)
    func `a deleted page leaves nothing, and its number is never used again`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            try await scene.receive([draft(id: "a")], to: scene.page)
            let kept = try await store.logStatistics()
            try await scene.receive([draft(id: "a"), draft(id: "b")], to: scene.other)
            try await scene.receive([draft()], key: "k", to: scene.other)
            try await store.addMember(scene.account.id, to: scene.other.id)
            try await store.createKey(
                .sample("k", account: scene.account.id, pages: [scene.page.id, scene.other.id]))
            try await store.deletePage(scene.other.id)

            #expect(try await store.logStatistics() == kept)
            #expect(try await store.directory().pages == [scene.page])
            #expect(try await store.directory().keys[0].pages == [scene.page.id])
            #expect(try await store.tips(page: scene.other.id, before: nil, limit: 10).isEmpty)
            #expect(try await scene.events().map(\.sequence) == [1])
            #expect(try await store.bounds().head == 4)
            await #expect(throws: LogRefusal.unknownPage) { try await scene.receive([draft()], to: scene.other) }

            let again = try await store.createPage(.named("dogs", owner: scene.account))
            #expect(again.id.rawValue > scene.other.id.rawValue)
            #expect(try await scene.receive([draft(id: "a")], key: "k", to: again)[0].lastSequence == 5)
            try await store.deletePage(scene.other.id)
        }
    }
}

// MARK: - Keys

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `keys come back as they were made`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            let wide = KeyRecord(
                id: "k1", prefix: "tw_00000000", hash: SecretHash(of: "1"), name: "name, \"quoted\"",
                account: scene.account.id, scopes: [.tipsWrite, .eventsubCreate, .eventsRead], pages: nil,
                createdAt: .seconds(1), expiresAt: .seconds(99), lastUsedAt: .seconds(5))
            // The same prefix: it narrows the search, and names nobody.
            let narrow = KeyRecord(
                id: "k2", prefix: "tw_00000000", hash: SecretHash(of: "2"), name: "", account: scene.account.id,
                scopes: [], pages: [scene.page.id, scene.other.id], createdAt: .seconds(2), expiresAt: nil)
            try await store.createKey(wide)
            try await store.createKey(narrow)
            #expect(try await store.directory().keys == [wide, narrow])
            await #expect(throws: DirectoryRefusal.taken) { try await store.createKey(narrow) }
            #expect(try await store.deleteKey("k1"))
            #expect(try await !store.deleteKey("k1"))
            #expect(try await store.directory().keys == [narrow])
        }
    }

    @Test(arguments: StoreKind.all)
    func `a limited key stays limited when its pages are gone`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.store.createKey(.sample("k", account: scene.account.id, pages: [scene.page.id]))
            try await scene.store.deletePage(scene.page.id)
            #expect(try await scene.store.directory().keys[0].pages == [])
        }
    }

    @Test(arguments: StoreKind.all)
    func `the latest use of a key is kept`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            for id in ["a", "b", "c"] { try await store.createKey(.sample(id, account: scene.account.id)) }
            try await store.recordKeyUse(["a": .seconds(5), "b": .seconds(5), "gone": .seconds(5)])
            try await store.recordKeyUse(["a": .seconds(3), "b": .seconds(7)])
            #expect(try await store.directory().keys.map(\.lastUsedAt) == [.seconds(5), .seconds(7), nil])
        }
    }
}

// MARK: - Sessions

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `a login code works once, and not after its time`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            let code = SecretHash(of: "code")
            try await store.createLoginCode(code, account: scene.account.id, expiresAt: .seconds(10))
            #expect(try await store.redeemLoginCode(SecretHash(of: "guess"), at: .seconds(9)) == nil)
            #expect(try await store.redeemLoginCode(code, at: .seconds(9)) == scene.account.id)
            #expect(try await store.redeemLoginCode(code, at: .seconds(9)) == nil)
            try await store.createLoginCode(code, account: scene.account.id, expiresAt: .seconds(10))
            #expect(try await store.redeemLoginCode(code, at: .seconds(10)) == nil)
            // Too late, and spent by the attempt.
            #expect(try await store.redeemLoginCode(code, at: .seconds(9)) == nil)
        }
    }

    @Test(arguments: StoreKind.all)
    func `of many who redeem a code at once, one succeeds`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let code = SecretHash(of: "code")
            try await scene.store.createLoginCode(code, account: scene.account.id, expiresAt: .seconds(10))
            let winners = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<16 {
                    group.addTask { try await scene.store.redeemLoginCode(code, at: .zero) == nil ? 0 : 1 }
                }
                return try await group.reduce(0, +)
            }
            #expect(winners == 1)
        }
    }

    @Test(arguments: StoreKind.all)
    func `sessions end when deleted and at their time`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            let session = SecretHash(of: "s")
            try await store.createSession(session, account: scene.account.id, expiresAt: .seconds(10))
            #expect(
                try await store.session(session, at: .seconds(9))
                    == SessionRecord(account: scene.account.id, expiresAt: .seconds(10)))
            #expect(try await store.session(session, at: .seconds(10)) == nil)
            #expect(try await store.session(SecretHash(of: "t"), at: .zero) == nil)
            try await store.deleteSession(session)
            try await store.deleteSession(session)
            #expect(try await store.session(session, at: .seconds(9)) == nil)
        }
    }

    @Test(arguments: StoreKind.all)
    func `only expired sessions and codes are swept`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            for seconds: Int64 in [10, 11] {
                let hash = SecretHash(of: "\(seconds)")
                try await store.createSession(hash, account: scene.account.id, expiresAt: .seconds(seconds))
                try await store.createLoginCode(hash, account: scene.account.id, expiresAt: .seconds(seconds))
            }
            try await store.deleteExpiredSessions(at: .seconds(10))
            // Asked at an earlier time, so that it is the sweep and not the clock that hides the one.
            #expect(try await store.session(SecretHash(of: "10"), at: .zero) == nil)
            #expect(try await store.session(SecretHash(of: "11"), at: .zero) != nil)
            #expect(try await store.redeemLoginCode(SecretHash(of: "10"), at: .zero) == nil)
            #expect(try await store.redeemLoginCode(SecretHash(of: "11"), at: .zero) != nil)
        }
    }
}

extension KeyRecord {
    static func sample(_ id: String, account: Account.ID, pages: Set<Page.ID>? = nil) -> KeyRecord {
        KeyRecord(
            id: id, prefix: "tw_01234567", hash: SecretHash(of: id), name: "key \(id)", account: account,
            scopes: [.eventsRead], pages: pages, createdAt: .zero, expiresAt: nil)
    }
}
