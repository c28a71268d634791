import Testing

@testable import tipwire

@Suite struct HeldSubscriptionTests {
    /// What the listener is told, in words.
    private static func heard(_ held: inout HeldSubscription, _ message: EventSubMessage) -> [String] {
        held.received(message, json: "{}", page: "demo").map { heard in
            #expect(heard.cursor == nil)
            return switch heard.content {
            case .beginning(let status): "beginning \(status ?? "-")"
            case .renewal: "renewal"
            case .event(let event): "event on \(event.pageSlug ?? "-")"
            case .unknown(let type): type
            }
        }
    }

    private static func other(_ id: String?) -> EventSubMessage { .other(type: "later", id: id) }
    private static let event = EventSubMessage.event(
        EventSubEvent(subject: .progress(.init(goalProgress: 1, goalTarget: 2))), id: "e-1")

    private static func open(_ id: String) -> HeldSubscription {
        var held = HeldSubscription()
        held.made(id)
        _ = heard(&held, .pong)
        return held
    }

    @Test("A subscription has begun with the first sign that isn't a farewell, and once")
    func beginning() {
        var held = HeldSubscription()
        #expect(held.id == nil)
        held.made("a")
        #expect(held.id == "a")
        #expect(Self.heard(&held, .disconnect).isEmpty)
        #expect(Self.heard(&held, .pong) == ["beginning resumed"])
        #expect(Self.heard(&held, .pong).isEmpty)
        #expect(Self.heard(&held, Self.event) == ["event on demo"])
    }

    @Test("What was missed may come before the pong")
    func missed() {
        var held = Self.open("a")
        _ = held.ended(.lost)
        #expect(Self.heard(&held, Self.event) == ["beginning resumed", "event on demo"])
        #expect(Self.heard(&held, .pong).isEmpty)
    }

    @Test(
        "After an end that says nothing against it, the same subscription is connected again",
        arguments: [
            ListeningEnding.lost, .closed(code: 1001, reason: "the server is shutting down"),
            .closed(code: 1013, reason: "too slow"), .silent("no answer to 2 pings"), .unreachable(.refused),
            .closed(code: 1012, reason: ""), .refused(status: 503, detail: nil, retryAfterSeconds: 1),
        ])
    func again(_ ending: ListeningEnding) {
        var held = Self.open("a")
        #expect(held.ended(ending) == ending)
        #expect(held.id == "a")
        #expect(Self.heard(&held, .pong) == ["beginning resumed"])
    }

    @Test(
        "A subscription that is over makes room for another, which is told as such",
        arguments: [
            "this connection_id is unknown, or its time to connect is over; create a new subscription",
            "this connection_id is connected already", "the subscription has ended", "", "words of a later version",
        ])
    func over(_ reason: String) {
        var held = Self.open("a")
        #expect(held.ended(.closed(code: 1008, reason: reason)) == .subscriptionOver(reason))
        #expect(held.id == nil)
        held.made("b")
        #expect(held.id == "b")
        #expect(Self.heard(&held, .pong) == ["renewal"])
        _ = held.ended(.lost)
        #expect(Self.heard(&held, .pong) == ["beginning resumed"])
    }

    @Test("One that was over before its first sign leaves the next one no better")
    func neverBegun() {
        var held = HeldSubscription()
        held.made("a")
        _ = held.ended(.unreachable(.refused))
        #expect(held.ended(.closed(code: 1008, reason: "unknown")) == .subscriptionOver("unknown"))
        held.made("b")
        #expect(Self.heard(&held, .pong) == ["renewal"])
    }

    @Test(
        "An end that is meant for the key's holder is not answered with another subscription",
        arguments: [
            "the key was revoked", "the key has expired", "the page is no longer open to this key",
            "closed by the owner",
        ])
    func final(_ reason: String) {
        var held = Self.open("a")
        #expect(held.ended(.closed(code: 1008, reason: reason)) == .closed(code: 1008, reason: reason))
    }

    @Test("A message that comes twice is told once, also by another subscription; one without an id always")
    func twice() {
        var held = Self.open("a")
        #expect(Self.heard(&held, Self.other("e-7")) == ["later"])
        #expect(Self.heard(&held, Self.other("e-8")) == ["later"])
        _ = held.ended(.lost)
        #expect(Self.heard(&held, Self.other("e-8")) == ["beginning resumed"])
        _ = held.ended(.closed(code: 1008, reason: "unknown"))
        held.made("b")
        #expect(Self.heard(&held, Self.other("e-7")) == ["renewal"])
        #expect(Self.heard(&held, Self.other(nil)) == ["later"])
        #expect(Self.heard(&held, Self.other(nil)) == ["later"])
    }

    @Test("As many ids are remembered as there is room for, the latest")
    func recent() {
        var recent = RecentIdentifiers(capacity: 3)
        #expect(["a", "b", "c", "a", "b"].map { recent.insert($0) } == [true, true, true, false, false])
        #expect(["d", "b", "c", "d", "a"].map { recent.insert($0) } == [true, false, false, false, true])
        #expect(["c", "d", "a", "b"].map { recent.insert($0) } == [false, false, false, true])
    }
}
