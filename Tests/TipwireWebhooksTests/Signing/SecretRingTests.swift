import Testing
import TipwireCore
import TipwireStore

@testable import TipwireWebhooks

@Suite("The secrets of one webhook")
struct SecretRingTests {
    private static let day: Int64 = 86_400_000

    private static func time(_ milliseconds: Int64) -> Timestamp {
        Timestamp(milliseconds: 1_750_000_000_000 + milliseconds)
    }

    private let secrets = (0..<9).map { _ in WebhookSecret.random() }

    /// A ring that has had each of the first `count` secrets, one a second.
    private func ring(_ count: Int) -> SecretRing {
        var ring = SecretRing(secrets[0])
        for index in 1..<count {
            let now = Int64(index) * 1_000
            ring.rotate(to: secrets[index], overlapEnd: Self.time(now + Self.day), at: Self.time(now))
        }
        return ring
    }

    @Test("A message is signed with the one that holds, and with that before it until the overlap ends")
    func overlap() {
        var ring = SecretRing(secrets[0])
        #expect(ring.signing(at: Self.time(0)) == [secrets[0]])
        ring.rotate(to: secrets[1], overlapEnd: Self.time(Self.day), at: Self.time(0))
        #expect(ring.current == secrets[1])
        #expect(ring.signing(at: Self.time(Self.day - 1)) == [secrets[1], secrets[0]])
        #expect(ring.signing(at: Self.time(Self.day)) == [secrets[1]])
    }

    @Test("Several rotations within an overlap sign with all of them, the latest first, and with five at most")
    func several() {
        #expect(ring(4).signing(at: Self.time(5_000)) == [3, 2, 1, 0].map { secrets[$0] })
        #expect(ring(9).signing(at: Self.time(9_000)) == [8, 7, 6, 5, 4].map { secrets[$0] })
        #expect(ring(4).signing(at: Self.time(Self.day + 1_000)) == [3, 2, 1].map { secrets[$0] })
    }

    @Test("Back to a secret that is being retired it is signed with once, and has no end")
    func back() {
        var ring = ring(2)
        ring.rotate(to: secrets[0], overlapEnd: Self.time(9_000 + Self.day), at: Self.time(9_000))
        #expect(ring.signing(at: Self.time(9_000)) == [secrets[0], secrets[1]])
        #expect(ring.signing(at: Self.time(99 * Self.day)) == [secrets[0]])
        ring.rotate(to: secrets[0], overlapEnd: Self.time(10_000 + Self.day), at: Self.time(10_000))
        #expect(ring.signing(at: Self.time(10_000)) == [secrets[0], secrets[1]], "to itself nothing changes")
    }

    @Test("A rotation lets go of what has expired")
    func expiry() {
        var ring = ring(3)
        ring.rotate(to: secrets[5], overlapEnd: Self.time(9 * Self.day), at: Self.time(8 * Self.day))
        #expect(ring.stored.map(\.text) == [secrets[5].reveal(), secrets[2].reveal()])
    }

    @Test("What is stored is read as the same ring, and what is no ring isn't")
    func storage() {
        let ring = ring(4)
        #expect(SecretRing(ring.stored) == ring)
        let ends = [nil] + [3_000, 2_000, 1_000].map { Self.time($0 + Self.day) }
        #expect(ring.stored.map(\.expiresAt) == ends)
        #expect(SecretRing([]) == nil && SecretRing([StoredSecret("secret")]) == nil)
        let good = StoredSecret(secrets[0].reveal())
        #expect(SecretRing([good, StoredSecret(secrets[1].reveal())]) == nil, "one that retires has an end")
        #expect(SecretRing([good, StoredSecret("whsec_", expiresAt: Self.time(0))]) == nil)
    }
}
