import NIOCore
import Testing
import TipwireCore
import TipwireHub
import TipwireTestSupport

@testable import TipwireServer

@Suite("Whose request it is")
struct ClientAddressTests {
    private static let proxies = [AddressRange("10.0.0.0/8")!, AddressRange("fd00::/8")!]

    @Test(
        "The chain is believed only as far as trusted proxies wrote it",
        arguments: [
            ("198.51.100.7", [], "198.51.100.7"),
            ("198.51.100.7", ["203.0.113.1"], "198.51.100.7"),
            ("10.0.0.1", [], "10.0.0.1"),
            ("10.0.0.1", ["203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", ["1.1.1.1, 203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", ["1.1.1.1", "203.0.113.1, 10.2.3.4"], "203.0.113.1"),
            ("10.0.0.1", ["1.1.1.1,203.0.113.1", "10.2.3.4,10.9.9.9"], "203.0.113.1"),
            ("10.0.0.1", ["10.2.3.4"], "10.2.3.4"),
            ("fd00::1", ["2001:db8::5, fd00::2"], "2001:db8::5"),
            ("10.0.0.1", [" 203.0.113.1 "], "203.0.113.1"),
            ("10.0.0.1", ["203.0.113.1:4711"], "203.0.113.1"),
            ("10.0.0.1", ["[2001:db8::5]:4711"], "2001:db8::5"), ("10.0.0.1", ["[2001:db8::5]"], "2001:db8::5"),
            ("10.0.0.1", ["203.0.113.1:4711, 10.2.3.4:99"], "203.0.113.1"),
            ("10.0.0.1", ["unknown"], "10.0.0.1"), ("10.0.0.1", ["203.0.113.1, _hidden, 10.2.3.4"], "10.2.3.4"),
        ] as [(String, [String], String)])
    func chains(peer: String, forwardedFor: [String], client: String) throws {
        let addresses = ClientAddress(trustedProxies: Self.proxies)
        let peer = try SocketAddress(ipAddress: peer, port: 1)
        #expect(addresses.resolve(peer: peer, forwardedFor: forwardedFor) == client)
    }

    @Test("Without trusted proxies nobody is believed, and an unknown peer is nobody")
    func none() throws {
        let addresses = ClientAddress(trustedProxies: [])
        let peer = try SocketAddress(ipAddress: "10.0.0.1", port: 1)
        #expect(addresses.resolve(peer: peer, forwardedFor: ["203.0.113.1"]) == "10.0.0.1")
        #expect(addresses.resolve(peer: nil, forwardedFor: ["203.0.113.1"]) == "unknown")
    }
}

@Suite("Reading 'Authorization: Bearer'")
struct BearerTokenTests {
    @Test(
        "The scheme may have any case; other schemes and empty tokens are passed over",
        arguments: [
            (["Bearer abc"], "abc"), (["bearer abc"], "abc"), (["BEARER   abc "], "abc"),
            (["Basic dXNlcg==", "Bearer abc"], "abc"), (["Bearer ", "Bearer abc"], "abc"),
            (["Bearer one", "Bearer two"], "one"),
            ([], nil), (["abc"], nil), (["Bearer"], nil), (["Bearer "], nil), (["Bearerabc"], nil),
            (["Basic abc"], nil),
        ] as [([String], String?)])
    func values(values: [String], token: String?) {
        #expect(BearerToken.read(values) == token)
        #expect(BearerToken.read(values.map { $0[...] }) == token)
    }
}

@Suite("Places for streams")
struct StreamQuotaTests {
    @Test("There are as many places as said, and each is free again when its permit is gone")
    func quota() {
        let quota = StreamQuota(maximum: 2)
        var first = quota.take()
        let second = quota.take()
        #expect(first != nil && second != nil && quota.count == 2)
        #expect(quota.take() == nil)
        #expect(quota.count == 2, "a refusal takes no place")
        first = nil
        #expect(quota.count == 1)
        let third = quota.take()
        #expect(third != nil && quota.take() == nil)
        withExtendedLifetime((first, second, third)) {}
    }

    @Test("Of those who find no place the first is told of, and the others with the first of the next minute")
    func told() {
        let time = Watched(Timestamp(milliseconds: 0))
        let told = Watched<[Int]>([])
        let quota = StreamQuota(maximum: 1, clock: WallClock { time.value }) { untold in
            told.change { $0.append(untold) }
        }
        let permit = quota.take()
        #expect(told.value == [])
        for _ in 1...4 { #expect(quota.take() == nil) }
        #expect(told.value == [0])
        time.change { $0 = $0.advanced(milliseconds: 60_000) }
        #expect(quota.take() == nil)
        #expect(told.value == [0, 3] && quota.refused == 5)
        withExtendedLifetime(permit) {}
    }

    @Test("With no places nobody is let in")
    func none() {
        #expect(StreamQuota(maximum: 0).take() == nil)
    }

    @Test("Callers from many threads never hold more places than there are, and lose none")
    func threads() async {
        let quota = StreamQuota(maximum: 10)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<500 {
                        let permits = (0..<4).map { _ in quota.take() }
                        #expect(permits.compactMap { $0 }.count <= 10)
                    }
                }
            }
        }
        #expect(quota.count == 0)
    }
}
