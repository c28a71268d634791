import Testing
import TipwireCore

@testable import TipwireWebhooks

@Suite("The stages of a delivery")
struct DeliveryStagesTests {
    private static let start = Timestamp(milliseconds: 1_750_000_000_000)

    private static func refused() -> AddressRefusal {
        AddressRefusal(host: "a", address: IPAddress(ipv4: 0x0A00_0001), rule: .privateUse)
    }

    private static let failures: [AttemptOutcome] = [
        .rejected(status: 301, retryAfter: nil), .rejected(status: 400, retryAfter: nil),
        .rejected(status: 429, retryAfter: nil), .rejected(status: 500, retryAfter: nil),
        .unresolved(.noSuchName), .unresolved(.timedOut), .unreachable(.refused), .connectTimedOut, .tls(.untrusted),
        .headTimedOut, .wholeTimedOut(status: nil), .wholeTimedOut(status: 200), .closedEarly(status: nil),
        .closedEarly(status: 200), .unreadableAnswer,
    ]

    @Test("An endpoint that always fails is tried ten times in 76 hours, then the delivery is a dead letter")
    func whole() throws {
        // The clock is a number; each attempt takes its whole 15 seconds.
        var now = Self.start
        var delivery = DueDelivery(due: now)
        var starts: [Int64] = []
        while true {
            now = delivery.due
            starts.append(now.milliseconds - Self.start.milliseconds)
            let attempt = delivery.begin(at: now)
            #expect(attempt.number == starts.count && attempt.began == now)
            now = now.advanced(milliseconds: 15_000)
            let ended = attempt.ended(.headTimedOut, at: now, chance: 0)
            #expect(ended.number == attempt.number && ended.ended == now && !ended.endsEndpoint)
            guard case .retry(let next) = ended.next else {
                #expect(ended.next == .deadLetter(.attemptsExhausted))
                break
            }
            #expect(next.attemptsMade == attempt.number)
            delivery = next
        }
        let waits: [Int64] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
        var expected: [Int64] = [0]
        for wait in waits { expected.append(expected[expected.count - 1] + 15_000 + wait * 1_000) }
        #expect(starts == expected)
        #expect((75 * 3_600_000...76 * 3_600_000).contains(starts[9]))
    }

    @Test("Any 2xx delivers", arguments: [200, 201, 202, 204, 299])
    func delivered(status: Int) {
        let ended = DueDelivery(due: Self.start).begin(at: Self.start)
            .ended(.delivered(status: status), at: Self.start, chance: 0)
        #expect(ended.next == .delivered && !ended.endsEndpoint && ended.outcome.status == status)
    }

    @Test("Every other ending is tried again by the schedule", arguments: failures)
    func retried(outcome: AttemptOutcome) {
        let ended = DueDelivery(attemptsMade: 1, due: Self.start).begin(at: Self.start)
            .ended(outcome, at: Self.start, chance: 0)
        let due = Self.start.advanced(milliseconds: 300_000)
        #expect(ended.next == .retry(DueDelivery(attemptsMade: 2, due: due)))
        #expect(!ended.endsEndpoint)
        let last = DueDelivery(attemptsMade: 9, due: Self.start).begin(at: Self.start)
            .ended(outcome, at: Self.start, chance: 0)
        #expect(last.next == .deadLetter(.attemptsExhausted))
    }

    @Test(
        "A callback that leads where it may not is refused finally, at whatever attempt",
        arguments: [.refusedCallback(.plainHTTP(and: nil)), .refusedAddress(refused()), .wrongPeer] as [AttemptOutcome])
    func refusedFinally(outcome: AttemptOutcome) {
        for made in [0, 3, 9] {
            let ended = DueDelivery(attemptsMade: made, due: Self.start).begin(at: Self.start)
                .ended(outcome, at: Self.start, chance: 0.5)
            #expect(ended.next == .deadLetter(.refused) && !ended.endsEndpoint)
        }
    }

    @Test("410 disables the endpoint, and the delivery keeps its place in the schedule")
    func gone() {
        let ended = DueDelivery(due: Self.start).begin(at: Self.start)
            .ended(.rejected(status: 410, retryAfter: nil), at: Self.start, chance: 0)
        #expect(ended.endsEndpoint)
        let due = Self.start.advanced(milliseconds: 5_000)
        #expect(ended.next == .retry(DueDelivery(attemptsMade: 1, due: due)))
    }

    @Test(
        "Retry-After counts with 429 and 503 alone",
        arguments: [(429, 3_600_000), (503, 3_600_000), (500, 5_000), (301, 5_000), (410, 5_000), (413, 5_000)]
            as [(Int, Int64)])
    func retryAfter(status: Int, wait: Int64) {
        let ended = DueDelivery(due: Self.start).begin(at: Self.start)
            .ended(.rejected(status: status, retryAfter: .seconds(3_600)), at: Self.start, chance: 0)
        let due = Self.start.advanced(milliseconds: wait)
        #expect(ended.next == .retry(DueDelivery(attemptsMade: 1, due: due)))
    }

    @Test("Each ending says in its own words what happened")
    func texts() {
        let all =
            Self.failures + [
                .delivered(status: 200), .refusedCallback(.plainHTTP(and: nil)), .refusedAddress(Self.refused()),
                .wrongPeer,
                .unreachable(.noRoute), .unreachable(.failed), .tls(.wrongName), .tls(.handshake),
                .rejected(status: 410, retryAfter: nil), .unresolved(.failed), .unresolved(.busy),
            ]
        // No answer in time reads the same whichever limit it was.
        #expect(Set(all.map(\.description)).count == all.count - 1)
        for outcome in all {
            #expect((8...160).contains(outcome.description.count), "\(outcome)")
            #expect(outcome.code.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "_") })
        }
        #expect(AttemptOutcome.rejected(status: 302, retryAfter: nil).code == "redirect")
        #expect(AttemptOutcome.closedEarly(status: 200).status == 200)
    }
}

@Suite("The five-day rule")
struct EndpointHealthTests {
    private static let start = Timestamp(milliseconds: 1_750_000_000_000)
    private static let day: Int64 = 86_400_000

    /// Whether the last of these failures shows that it is hopeless.
    private static func isHopeless(failingSince: Timestamp?, at times: [Timestamp]) -> Bool {
        var health = EndpointHealth(failingSince: failingSince)
        return times.map { health.record(.headTimedOut, at: $0) }.last ?? false
    }

    @Test("It is hopeless after five days of nothing but failures, and not a millisecond before")
    func rule() {
        let last = Self.start.advanced(milliseconds: 5 * Self.day)
        let early = Array(repeating: Self.start, count: 5)
        #expect(!Self.isHopeless(failingSince: nil, at: early))
        #expect(!Self.isHopeless(failingSince: nil, at: early + [last.advanced(milliseconds: -1)]))
        #expect(Self.isHopeless(failingSince: nil, at: early + [last]))
        #expect(!Self.isHopeless(failingSince: last, at: early), "a clock that was set back")
    }

    @Test("Days in which the server was off don't count alone: after its start five failures are to be seen")
    func restart() {
        let late = Self.start.advanced(milliseconds: 9 * Self.day)
        for count in 1...4 {
            #expect(!Self.isHopeless(failingSince: Self.start, at: Array(repeating: late, count: count)))
        }
        #expect(Self.isHopeless(failingSince: Self.start, at: Array(repeating: late, count: 5)))
    }

    @Test("The last failure is told until a success")
    func lastFailure() {
        var health = EndpointHealth()
        _ = health.record(.connectTimedOut, at: Self.start)
        _ = health.record(.headTimedOut, at: Self.start.advanced(milliseconds: 1))
        #expect(health.lastFailure?.outcome == .headTimedOut)
        #expect(health.lastFailure?.time == Self.start.advanced(milliseconds: 1))
        _ = health.record(.delivered(status: 204), at: Self.start)
        #expect(health.lastFailure == nil)
    }

    @Test("An endpoint that fails each hour is disabled at the first failure after five days")
    func failing() {
        var health = EndpointHealth()
        for hour in 0..<120 {
            let time = Self.start.advanced(milliseconds: Int64(hour) * 3_600_000)
            let isOver = health.record(.headTimedOut, at: time)
            #expect(!isOver)
        }
        #expect(health.failingSince == Self.start)
        let isOver = health.record(.headTimedOut, at: Self.start.advanced(milliseconds: 5 * Self.day))
        #expect(isOver)
    }

    @Test("One success and the days count anew")
    func success() {
        var health = EndpointHealth(failingSince: Self.start)
        let late = Self.start.advanced(milliseconds: 6 * Self.day)
        var isOver = health.record(.delivered(status: 200), at: late)
        #expect(!isOver && health.failingSince == nil)
        isOver = health.record(.connectTimedOut, at: late)
        #expect(!isOver && health.failingSince == late)
    }
}
