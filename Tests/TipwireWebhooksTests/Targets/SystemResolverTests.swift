import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing
import TipwireCore

@testable import TipwireWebhooks

@Suite("Looking names up", .timeLimit(.minutes(1)))
struct SystemResolverTests {
    private static let address = IPAddress("1.1.1.1")!

    /// Look-ups that block their thread until they are let go.
    private final class SlowServer: Sendable {
        private let gate = DispatchSemaphore(value: 0)
        private let state = Mutex((asked: 0, ended: 0))

        var asked: Int { state.withLock { $0.asked } }
        var ended: Int { state.withLock { $0.ended } }

        func lookUp(_ name: String) throws -> [IPAddress] {
            state.withLock { $0.asked += 1 }
            gate.wait()
            // Each that goes on lets the next.
            gate.signal()
            state.withLock { $0.ended += 1 }
            return [address]
        }

        func letGo() { gate.signal() }
    }

    private static func resolver(
        now: @escaping @Sendable () -> NIODeadline = { .now() },
        lookUp: @escaping SystemResolver.LookUp, limits change: (inout SystemResolver.Limits) -> Void = { _ in }
    ) -> SystemResolver {
        var limits = SystemResolver.Limits()
        change(&limits)
        return SystemResolver(
            group: MultiThreadedEventLoopGroup.singleton, limits: limits, now: now, lookUp: lookUp)
    }

    private static func failure(_ resolver: SystemResolver, _ name: String) async -> ResolutionFailure? {
        do {
            _ = try await resolver.addresses(of: name)
            return nil
        } catch {
            return error
        }
    }

    /// Asks until there is an answer, however often patience runs out before.
    private func answered(_ resolver: SystemResolver, _ name: String) async {
        while !Task.isCancelled {
            if let failure = await Self.failure(resolver, name) {
                #expect(failure == .timedOut || failure == .busy)
            } else {
                return
            }
        }
    }

    @Test("This machine's own name leads to it, and a name that can't exist nowhere")
    func system() async throws {
        let resolver = SystemResolver(group: MultiThreadedEventLoopGroup.singleton)
        let addresses = try await resolver.addresses(of: "localhost")
        #expect(!addresses.isEmpty && Set(addresses).count == addresses.count)
        for address in addresses { #expect(AddressGuard().refusing(address) == .loopback) }
        // Without a network the system can't say that it doesn't exist.
        let failure = await Self.failure(resolver, "nothing.invalid")
        #expect([.noSuchName, .failed, .timedOut].contains(failure))
        await resolver.shutdown()
    }

    @Test("A look-up that takes too long is given up, and its thread comes back in its own time")
    func patience() async throws {
        let server = SlowServer()
        let resolver = Self.resolver(lookUp: server.lookUp) {
            $0.patience = .milliseconds(20)
            $0.freshness = .seconds(60)
        }
        #expect(await Self.failure(resolver, "a.example") == .timedOut)
        #expect(server.ended == 0)
        server.letGo()
        await answered(resolver, "a.example")
        #expect(server.asked == 1, "the answer that nobody waited for was kept")
        await resolver.shutdown()
    }

    @Test("So many names may hang or wait; one more is refused, and known names are not")
    func bounded() async throws {
        let server = SlowServer()
        let resolver = Self.resolver(lookUp: server.lookUp) {
            $0.threads = 2
            $0.pending = 3
            $0.patience = .milliseconds(20)
        }
        for name in ["a", "b", "c"] { #expect(await Self.failure(resolver, name) == .timedOut) }
        await until { server.asked == 2 }
        #expect(await Self.failure(resolver, "d") == .busy)
        #expect(await Self.failure(resolver, "a") == .timedOut, "it shares the look-up that hangs")
        #expect(server.asked == 2, "the third waits for a thread")
        server.letGo()
        await answered(resolver, "d")
        await until { server.ended == 4 }
        await resolver.shutdown()
    }

    @Test("Callers share a look-up under way, and its answer while it is fresh")
    func shared() async throws {
        let clock = Mutex(NIODeadline.uptimeNanoseconds(1))
        let server = SlowServer()
        let resolver = Self.resolver(now: { clock.withLock { $0 } }, lookUp: server.lookUp) {
            $0.freshness = .seconds(2)
            $0.patience = .seconds(60)
        }
        try await withThrowingTaskGroup(of: [IPAddress].self) { group in
            for _ in 0..<20 { group.addTask { try await resolver.addresses(of: "a.example") } }
            await until { server.asked == 1 }
            server.letGo()
            for try await addresses in group { #expect(addresses == [Self.address]) }
        }
        #expect(server.asked == 1)
        clock.withLock { $0 = $0 + .milliseconds(1_999) }
        _ = try await resolver.addresses(of: "a.example")
        #expect(server.asked == 1)
        _ = try await resolver.addresses(of: "b.example")
        #expect(server.asked == 2)
        clock.withLock { $0 = $0 + .milliseconds(1) }
        _ = try await resolver.addresses(of: "a.example")
        #expect(server.asked == 3)
        await resolver.shutdown()
    }

    @Test("Failures aren't kept, and an empty answer is one")
    func failures() async throws {
        let asked = Mutex(0)
        let resolver = Self.resolver(lookUp: { _ in
            let number = asked.withLock { asked in
                asked += 1
                return asked
            }
            switch number {
            case 1: throw ResolutionFailure.failed
            case 2: return []
            default: return [Self.address]
            }
        })
        #expect(await Self.failure(resolver, "a.example") == .failed)
        #expect(await Self.failure(resolver, "a.example") == .noSuchName)
        #expect(try await resolver.addresses(of: "a.example") == [Self.address])
        await resolver.shutdown()
    }

    @Test("No more answers are kept than the limit says")
    func kept() async throws {
        let asked = Mutex(0)
        let resolver = Self.resolver(
            now: { .uptimeNanoseconds(1) },
            lookUp: { _ in
                asked.withLock { $0 += 1 }
                return [Self.address]
            }, limits: { $0.kept = 10 })
        for index in 0..<10 { _ = try await resolver.addresses(of: "\(index).example") }
        for index in 0..<10 { _ = try await resolver.addresses(of: "\(index).example") }
        #expect(asked.withLock { $0 } == 10)
        _ = try await resolver.addresses(of: "10.example")
        _ = try await resolver.addresses(of: "0.example")
        #expect(asked.withLock { $0 } == 12, "all were dropped for the one too many")
        await resolver.shutdown()
    }

    @Test("After the shutdown a look-up fails at once")
    func shutdown() async {
        let resolver = Self.resolver(lookUp: { _ in [Self.address] })
        await resolver.shutdown()
        #expect(await Self.failure(resolver, "a.example") == .failed)
    }
}
