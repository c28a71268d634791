import Testing
import TipwireCore
import TipwireStore

@testable import TipwireHub

@Suite("The life of a socket subscription")
struct SocketRegistryTests {
    private let subscription = EventSubscription(
        id: "a", page: Page.ID(rawValue: 1), account: Account.ID(rawValue: 1), key: "k", type: .alerts,
        condition: nil, createdAt: noon)

    private func registry(position: Int64 = 5) -> SocketRegistry {
        var registry = SocketRegistry(window: 120_000)
        registry.add(subscription, position: position, at: noon)
        return registry
    }

    private func after(_ seconds: Int64) -> Timestamp { noon.advanced(milliseconds: seconds * 1_000) }

    @Test("It is claimed once, within its window")
    func claim() {
        var registry = registry()
        #expect(registry.claim("b", at: noon) == .unknown)
        var late = registry
        #expect(late.claim("a", at: after(120)) == .unknown)
        #expect(registry.claim("a", at: after(119)) == .granted(subscription, position: 5))
        #expect(registry.claim("a", at: after(119)) == .occupied)
        registry.connect("a")
        #expect(registry.claim("a", at: after(500)) == .occupied)
    }

    @Test("A window that closes ends it; a socket keeps it open")
    func expiry() {
        var waiting = registry()
        #expect(waiting.expire(at: after(119)) == [])
        #expect(waiting.expire(at: after(120)) == [subscription])
        #expect(waiting.entries.isEmpty)
        var connected = registry()
        _ = connected.claim("a", at: noon)
        #expect(connected.expire(at: after(500)) == [])
        connected.connect("a")
        #expect(connected.expire(at: after(500)) == [])
    }

    @Test("A socket's end opens the window again, with what was delivered")
    func release() {
        var registry = registry()
        _ = registry.claim("a", at: noon)
        registry.connect("a")
        registry.release("a", position: 9, at: after(1_000))
        #expect(registry.claim("a", at: after(1_119)) == .granted(subscription, position: 9))
        registry.connect("a")
        registry.release("a", position: 12, at: after(2_000))
        #expect(registry.expire(at: after(2_119)) == [] && registry.expire(at: after(2_120)) == [subscription])
    }

    @Test("A promised socket that never came leaves the position as it was")
    func broken() {
        var registry = registry()
        _ = registry.claim("a", at: noon)
        registry.release("a", position: nil, at: after(60))
        #expect(registry.claim("a", at: after(179)) == .granted(subscription, position: 5))
    }

    // MARK: With a store that nodes share

    @Test("What waits is given to the store once, again if that failed, and nobody has it meanwhile")
    func givingBack() {
        var registry = registry()
        #expect(registry.giveBack([]) == ["a": 5])
        #expect(registry.giveBack([]) == [:] && registry.claim("a", at: noon) == .occupied)
        #expect(registry.giveBack(["a", "gone"]) == ["a": 5])
        registry.leave("a", isConnected: false)
        #expect(registry.claim("a", at: noon) == .unknown && registry.entries["a"]?.isHere == false)
        #expect(registry.expire(at: after(999)) == [], "the store's clock decides")
    }

    @Test("What the store gives is promised, and one that nobody here has released stays")
    func receiving() {
        var registry = SocketRegistry(window: 120_000)
        registry.receive(StoredSocket(subscription: subscription, position: 7))
        #expect(registry.entries["a"]?.phase == .claimed(position: 7))
        let first = registry.entries["a"]?.claim
        registry.release("a", position: nil, at: noon)
        #expect(registry.giveBack([]) == ["a": 7])
        registry.leave("a", isConnected: true)
        registry.release("a", position: 9, at: noon)
        #expect(registry.entries["a"]?.phase == .elsewhere(isConnected: true))
        registry.receive(StoredSocket(subscription: subscription, position: 8))
        #expect(registry.entries["a"]?.claim != first, "a claim of before has nothing to say")
    }

    @Test("A log that ends earlier takes everyone back to its end")
    func clamping() {
        var registry = registry(position: 5)
        registry.clamp(to: 6)
        #expect(registry.claim("a", at: noon) == .granted(subscription, position: 5))
        registry.clamp(to: 3)
        #expect(registry.entries["a"]?.phase == .claimed(position: 3))
    }
}
