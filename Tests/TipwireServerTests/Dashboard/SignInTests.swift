import Testing
import TipwireCore
import TipwireHub
import TipwireStore

@testable import TipwireServer

@Suite("Passwords")
struct PasswordsTests {
    private let passwords = Passwords()

    @Test("A password matches its own hash; another doesn't; nothing of it is in the hash")
    func roundTrip() async throws {
        let hash = try await passwords.hash("correct horse")
        #expect(hash.hasPrefix("scrypt$32768$8$"))
        #expect(!hash.contains("correct"))
        #expect(try await passwords.matches("correct horse", stored: hash))
        #expect(try await !passwords.matches("correct horsf", stored: hash))
    }

    @Test("Two hashes of one password differ by their salt")
    func salt() async throws {
        let hashes = [try await passwords.hash("correct horse"), try await passwords.hash("correct horse")]
        #expect(hashes[0] != hashes[1])
        #expect(Set(hashes.map { $0.split(separator: "$")[3] }).count == 2)
    }

    @Test("The cost is the stored hash's own, so that old hashes outlive a new setting")
    func cost() async throws {
        // RFC 7914's algorithm over "pleaseletmein" and "SodiumChloride" with N = 16384, r = 8, p = 1; first 32 bytes.
        let stored =
            "scrypt$16384$8$SodiumChloride$7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
        #expect(try await passwords.matches("pleaseletmein", stored: stored))
        #expect(try await !passwords.matches("pleaseletmeout", stored: stored))
    }

    @Test(
        "What is no hash matches nothing", arguments: ["", "abc", "scrypt$a$8$x$y", "bcrypt$1024$8$x$y", "scrypt$$$$"])
    func garbage(stored: String) async throws {
        #expect(try await !passwords.matches("", stored: stored))
        #expect(try await !passwords.matches("abc", stored: stored))
    }

    @Test("A password has 8 to 128 characters, counted as people see code points")
    func length() {
        #expect(Passwords.problem(with: String(repeating: "x", count: 7)) != nil)
        #expect(Passwords.problem(with: String(repeating: "é", count: 8)) == nil)
        #expect(Passwords.problem(with: String(repeating: "x", count: 128)) == nil)
        #expect(Passwords.problem(with: String(repeating: "x", count: 129)) != nil)
    }
}

@Suite("One-time links")
struct LoginLinksTests {
    private let world: World
    private let links: LoginLinks

    init() async throws {
        world = try await World()
        links = LoginLinks(store: world.store, clock: world.clock.wall, publicURL: { "https://tips.example" })
    }

    private func code(_ url: String) -> String {
        String(url.dropFirst("https://tips.example/login?code=".count))
    }

    private func account(of token: String?) async throws -> Account.ID? {
        guard let token else { return nil }
        return try await world.store.session(SecretHash(of: token), at: world.clock.now)?.account
    }

    @Test("A link signs its account in, once")
    func once() async throws {
        let link = try await links.make(for: world.ada.id)
        #expect(link.url.hasPrefix("https://tips.example/login?code="))
        #expect(link.expiresAt == world.clock.now.advanced(milliseconds: 600_000))
        let token = try await links.redeem(code(link.url))
        #expect(try await account(of: token) == world.ada.id)
        #expect(try await links.redeem(code(link.url)) == nil)
    }

    @Test("A link is good until its tenth minute is over, and a late try spends nothing of another")
    func expiry() async throws {
        let first = try await links.make(for: world.ada.id)
        world.clock.advance(seconds: 599)
        let second = try await links.make(for: world.bob.id)
        #expect(try await links.redeem(code(first.url)) != nil)
        let third = try await links.make(for: world.ada.id)
        world.clock.advance(seconds: 600)
        #expect(try await links.redeem(code(third.url)) == nil)
        #expect(try await links.redeem(code(second.url)) == nil)
        #expect(try await links.redeem("unknown") == nil)
    }

    @Test("A session lasts 30 days")
    func session() async throws {
        let token = try await links.begin(world.ada.id)
        world.clock.advance(seconds: 30 * 86_400 - 1)
        #expect(try await account(of: token) == world.ada.id)
        world.clock.advance(seconds: 1)
        #expect(try await account(of: token) == nil)
    }

    @Test("Two people who use one link at once: one gets in")
    func race() async throws {
        let link = code(try await links.make(for: world.ada.id).url)
        let links = links
        let tokens = try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 1...8 { group.addTask { try await links.redeem(link) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(tokens.compactMap { $0 }.count == 1)
    }
}
