import NIOCore
import Testing
import TipwireCore
import TipwireTestSupport

@testable import TipwireNATS

@Suite("EventMessage")
struct EventMessageTests {
    private let origin = EventMessage.Origin(epoch: "0a1b2c3d", node: "n1")

    private func read(_ bytes: ByteBuffer) throws -> EventMessage {
        var bytes = bytes
        return EventMessage(
            origin: try EventMessage.readOrigin(of: &bytes), events: try EventMessage.readEvents(of: &bytes))
    }

    @Test("What was written is read")
    func roundTrip() throws {
        let messages = EventMessage.encode(events(1...3), from: origin)
        #expect(messages.count == 1 && messages[0].count == 3)
        #expect(try read(messages[0].bytes) == EventMessage(origin: origin, events: events(1...3)))
    }

    @Test("Many events are several messages, each within the limit; what is longer alone is left out")
    func split() throws {
        let all = events(1...50) + [event(51, message: String(repeating: "x", count: 1_000))] + events(52...53)
        let messages = EventMessage.encode(all, from: origin, limit: 1_200)
        #expect(messages.count > 1 && messages.allSatisfy { $0.bytes.readableBytes <= 1_200 })
        let sequences = try messages.flatMap { try read($0.bytes).events }.map(\.sequence)
        #expect(sequences == Array(1...50) + [52, 53])
    }

    @Test("A message that ends at any byte before its last, or goes on, is not read")
    func truncated() throws {
        var bytes = EventMessage.encode(events(1...2), from: origin)[0].bytes
        for length in 0..<bytes.readableBytes {
            let part = bytes.getSlice(at: 0, length: length)!
            #expect(throws: (any Error).self, "\(length) bytes") { try read(part) }
        }
        bytes.writeInteger(UInt8(0))
        #expect(throws: EventMessage.Unreadable.self) { try read(bytes) }
    }

    @Test("Another version, events out of order, and numbers that no log has are not read")
    func refused() {
        var other = EventMessage.encode(events(1...1), from: origin)[0].bytes
        other.setInteger(UInt8(2), at: 0)
        #expect(throws: EventMessage.Unreadable.self) { try read(other) }
        for wrong in [[event(2), event(1)], [event(1), event(1)], [event(0)], [event(-1)], [event(.max)]] {
            let bytes = EventMessage.encode(wrong, from: origin)[0].bytes
            #expect(throws: EventMessage.Unreadable.self) { try read(bytes) }
        }
    }

    @Test("Whatever bytes are changed, reading ends, with events or an error")
    func hostile() {
        var seed = TestSeed()
        let good = EventMessage.encode(events(1...2), from: origin)[0].bytes
        for _ in 0..<2_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...8, using: &seed) {
                bytes.setInteger(
                    UInt8.random(in: 0...255, using: &seed),
                    at: Int.random(in: 0..<bytes.readableBytes, using: &seed))
            }
            if let message = try? read(bytes) { #expect(message.events.allSatisfy { $0.sequence > 0 }, "\(seed)") }
        }
    }
}

@Suite("NATSAddress")
struct NATSAddressTests {
    @Test("A URL is taken apart, and what is shown has no secret")
    func parts() throws {
        let address = try #require(NATSAddress("tls://tip:s3cr%40t@nats.example"))
        #expect(address.isSecure && address.host == "nats.example" && address.port == 4_222)
        #expect(address.identity == .user("tip", password: "s3cr@t"))
        #expect(address.shown == "nats://nats.example:4222")
        #expect(NATSAddress("nats://abc@[::1]:1")?.identity == .token("abc"))
        #expect(NATSAddress("nats://[::1]:1")?.name == "::1")
    }

    @Test(
        "What isn't one is refused",
        arguments: [
            "", "nats://", "http://a", "nats://a/b", "nats://a?x", "nats://a:0", "nats://a:65536", "nats://a:+1",
            "nats://@a", "nats://:p@a", "nats://a b", "nats://[::1", "nats://a:", "nats://%zz@a",
        ])
    func refused(text: String) { #expect(NATSAddress(text) == nil) }
}
