import InMemoryLogging
import Logging
import ServiceLifecycle
import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub

@Suite("Authenticator", .timeLimit(.minutes(1)))
struct AuthenticatorTests {
    private struct House: Sendable {
        let store: StoreDouble
        let clock = TestClock()
        let directory: TipwireHub.Directory
        let authenticator: Authenticator
        let account: Account
        let key = APIKey.random()
        let log = InMemoryLogHandler()

        init(store: StoreDouble, maxFailures: Int) async throws {
            self.store = store
            directory = try await TipwireHub.Directory(store: store)
            account = try await directory.makeAccount("olivia")
            authenticator = Authenticator(
                directory: directory, store: store, clock: clock.wall,
                throttle: FailureThrottle(maxPerMinute: maxFailures), logger: Logger(label: "test") { [log] _ in log })
            try await directory.createKey(
                keyRecord(
                    key, account: account.id, scopes: [.tipsWrite], pages: [],
                    expiresAt: noon.advanced(milliseconds: 1_000)))
        }

        func authenticate(_ text: String?, from address: String = "a") -> Result<Principal, Authenticator.Failure> {
            authenticator.principal(key: text, address: address)
        }
    }

    private func withHouse(maxFailures: Int = 100, _ body: @Sendable (House) async throws -> Void) async throws {
        try await withStore { store in try await body(House(store: store, maxFailures: maxFailures)) }
    }

    @Test("A good key stands for its account with the key's own rights")
    func good() async throws {
        try await withHouse { house in
            let caller = try house.authenticate(house.key.reveal()).get()
            #expect(caller.account == house.account.id)
            #expect(caller.credential == .key(id: "k1"))
            #expect(caller.scopes == [.tipsWrite])
            #expect(caller.pageLimit == [])
            #expect(caller.expiresAt == noon.advanced(milliseconds: 1_000))
        }
    }

    @Test("A key that is unknown, malformed or revoked is one and the same to its caller; none at all is missing")
    func bad() async throws {
        try await withHouse { house in
            #expect(house.authenticate(nil) == .failure(.missing))
            #expect(house.authenticate("") == .failure(.missing))
            #expect(house.authenticate("nonsense") == .failure(.invalid))
            #expect(house.authenticate(APIKey.random().reveal()) == .failure(.invalid))
            let text = house.key.reveal()
            // The prefix is right and the rest isn't.
            let last = text.last == "0" ? "1" : "0"
            #expect(house.authenticate(text.dropLast() + last) == .failure(.invalid))
            _ = try await house.directory.revokeKey("k1")
            #expect(house.authenticate(text) == .failure(.invalid))
        }
    }

    @Test("A key is good until the millisecond of its expiry")
    func expiry() async throws {
        try await withHouse { house in
            house.clock.advance(milliseconds: 999)
            #expect(throws: Never.self) { try house.authenticate(house.key.reveal()).get() }
            house.clock.advance(milliseconds: 1)
            #expect(house.authenticate(house.key.reveal()) == .failure(.invalid))
        }
    }

    @Test("Only failures are throttled and only they count: a good key passes from any address")
    func throttling() async throws {
        try await withHouse(maxFailures: 2) { house in
            for _ in 0..<10 { #expect(throws: Never.self) { try house.authenticate(house.key.reveal()).get() } }
            for _ in 0..<10 { #expect(house.authenticate(nil) == .failure(.missing)) }
            #expect(house.authenticate("bad") == .failure(.invalid))
            #expect(house.authenticate("bad") == .failure(.invalid))
            #expect(house.authenticate("bad") == .failure(.throttled(retryAfter: 60)))
            #expect(throws: Never.self) { try house.authenticate(house.key.reveal()).get() }
            #expect(house.authenticate("bad", from: "b") == .failure(.invalid))
            house.clock.advance(milliseconds: 60_000)
            #expect(house.authenticate("bad") == .failure(.invalid))
        }
    }

    @Test("Last uses are written in one batch, the latest of each key, and known before that")
    func lastUse() async throws {
        try await withHouse { house in
            let other = APIKey.random()
            try await house.directory.createKey(keyRecord(other, id: "k2", account: house.account.id))
            let record = try #require(house.directory.view.key("k1"))
            #expect(house.authenticator.lastUse(of: record) == nil)
            try await withServices([house.authenticator]) { _ in
                for _ in 0..<5 {
                    house.clock.advance(milliseconds: 10)
                    _ = house.authenticate(house.key.reveal())
                }
                _ = house.authenticate(other.reveal())
                _ = house.authenticate("bad")
                #expect(house.authenticator.lastUse(of: record) == noon.advanced(milliseconds: 50))
            }
            let latest = noon.advanced(milliseconds: 50)
            #expect(house.store.keyUses.value == [["k1": latest, "k2": latest]])
            #expect(try await house.store.directory().keys.map(\.lastUsedAt) == [latest, latest])
            // Nothing new, nothing written.
            try await withServices([house.authenticator]) { _ in }
            #expect(house.store.keyUses.value.count == 1)
        }
    }

    @Test("Uses that could not be written are written the next time, and the log has a line until then")
    func failedRecord() async throws {
        try await withHouse { house in
            _ = house.authenticate(house.key.reveal())
            for lines in 1...2 {
                house.store.hook { $0.beforeChange = { _ in throw BrokenStore() } }
                for _ in 1...3 { try await withServices([house.authenticator]) { _ in } }
                #expect(house.log.entries.map(\.level) == Array(repeating: .warning, count: lines))
                house.store.hook { $0.beforeChange = nil }
                if lines == 1 { #expect(try await house.store.directory().keys[0].lastUsedAt == nil) }
                try await withServices([house.authenticator]) { _ in }
                #expect(try await house.store.directory().keys[0].lastUsedAt == house.clock.wall.now())
                house.clock.advance(milliseconds: 10)
                _ = house.authenticate(house.key.reveal())
            }
        }
    }

    @Test("What the store knows of a key's last use counts when it is later")
    func storedUse() async throws {
        try await withHouse { house in
            _ = house.authenticate(house.key.reveal())
            var record = try #require(house.directory.view.key("k1"))
            record.lastUsedAt = noon.advanced(milliseconds: 5)
            #expect(house.authenticator.lastUse(of: record) == noon.advanced(milliseconds: 5))
            record.lastUsedAt = noon.advanced(milliseconds: -5)
            #expect(house.authenticator.lastUse(of: record) == noon)
        }
    }

    @Test("A session stands for its person: the administrator for the server, anyone else for an account")
    func sessions() async throws {
        try await withHouse { house in
            let admin = try await house.directory.makeAccount(Authenticator.administrator)
            let expiry = noon.advanced(milliseconds: 1_000)
            for (token, account) in [("one", house.account), ("two", admin)] {
                try await house.store.createSession(
                    SecretHash(of: token), account: account.id, expiresAt: expiry)
            }
            let caller = try #require(try await house.authenticator.principal(sessionToken: "one"))
            #expect(caller.account == house.account.id)
            #expect(caller.credential == .session(SecretHash(of: "one")))
            #expect(caller.has(.manage) && caller.has(.eventsRead) && caller.has(.tipsWrite) && !caller.has(.admin))
            #expect(caller.pageLimit == nil)
            #expect(caller.expiresAt == expiry)
            #expect(try await house.authenticator.principal(sessionToken: "two")?.has(.admin) == true)
            #expect(try await house.authenticator.principal(sessionToken: "three") == nil)
            house.clock.advance(milliseconds: 1_000)
            #expect(try await house.authenticator.principal(sessionToken: "one") == nil)
        }
    }

    @Test("A principal is valid while its key or session is: not expired, not revoked, not signed out")
    func validity() async throws {
        try await withHouse { house in
            try await house.store.createSession(
                SecretHash(of: "one"), account: house.account.id, expiresAt: noon.advanced(milliseconds: 2_000))
            let key = try house.authenticate(house.key.reveal()).get()
            let session = try #require(try await house.authenticator.principal(sessionToken: "one"))
            #expect(try await house.authenticator.isValid(key))
            #expect(try await house.authenticator.isValid(session))
            house.clock.advance(milliseconds: 1_000)
            #expect(try await !house.authenticator.isValid(key))
            #expect(try await house.authenticator.isValid(session))
            try await house.store.deleteSession(SecretHash(of: "one"))
            #expect(try await !house.authenticator.isValid(session))
            let other = APIKey.random()
            try await house.directory.createKey(keyRecord(other, id: "k2", account: house.account.id))
            let lasting = try house.authenticate(other.reveal()).get()
            #expect(try await house.authenticator.isValid(lasting))
            _ = try await house.directory.revokeKey("k2")
            #expect(try await !house.authenticator.isValid(lasting))
        }
    }

    @Test("A failure that was seen elsewhere counts as one of the address")
    func failureSeenElsewhere() async throws {
        try await withHouse(maxFailures: 1) { house in
            #expect(house.authenticator.recordFailure(of: "a") == nil)
            #expect(house.authenticator.recordFailure(of: "a") == 60)
            #expect(house.authenticate("bad") == .failure(.throttled(retryAfter: 60)))
        }
    }
}
