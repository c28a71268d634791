import Foundation
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOSSL
import Testing
import TipwireCore

@testable import TipwireWebhooks

@Suite("Where webhooks are sent", .timeLimit(.minutes(1)))
struct WebhookSenderTargetTests {
    @Test("A name that leads to a refused address gets no connection")
    func refused() async throws {
        let endpoint = try await EndpointDouble(.status(200))
        let bench = try SendingBench(addresses: AddressGuard())
        let report = try await bench.send("http://hook.example:\(endpoint.port)/")
        let refusal = AddressRefusal(host: "hook.example", address: IPAddress(ipv4: 0x7F00_0001), rule: .loopback)
        #expect(report.outcome == .refusedAddress(refusal))
        #expect(report.address == nil && endpoint.connections == 0)
        await endpoint.stop()
    }

    @Test("A literal address is judged at each attempt, by the rules of now")
    func literal() async throws {
        let endpoint = try await EndpointDouble(.status(200))
        let report = try await SendingBench(addresses: AddressGuard()).send("http://127.0.0.1:\(endpoint.port)/")
        guard case .refusedAddress(let refusal) = report.outcome else {
            Issue.record("\(report.outcome)")
            return
        }
        #expect(refusal.rule == .loopback && endpoint.connections == 0)
        await endpoint.stop()
    }

    @Test("A name that changes is refused at the next attempt, an idle connection notwithstanding")
    func changes() async throws {
        let endpoint = try await EndpointDouble(.status(200))
        let bench = try SendingBench(
            resolver: ResolverDouble("127.0.0.1", "10.0.0.1", "127.0.0.1 10.0.0.1", "127.0.0.1"))
        let url = "http://hook.example:\(endpoint.port)/"
        #expect(try await bench.send(url).outcome.isDelivered)
        for _ in 0..<2 {
            let refusal = AddressRefusal(host: "hook.example", address: IPAddress(ipv4: 0x0A00_0001), rule: .privateUse)
            #expect(try await bench.send(url).outcome == .refusedAddress(refusal))
        }
        #expect(try await bench.send(url).outcome.isDelivered)
        #expect(bench.resolver.asked.count == 4, "one look-up an attempt, and none by the client")
        #expect(endpoint.requests.count == 2)
        await endpoint.stop()
    }

    @Test("The address is the checked one, though the name would lead elsewhere by then")
    func pinned() async throws {
        let endpoint = try await EndpointDouble(.status(200))
        // By the system's own reading this name is 127.0.0.1, and nothing listens at 127.0.0.2.
        let bench = try SendingBench(resolver: ResolverDouble("127.0.0.2"))
        let report = try await bench.send("http://localhost:\(endpoint.port)/")
        #expect(report.outcome == .unreachable(.refused))
        #expect(report.address == IPAddress("127.0.0.2") && endpoint.connections == 0)
        await endpoint.stop()
    }

    @Test(
        "A name without an address is a failure of its own kind",
        arguments: [.noSuchName, .failed, .timedOut, .busy] as [ResolutionFailure])
    func unresolved(failure: ResolutionFailure) async throws {
        let bench = try SendingBench(resolver: ResolverDouble(failing: failure))
        #expect(try await bench.send("http://hook.example/").outcome == .unresolved(failure))
    }

    // MARK: TLS

    @Test("A certificate of the right name by a trusted root will do")
    func trusted() async throws {
        let certificate = try TestCertificate(name: "hook.example")
        let endpoint = try await EndpointDouble(tls: certificate.serverContext(), .status(200, body: "ok"))
        let bench = try SendingBench(trustRoots: TrustRoots(certificate: certificate.certificate))
        for _ in 0..<3 {
            let report = try await bench.send("https://hook.example:\(endpoint.port)/")
            #expect(report.outcome == .delivered(status: 200) && report.excerpt == "ok")
        }
        #expect(endpoint.connections == 1)
        #expect(endpoint.requests.first?.head.headers.first(name: "Host") == "hook.example:\(endpoint.port)")
        await endpoint.stop()
    }

    @Test("For an address the certificate must have the address")
    func addressCertificate() async throws {
        let certificate = try TestCertificate(address: IPAddress(ipv4: 0x7F00_0001))
        let endpoint = try await EndpointDouble(tls: certificate.serverContext(), .status(200))
        let bench = try SendingBench(trustRoots: TrustRoots(certificate: certificate.certificate))
        #expect(try await bench.send("https://127.0.0.1:\(endpoint.port)/").outcome.isDelivered)
        #expect(try await bench.send("https://hook.example:\(endpoint.port)/").outcome == .tls(.wrongName))
        await endpoint.stop()
    }

    @Test("A bad certificate gets no request")
    func untrusted() async throws {
        let certificate = try TestCertificate(name: "hook.example")
        let endpoint = try await EndpointDouble(tls: certificate.serverContext(), .status(200))
        let strangers = try SendingBench()
        #expect(try await strangers.send("https://hook.example:\(endpoint.port)/").outcome == .tls(.untrusted))
        let friends = try SendingBench(trustRoots: TrustRoots(certificate: certificate.certificate))
        #expect(try await friends.send("https://other.example:\(endpoint.port)/").outcome == .tls(.wrongName))
        #expect(try await friends.send("https://127.0.0.1:\(endpoint.port)/").outcome == .tls(.wrongName))
        #expect(endpoint.requests.isEmpty)
        await endpoint.stop()
    }

    @Test(
        "A certificate's name is the callback's, or has an asterisk for the whole first label",
        arguments: [
            ("hook.example", true), ("*.example", false), ("*.hook.example", false), ("hook.*", false), ("*", false),
            ("h*.example", false), ("example", false), ("", false), ("*.", false), ("..hook.example", false),
        ])
    func names(pattern: String, isMatch: Bool) {
        #expect(CertificateNameHandler.isMatch(pattern, "hook.example") == isMatch)
    }

    @Test("An asterisk stands for one label")
    func wildcard() async throws {
        #expect(CertificateNameHandler.isMatch("*.hooks.example", "a.hooks.example"))
        #expect(!CertificateNameHandler.isMatch("*.hooks.example", "a.b.hooks.example"))
        #expect(!CertificateNameHandler.isMatch("*.hooks.example", ".hooks.example"))
        #expect(!CertificateNameHandler.isMatch("*.hooks.example", "hooks.example"))
        let certificate = try TestCertificate(name: "*.Hooks.example")
        let endpoint = try await EndpointDouble(tls: certificate.serverContext(), .status(200))
        let bench = try SendingBench(trustRoots: TrustRoots(certificate: certificate.certificate))
        #expect(try await bench.send("https://a.hooks.example:\(endpoint.port)/").outcome.isDelivered)
        #expect(try await bench.send("https://a.b.hooks.example:\(endpoint.port)/").outcome == .tls(.wrongName))
        await endpoint.stop()
    }

    @Test("What isn't TLS fails its handshake")
    func plainServer() async throws {
        let endpoint = try await EndpointDouble(.status(200))
        let report = try await SendingBench().send("https://127.0.0.1:\(endpoint.port)/")
        #expect(report.outcome == .tls(.handshake))
        await endpoint.stop()
    }

    @Test("An endless answer over TLS is cut off without waiting for the other side's farewell")
    func endless() async throws {
        let certificate = try TestCertificate(name: "hook.example")
        let endpoint = try await EndpointDouble(
            tls: certificate.serverContext(),
            .endless("HTTP/1.1 200 OK\r\n\r\n", String(repeating: "x", count: 8_192)))
        let bench = try SendingBench(trustRoots: TrustRoots(certificate: certificate.certificate))
        let report = try await bench.send("https://hook.example:\(endpoint.port)/")
        #expect(report.outcome == .delivered(status: 200) && report.excerpt.utf8.count == 2_048)
        await until { endpoint.ended == 1 }
        await endpoint.stop()
    }

    @Test("A file of roots is trusted, beside those of the system")
    func trustedFile() async throws {
        let certificate = try TestCertificate(name: "hook.example")
        let other = try TestCertificate(name: "other.example")
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).pem").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try (other.pem() + certificate.pem()).write(toFile: path, atomically: true, encoding: .utf8)
        let endpoint = try await EndpointDouble(tls: certificate.serverContext(), .status(200))
        let bench = try SendingBench(trustRoots: TrustRoots(file: path))
        #expect(try await bench.send("https://hook.example:\(endpoint.port)/").outcome.isDelivered)
        await endpoint.stop()
    }

    @Test("A file of roots must hold a certificate")
    func trustRoots() {
        for path in ["/nonexistent/roots.pem", "/dev/null"] {
            let error = #expect(throws: TrustRootsError.self) { try TrustRoots(file: path) }
            #expect(error?.description.contains(path) == true)
        }
    }

    // MARK: The peer

    @Test(
        "A peer other than the checked one ends the connection before anything is sent",
        arguments: [("93.184.216.35", true), ("10.0.0.1", true), ("93.184.216.34", false)])
    func peer(address: String, isWrong: Bool) throws {
        let channel = EmbeddedChannel()
        channel.remoteAddress = try SocketAddress(ipAddress: address, port: 443)
        let check = PeerCheckHandler(expected: try #require(IPAddress("93.184.216.34")), addresses: AddressGuard())
        try channel.pipeline.syncOperations.addHandlers([check, GreetingHandler()])
        channel.pipeline.fireChannelActive()
        if isWrong {
            #expect(throws: PeerCheckHandler.WrongPeer.self) { try channel.throwIfErrorCaught() }
            #expect(try channel.readOutbound(as: ByteBuffer.self) == nil)
        } else {
            #expect(try channel.readOutbound(as: ByteBuffer.self) == ByteBuffer(string: "hello"))
        }
        _ = try? channel.finish()
    }

    @Test("A checked address that the rules refuse by now ends the connection too")
    func refusedPeer() throws {
        let channel = EmbeddedChannel()
        channel.remoteAddress = try SocketAddress(ipAddress: "10.0.0.1", port: 443)
        let check = PeerCheckHandler(expected: try #require(IPAddress("10.0.0.1")), addresses: AddressGuard())
        try channel.pipeline.syncOperations.addHandler(check)
        channel.pipeline.fireChannelActive()
        #expect(throws: PeerCheckHandler.WrongPeer.self) { try channel.throwIfErrorCaught() }
    }
}

/// Says hello as soon as it may.
private final class GreetingHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "hello")), promise: nil)
    }
}
