import Testing
import TipwireCore

@testable import TipwireHub

@Suite("SubscriptionQuota")
struct SubscriptionQuotaTests {
    private let quota = SubscriptionQuota(limits: .init(perKey: 2, perPage: 3, creationsPerMinute: 5))

    private func make(
        _ key: String? = "k", page: Int64 = 1, account: Int64 = 1, at seconds: Int64 = 0
    ) throws(SubscriptionQuota.Refusal) -> EventSubscription {
        try quota.makeSubscription(
            page: Page.ID(rawValue: page), account: Account.ID(rawValue: account), key: key, type: .alerts,
            condition: nil, at: noon.advanced(milliseconds: seconds * 1_000))
    }

    @Test("A key has so many, whatever their pages, until one ends")
    func perKey() throws {
        let first = try make(page: 1)
        _ = try make(page: 2)
        #expect(throws: SubscriptionQuota.Refusal.tooManyOfKey(limit: 2)) { try make(page: 3) }
        _ = try make("other")
        quota.leave(first)
        _ = try make(page: 3)
    }

    @Test("A page has so many, whatever their keys")
    func perPage() throws {
        for key in ["a", "b", "c"] { _ = try make(key) }
        #expect(throws: SubscriptionQuota.Refusal.tooManyOfPage(limit: 3)) { try make("d") }
        _ = try make("d", page: 2)
    }

    @Test("A key makes so many in a minute, those that were refused counted")
    func perMinute() throws {
        for _ in 0..<5 { if let made = try? make() { quota.leave(made) } }
        #expect(throws: SubscriptionQuota.Refusal.tooFast(retryAfter: 40)) { try make(at: 20) }
        _ = try make("other", at: 20)
        _ = try make(at: 60)
    }

    @Test("Without a key the account is counted, and those that are there already are too")
    func accounts() throws {
        quota.enter(try make(nil, account: 7))
        #expect(throws: SubscriptionQuota.Refusal.tooManyOfKey(limit: 2)) { try make(nil, account: 7) }
        _ = try make(nil, page: 2, account: 8)
    }

    @Test("Refusals are counted by their kind, and ids are never alike")
    func counting() throws {
        let ids = try (0..<2).map { try make(page: Int64($0)).id }
        #expect(ids[0] != ids[1])
        _ = try? make()
        #expect(quota.refused.map(\.count) == [1, 0, 0])
        #expect(quota.refused.map(\.kind.rawValue) == ["per_key", "per_page", "per_minute"])
    }
}
