import Synchronization
import TipwireCore
import TipwireWire

/// Bounds how many EventSub subscriptions there are, those of sockets and of webhooks together.
public final class SubscriptionQuota: Sendable {
    public struct Limits: Sendable {
        public let perKey: Int
        public let perPage: Int
        /// Of one key.
        public let creationsPerMinute: Int

        public init(perKey: Int, perPage: Int, creationsPerMinute: Int) {
            self.perKey = perKey
            self.perPage = perPage
            self.creationsPerMinute = creationsPerMinute
        }
    }

    /// Why a subscription was not made.
    public enum Refusal: Error, Hashable, Sendable {
        case tooManyOfKey(limit: Int)
        case tooManyOfPage(limit: Int)
        /// Seconds to wait.
        case tooFast(retryAfter: Int)

        /// What refusals are counted by.
        public enum Kind: String, CaseIterable, Sendable {
            case perKey = "per_key"
            case perPage = "per_page"
            case perMinute = "per_minute"
        }

        /// Seconds to wait: until a minute is over, or for as long as it takes a socket's subscription to be gone unused.
        public var retryAfter: Int {
            if case .tooFast(let wait) = self { wait } else { EventSubObject.windowSeconds }
        }

        public var kind: Kind {
            switch self {
            case .tooManyOfKey: .perKey
            case .tooManyOfPage: .perPage
            case .tooFast: .perMinute
            }
        }
    }

    fileprivate struct State {
        var byMaker: [String: Int] = [:]
        var byPage: [Page.ID: Int] = [:]
        var made = 0
        var refused: [Refusal.Kind: Int] = [:]
    }

    public let limits: Limits
    private let creations: FailureThrottle
    private let state = Mutex(State())

    public init(limits: Limits) {
        self.limits = limits
        creations = FailureThrottle(maxPerMinute: limits.creationsPerMinute)
    }

    /// A new subscription's place, taken before it is kept, so that many at once don't pass a limit together. Whoever
    /// has it gives it back by `leave` when the subscription ends, or doesn't come about.
    ///
    /// - Parameter key: that makes it; nil for a signed-in browser, whose account is counted instead.
    public func makeSubscription(
        page: Page.ID, account: Account.ID, key: String?, type: EventSubType, condition: EventSubCondition?,
        at now: Timestamp
    ) throws(Refusal) -> EventSubscription {
        let maker = Self.maker(key: key, account: account)
        let wait = creations.recordFailure(of: maker, at: now)
        let result: Result<EventSubscription, Refusal> = state.withLock { state in
            let refusal: Refusal?
            if let wait {
                refusal = .tooFast(retryAfter: wait)
            } else if state.byMaker[maker, default: 0] >= limits.perKey {
                refusal = .tooManyOfKey(limit: limits.perKey)
            } else if state.byPage[page, default: 0] >= limits.perPage {
                refusal = .tooManyOfPage(limit: limits.perPage)
            } else {
                refusal = nil
            }
            if let refusal {
                state.refused[refusal.kind, default: 0] += 1
                return .failure(refusal)
            }
            state.made += 1
            let id = EventSubscription.makeID(account: account, page: page, createdAt: now, number: state.made)
            let subscription = EventSubscription(
                id: id, page: page, account: account, key: key, type: type, condition: condition, createdAt: now)
            state.enter(subscription)
            return .success(subscription)
        }
        return try result.get()
    }

    /// Counts one that comes to another maker. Its page has it already.
    public func admit(_ subscription: EventSubscription) throws(Refusal) {
        let maker = Self.maker(key: subscription.key, account: subscription.account)
        let isFull = state.withLock { state in
            guard state.byMaker[maker, default: 0] < limits.perKey else {
                state.refused[.perKey, default: 0] += 1
                return true
            }
            state.enter(subscription)
            return false
        }
        if isFull { throw .tooManyOfKey(limit: limits.perKey) }
    }

    /// Counts one that is there already.
    public func enter(_ subscription: EventSubscription) { state.withLock { $0.enter(subscription) } }

    public func leave(_ subscription: EventSubscription) { state.withLock { $0.leave(subscription) } }

    public var refused: [(kind: Refusal.Kind, count: Int)] {
        let refused = state.withLock(\.refused)
        return Refusal.Kind.allCases.map { ($0, refused[$0] ?? 0) }
    }

    fileprivate static func maker(key: String?, account: Account.ID) -> String {
        key ?? "account \(account.rawValue)"
    }
}

extension SubscriptionQuota.State {
    fileprivate mutating func enter(_ subscription: EventSubscription) {
        byMaker[SubscriptionQuota.maker(key: subscription.key, account: subscription.account), default: 0] += 1
        byPage[subscription.page, default: 0] += 1
    }

    fileprivate mutating func leave(_ subscription: EventSubscription) {
        Self.countDown(
            &byMaker, SubscriptionQuota.maker(key: subscription.key, account: subscription.account))
        Self.countDown(&byPage, subscription.page)
    }

    private static func countDown<Key>(_ counts: inout [Key: Int], _ key: Key) {
        guard let count = counts[key] else { return }
        counts[key] = count > 1 ? count - 1 : nil
    }
}
