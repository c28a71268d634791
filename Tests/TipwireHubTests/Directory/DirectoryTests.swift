import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub

@Suite("Directory", .timeLimit(.minutes(1)))
struct DirectoryTests {
    /// Notes what is to be enforced, and takes its time over it.
    private final class Enforcer: AccessEnforcing {
        let losses = Watched<[String]>([])
        let gate = Gate(isOpen: true)

        func enforce(_ loss: AccessLoss) async {
            losses.change { $0.append("\(loss)") }
            try? await gate.pass()
        }
    }

    private struct House: Sendable {
        let store: StoreDouble
        let directory: TipwireHub.Directory
        let enforcer = Enforcer()
        let olivia: Account
        let mia: Account
        let page: Page
    }

    private func withHouse(_ body: @Sendable (House) async throws -> Void) async throws {
        try await withStore { store in
            let directory = try await TipwireHub.Directory(store: store)
            let olivia = try await directory.makeAccount("olivia")
            let house = House(
                store: store, directory: directory, olivia: olivia, mia: try await directory.makeAccount("mia"),
                page: try await directory.makePage("page", of: olivia.id))
            directory.enforce(with: house.enforcer)
            try await body(house)
        }
    }

    @Test("Accounts, pages and keys are found by whatever names them, and again after a restart")
    func lookUps() async throws {
        try await withHouse { house in
            let key = APIKey.random()
            try await house.directory.createKey(
                keyRecord(key, account: house.olivia.id, scopes: [.manage, .eventsRead], pages: [house.page.id]))
            try await house.directory.addMember(house.mia.id, to: house.page.id)
            for directory in [house.directory, try await TipwireHub.Directory(store: house.store)] {
                let view = directory.view
                #expect(view.account(house.olivia.id) == house.olivia)
                #expect(view.account(named: Slug("OLIVIA")!)?.id == house.olivia.id)
                #expect(view.account(named: Slug("nobody")!) == nil)
                #expect(view.page(slug: Slug("Page")!)?.id == house.page.id)
                #expect(view.page(house.page.id)?.members == [house.mia.id])
                #expect(view.pages(ownedBy: house.olivia.id) == [house.page.id])
                #expect(view.pages(ownedBy: house.mia.id) == [])
                #expect(view.accountsInOrder().map(\.name.text) == ["olivia", "mia"])
                #expect(view.record(of: key)?.id == "k1")
                #expect(view.record(of: key)?.pages == [house.page.id])
                #expect(view.holds(key, at: noon))
                #expect(view.record(of: .random()) == nil)
                #expect(view.keyCount == 1)
                #expect(view.pageCount == 1)
            }
        }
    }

    @Test("Keys that share a prefix are told apart by their hash, and one is revoked without the other")
    func samePrefix() async throws {
        try await withHouse { house in
            let one = APIKey("tw_" + String(repeating: "0", count: 64))!
            let two = APIKey("tw_" + String(repeating: "0", count: 63) + "1")!
            try await house.directory.createKey(keyRecord(one, id: "k1", account: house.olivia.id))
            try await house.directory.createKey(keyRecord(two, id: "k2", account: house.mia.id))
            #expect(house.directory.view.record(of: one)?.id == "k1")
            #expect(house.directory.view.record(of: two)?.id == "k2")
            let existed = try await house.directory.revokeKey("k1")
            #expect(existed)
            #expect(house.directory.view.record(of: one) == nil)
            #expect(house.directory.view.record(of: two)?.id == "k2")
        }
    }

    @Test("A change is durable before anyone sees it")
    func durableFirst() async throws {
        try await withHouse { house in
            let gate = Gate()
            house.store.hook { $0.beforeChange = { _ in try await gate.pass() } }
            async let made = house.directory.makePage("second", of: house.mia.id)
            try await gate.arrived()
            #expect(house.directory.view.page(slug: Slug("second")!) == nil)
            gate.open()
            let page = try await made
            #expect(house.directory.view.page(slug: Slug("second")!) == page)
            #expect(try await house.store.directory().pages.contains(page))
        }
    }

    @Test("What the store refuses or fails at is not seen, not enforced, and passes its error on")
    func failure() async throws {
        try await withHouse { house in
            try await house.directory.createKey(keyRecord(.random(), account: house.olivia.id))
            try await house.directory.addMember(house.mia.id, to: house.page.id)
            let before = house.directory.view.page(house.page.id)
            await #expect(throws: DirectoryRefusal.taken) {
                try await house.directory.makePage("page", of: house.mia.id)
            }
            house.store.hook { $0.beforeChange = { _ in throw BrokenStore() } }
            await #expect(throws: BrokenStore.self) { try await house.directory.makeAccount("new") }
            await #expect(throws: BrokenStore.self) {
                try await house.directory.updatePage(house.page.id) { $0.title = "x" }
            }
            await #expect(throws: BrokenStore.self) { try await house.directory.deletePage(house.page.id) }
            await #expect(throws: BrokenStore.self) {
                try await house.directory.removeMember(house.mia.id, from: house.page.id)
            }
            await #expect(throws: BrokenStore.self) { try await house.directory.revokeKey("k1") }
            #expect(house.directory.view.account(named: Slug("new")!) == nil)
            #expect(house.directory.view.page(house.page.id) == before)
            #expect(house.directory.view.key("k1") != nil)
            #expect(house.enforcer.losses.value == [])
        }
    }

    /// The three changes that take a right away, and what they have enforced.
    static let losses: [(String, String)] = [
        ("revokeKey", #"keyRevoked("k1")"#), ("removeMember", "memberRemoved("), ("deletePage", "pageDeleted("),
    ]

    @Test(
        "A right that is taken away is gone from the store, then from sight, then enforced, before the call returns",
        arguments: losses)
    func enforcement(name: String, loss: String) async throws {
        try await withHouse { house in
            let directory = house.directory
            try await directory.createKey(keyRecord(.random(), account: house.olivia.id))
            try await directory.addMember(house.mia.id, to: house.page.id)
            house.enforcer.gate.close()
            let returned = Watched(false)
            async let change: Void = {
                switch name {
                case "revokeKey": _ = try await directory.revokeKey("k1")
                case "removeMember": try await directory.removeMember(house.mia.id, from: house.page.id)
                default: try await directory.deletePage(house.page.id)
                }
                returned.change { $0 = true }
            }()
            try await house.enforcer.gate.arrived()
            // Enforcement has begun: everything else is done, and the caller still waits.
            let stored = try await house.store.directory()
            switch name {
            case "revokeKey":
                #expect(stored.keys.isEmpty)
                #expect(directory.view.key("k1") == nil)
            case "removeMember":
                #expect(stored.pages[0].members.isEmpty)
                #expect(directory.view.page(house.page.id)?.members == [])
            default:
                #expect(stored.pages.isEmpty)
                #expect(directory.view.page(slug: house.page.slug) == nil)
                #expect(directory.view.pages(ownedBy: house.olivia.id) == [])
            }
            #expect(house.enforcer.losses.value.count == 1)
            #expect(house.enforcer.losses.value[0].hasPrefix(loss))
            #expect(!returned.value)
            house.enforcer.gate.open()
            try await change
        }
    }

    @Test("What another node changed in the store is seen after a refresh, and what it took away is enforced here")
    func refresh() async throws {
        try await withHouse { house in
            let gone = try await house.directory.makePage("gone", of: house.olivia.id)
            for (number, key) in [APIKey.random(), .random()].enumerated() {
                try await house.directory.createKey(
                    keyRecord(key, id: "k\(number)", account: house.olivia.id, pages: [house.page.id, gone.id]))
            }
            try await house.directory.addMember(house.mia.id, to: house.page.id)
            let version = house.directory.view.pagesVersion
            let other = try await TipwireHub.Directory(store: house.store)
            let made = try await other.makePage("made", of: house.mia.id)
            _ = try await other.updatePage(house.page.id) { $0.title = "Renamed" }
            try await other.removeMember(house.mia.id, from: house.page.id)
            try await other.deletePage(gone.id)
            _ = try await other.revokeKey("k1")
            #expect(house.directory.view.page(slug: made.slug) == nil)
            try await house.directory.refresh()
            let view = house.directory.view
            #expect(view.page(slug: made.slug) == made)
            #expect(view.page(house.page.id)?.title == "Renamed")
            #expect(view.page(gone.id) == nil && view.pages(ownedBy: house.olivia.id) == [house.page.id])
            #expect(view.key("k1") == nil && view.key("k0")?.pages == [house.page.id])
            #expect(view.pagesVersion > version)
            let losses = house.enforcer.losses.value
            #expect(losses.count == 3)
            for (_, loss) in Self.losses { #expect(losses.contains { $0.hasPrefix(loss) }, "\(loss)") }
            try await house.directory.refresh()
            #expect(house.enforcer.losses.value.count == 3)
        }
    }

    @Test("Taking the owner off a page's members closes nothing: its streams don't rest on that")
    func ownerAsMember() async throws {
        try await withHouse { house in
            try await house.directory.removeMember(house.olivia.id, from: house.page.id)
            #expect(house.enforcer.losses.value == [])
            #expect(house.directory.view.page(house.page.id)?.role(of: house.olivia.id) == .owner)
        }
    }

    @Test("Revoking a key that isn't there says so")
    func unknownKey() async throws {
        try await withHouse { house in
            let existed = try await house.directory.revokeKey("nobody's")
            #expect(!existed)
        }
    }

    @Test("Changes of one page at the same time are all kept, each made on the page as the last one left it")
    func noLostUpdate() async throws {
        try await withHouse { house in
            _ = try await house.directory.updatePage(house.page.id) { $0.title = "" }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<20 {
                    group.addTask {
                        _ = try await house.directory.updatePage(house.page.id) { $0.title += "\(index) " }
                    }
                }
                try await group.waitForAll()
            }
            let title = try #require(house.directory.view.page(house.page.id)?.title)
            let kept = title.split(separator: " ").compactMap { Int($0) }
            #expect(kept.sorted() == Array(0..<20))
            #expect(try await house.store.directory().pages[0].title == title)
            let gone = try await house.directory.updatePage(Page.ID(rawValue: 99)) { $0.title = "x" }
            #expect(gone == nil)
        }
    }

    @Test("Pages of an owner are those that are there now")
    func ownedPages() async throws {
        try await withHouse { house in
            let second = try await house.directory.makePage("second", of: house.olivia.id)
            #expect(house.directory.view.pages(ownedBy: house.olivia.id) == [house.page.id, second.id])
            try await house.directory.deletePage(house.page.id)
            #expect(house.directory.view.pages(ownedBy: house.olivia.id) == [second.id])
            #expect(house.directory.view.pages { _ in true }.map(\.id) == [second.id])
        }
    }

    @Test("A key that was limited to pages of which none is left sees no page, not every page")
    func limitedKeyOfDeletedPages() async throws {
        try await withHouse { house in
            let second = try await house.directory.makePage("second", of: house.olivia.id)
            for (id, pages) in [("k1", [house.page.id]), ("k2", [house.page.id, second.id])] as [(String, Set<Page.ID>)]
            {
                try await house.directory.createKey(
                    keyRecord(.random(), id: id, account: house.olivia.id, pages: pages))
            }
            try await house.directory.createKey(keyRecord(.random(), id: "k3", account: house.olivia.id))
            try await house.directory.deletePage(house.page.id)
            for directory in [house.directory, try await TipwireHub.Directory(store: house.store)] {
                let limits = ["k1", "k2", "k3"].map { directory.view.key($0)?.pages }
                #expect(limits == [[], [second.id], nil])
            }
        }
    }
}
