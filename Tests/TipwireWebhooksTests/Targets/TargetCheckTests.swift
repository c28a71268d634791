import NIOCore
import Testing
import TipwireCore

@testable import TipwireWebhooks

@Suite("Checking a callback's addresses")
struct TargetCheckTests {
    private static func url(_ text: String) throws -> CallbackURL {
        try CallbackURL(
            text,
            policy: CallbackPolicy(addresses: AddressGuard(allowedNetworks: [AddressRange("127.0.0.0/8")!])))
    }

    private static func failure(_ resolver: ResolverDouble, _ text: String) async throws -> TargetFailure? {
        do {
            _ = try await TargetCheck(addresses: AddressGuard(), resolver: resolver).target(for: url(text))
            return nil
        } catch let failure as TargetFailure {
            return failure
        }
    }

    @Test("The target has the callback's parts and the name's first address")
    func target() async throws {
        let resolver = ResolverDouble("1.1.1.1 2606:4700::1111")
        let target = try await TargetCheck(addresses: AddressGuard(), resolver: resolver)
            .target(for: Self.url("https://Hook.example:8443/a"))
        #expect(target.scheme == .https && target.host == .name("hook.example") && target.port == 8443)
        #expect(target.address == IPAddress("1.1.1.1") && target.serverName == "hook.example")
        let address = try target.socketAddress
        #expect(address.ipAddress == "1.1.1.1" && address.port == 8443)
        #expect(resolver.asked == ["hook.example"])
    }

    @Test("Further attempts take the further addresses in turn")
    func turns() async throws {
        let check = TargetCheck(addresses: AddressGuard(), resolver: ResolverDouble("1.1.1.1 2606:4700::1111 8.8.8.8"))
        var addresses: [String] = []
        for attempt in 0...5 {
            addresses.append("\(try await check.target(for: Self.url("https://a.example"), attempt: attempt).address)")
        }
        #expect(addresses == ["1.1.1.1", "1.1.1.1", "2606:4700::1111", "8.8.8.8", "1.1.1.1", "2606:4700::1111"])
    }

    @Test(
        "One refused address among them refuses the whole, wherever it stands",
        arguments: ["10.0.0.1", "10.0.0.1 1.1.1.1", "1.1.1.1 10.0.0.1", "1.1.1.1 8.8.8.8 10.0.0.1 9.9.9.9"])
    func mixed(answer: String) async throws {
        let refusal = AddressRefusal(host: "a.example", address: IPAddress(ipv4: 0x0A00_0001), rule: .privateUse)
        let failure = try await Self.failure(ResolverDouble(answer), "https://a.example")
        #expect(failure == .refused(refusal))
        let text = try #require(failure?.description)
        #expect(text.contains("'private'") && text.contains("webhooks.allowedNetworks") && !text.contains("10.0.0.1"))
    }

    @Test(
        "IPv4 addresses in IPv6 clothes are refused",
        arguments: ["::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::"])
    func clothed(answer: String) async throws {
        guard case .refused = try await Self.failure(ResolverDouble(answer), "https://a.example") else {
            Issue.record("\(answer) was not refused")
            return
        }
    }

    @Test("A literal address is checked and never looked up")
    func literal() async throws {
        let resolver = ResolverDouble("1.1.1.1")
        let failure = try await Self.failure(resolver, "https://127.0.0.1/")
        #expect(
            failure
                == .refused(AddressRefusal(host: "127.0.0.1", address: IPAddress(ipv4: 0x7F00_0001), rule: .loopback)))
        let target = try await TargetCheck(addresses: AddressGuard(), resolver: resolver)
            .target(for: Self.url("https://[2606:4700::1111]/"))
        #expect(target.address == IPAddress("2606:4700::1111") && target.serverName == nil)
        #expect(resolver.asked.isEmpty)
    }

    @Test("A name without addresses is unresolved, which is no refusal")
    func unresolved() async throws {
        #expect(
            try await Self.failure(ResolverDouble(failing: .timedOut), "https://a.example") == .unresolved(.timedOut))
        #expect(try await Self.failure(ResolverDouble(""), "https://a.example") == .unresolved(.noSuchName))
    }
}
