import Testing
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireTestSupport
import TipwireWire

@testable import TipwireWebhooks

@Suite("Making webhooks", .timeLimit(.minutes(1)))
struct WebhookMakingTests {
    /// What an endpoint is asked.
    private static func challenge(in body: String) throws -> String {
        let json = try JSONValue.parse(body)
        guard case .object(let object) = json, object["type"] == .string("challenge"),
            case .string(let challenge)? = object["challenge"]
        else { throw BrokenStore() }
        return challenge
    }

    private static func plain(_ text: String, status: Int = 200, type: String? = "text/plain") -> AttemptReport {
        AttemptReport(
            outcome: status == 200 ? .delivered(status: 200) : .rejected(status: status, retryAfter: nil),
            excerpt: text, contentType: type, duration: .zero)
    }

    @Test("A webhook has its secret, or one that is made for it, and is in the store")
    func making() async throws {
        try await withWebhooks { life in
            let secret = WebhookSecret.random()
            let given = try await life.make("https://HOOK.example:443/a", key: try await life.makeKey(), secret: secret)
            let made = try await life.make()
            #expect(given.secrets.current == secret && made.secrets.current != secret)
            #expect(given.callback == "https://hook.example/a", "in one spelling")
            let stored = try await life.store.webhooks().webhooks.map(\.webhook)
            #expect(stored.map(\.callback) == [given.callback, made.callback])
            #expect(stored.map { $0.secrets[0].text } == [given, made].map { $0.secrets.current.reveal() })
            #expect(stored[0].subscription == given.subscription && stored[0].subscription.key == "k1")
            #expect(life.sender.ids() == [], "without the setting nobody is asked")
            try await life.tip()
            #expect(try await life.sender.begun(2).map(\.secrets).contains([secret]))
        }
    }

    @Test("A callback that breaks a rule, or has a refused address, is refused by its name")
    func refused() async throws {
        try await withWebhooks(resolver: ResolverDouble("10.0.0.1")) { life async throws in
            for (callback, part) in [
                ("http://hook.example/", "webhooks.allowHTTP"), ("https://127.0.0.1/", "'loopback'"),
                ("https://hook.example/", "'private'"), ("nonsense", ""),
            ] {
                let refusal = await #expect(throws: WebhookRefusal.self) { try await life.make(callback) }
                #expect(refusal?.detail.contains(part) == true, "\(callback): \(refusal?.detail ?? "")")
            }
            #expect(try await life.store.webhooks().webhooks.isEmpty)
        }
    }

    @Test("A name that doesn't resolve yet is accepted")
    func unresolved() async throws {
        try await withWebhooks(resolver: ResolverDouble(failing: .noSuchName)) { life async throws in
            #expect(try await life.make().isEnabled)
        }
    }

    @Test(
        "An endpoint that answers the challenge gets a webhook", arguments: ["text/plain", "Text/Plain; charset=utf-8"])
    func challenged(type: String) async throws {
        try await withWebhooks {
            $0.requiresChallenge = true
        } _: { life in
            let secret = WebhookSecret.random()
            life.sender.behave { Self.plain(try Self.challenge(in: $0.body) + "\n", type: type) }
            let webhook = try await life.make(secret: secret)
            #expect(webhook.isEnabled)
            let asked = try #require(life.sender.attempts.value.first)
            #expect(asked.id.hasPrefix("challenge-") && asked.secrets == [secret])
            #expect(try Self.challenge(in: asked.body).count == 32)
            let again = try await life.make()
            #expect(again.isEnabled && Set(life.sender.attempts.value.map(\.body)).count == 2, "never the same twice")
        }
    }

    @Test("One that answers it otherwise doesn't, and is told what came", arguments: 0..<7)
    func unchallenged(way: Int) async throws {
        try await withWebhooks {
            $0.requiresChallenge = true
        } _: { life async throws in
            let told = Watched("it answered 200 with something else")
            life.sender.behave { attempt in
                let challenge = try Self.challenge(in: attempt.body)
                switch way {
                case 0: return Self.plain("another")
                case 1: return Self.plain("")
                case 2: return Self.plain(challenge, type: "text/html")
                case 3: return Self.plain(challenge, type: nil)
                case 4: return Self.plain(attempt.body)
                case 5:
                    told.change { $0 = "answered 404" }
                    return Self.plain(challenge, status: 404)
                default:
                    told.change { $0 = "no answer came in time" }
                    return AttemptReport(outcome: .headTimedOut, duration: .zero)
                }
            }
            let secret = WebhookSecret.random()
            let refusal = await #expect(throws: WebhookRefusal.self) { try await life.make(secret: secret) }
            #expect(refusal?.detail.hasSuffix(told.value) == true, "\(refusal?.detail ?? "")")
            // Whoever verifies can't have verified what was signed with a secret that nobody has yet.
            let unknown = await #expect(throws: WebhookRefusal.self) { try await life.make() }
            #expect(unknown?.detail.contains("\(told.value); if it verifies signatures, give it a secret") == true)
            #expect(life.engine.subscriptions.list { _ in true }.isEmpty)
            #expect(try await life.store.webhooks().webhooks.isEmpty)
        }
    }

    @Test("A creation that fails gives its place back, and one that is deleted too")
    func quota() async throws {
        try await withWebhooks {
            $0.requiresChallenge = true
        } _: { life in
            let key = try await life.makeKey()
            life.sender.behave { _ in .answer(404) }
            for _ in 0..<205 { await #expect(throws: WebhookRefusal.self) { try await life.make(key: key) } }
            life.sender.behave { Self.plain(try Self.challenge(in: $0.body)) }
            let first = try await life.make(key: key)
            for _ in 1..<200 { _ = try await life.make(key: key) }
            let limit = SubscriptionQuota.Refusal.tooManyOfKey(limit: 200)
            await #expect(throws: limit) { try await life.make(key: key) }
            try await life.engine.subscriptions.delete(first)
            _ = try await life.make(key: key)
            await #expect(throws: limit) { try await life.make(key: key) }
        }
    }

    @Test("For a page that is gone meanwhile there is no webhook, and no place is taken")
    func pageGone() async throws {
        try await withWebhooks { life in
            let key = try await life.makeKey()
            try await life.directory.deletePage(life.bench.side.id)
            await #expect(throws: DirectoryRefusal.missingReference) {
                try await life.make(of: life.bench.side, key: key)
            }
            for _ in 0..<200 { _ = try await life.make(key: key) }
        }
    }

    @Test("While a secret rotates messages are signed with both, and afterwards with the new one alone")
    func rotation() async throws {
        try await withWebhooks {
            $0.secretOverlap = 60_000
        } _: { life in
            let (old, new) = (WebhookSecret.random(), WebhookSecret.random())
            let webhook = try await life.make(secret: old)
            let end = try await life.engine.subscriptions.rotate(webhook, to: new)
            #expect(end == life.clock.now().advanced(milliseconds: 60_000))
            try await life.tip()
            try await life.settled(webhook)
            life.clock.advance(milliseconds: 60_000)
            try await life.tip()
            try await life.settled(webhook)
            #expect(life.sender.attempts.value.map(\.secrets) == [[new, old], [new]])
            let stored = try await life.store.webhooks().webhooks[0].webhook.secrets
            #expect(stored == [StoredSecret(new.reveal()), StoredSecret(old.reveal(), expiresAt: end)])
            try await life.engine.subscriptions.delete(webhook)
            #expect(try await life.engine.subscriptions.rotate(webhook, to: old) == nil)
        }
    }
}
