import Foundation
import NIOCore
import Testing
import TipwireTestSupport

@testable import TipwireSockets

/// Whether this machine lets us use io_uring; many containers don't.
let hasRing = SendingWay.ringObstacle() == nil

@Suite("Socket senders")
struct SocketSenderTests {
    enum Way: CaseIterable, CustomTestStringConvertible {
        case calls
        case ring
        /// A ring so small that it is full all the time.
        case smallRing

        static let possible = allCases.filter { $0 == .calls || hasRing }

        var testDescription: String { "\(self)" }

        func make() throws -> any SocketSender {
            switch self {
            case .calls: CallSender()
            case .ring: RingSender(try SendRing(capacity: RingSender.batch)) { _ in Issue.record("the ring broke") }
            case .smallRing: RingSender(try SendRing(capacity: 2)) { _ in Issue.record("the ring broke") }
            }
        }
    }

    @Test(
        "Whatever each socket takes, what it was sent and what is told of it are one unbroken stream",
        arguments: Way.possible, 0..<6)
    func truth(way: Way, index: Int) throws {
        let seed = TestSeed()
        var random = TestSeed(of: seed, index)
        let sender = try way.make()
        let pairs = (0..<40).map { _ in SocketPair(sendBuffer: .random(in: 2_048...16_384, using: &random)) }
        // Bytes that a socket must have by now, and how the outcomes were spread.
        var expected = [[UInt8]](repeating: [], count: pairs.count)
        var whole = 0
        var partly = 0
        var nothing = 0
        for _ in 0..<120 {
            let shared = Self.bytes(.random(in: 1...9_000, using: &random), using: &random)
            var messages: [Int: [UInt8]] = [:]
            let parcel = sender.hold(ByteBuffer(bytes: shared))
            for place in pairs.indices.shuffled(using: &random) where random.chance(80) {
                switch Int.random(in: 0..<3, using: &random) {
                case 0:
                    messages[place] = shared
                    sender.send(parcel, to: pairs[place].sending, recipient: place)
                case let way:
                    // Now and then one that has no place among others.
                    let most = way == 1 ? 9_000 : random.chance(2) ? Workbench.bytes + 9_000 : 300
                    let own = Self.bytes(.random(in: 1...most, using: &random), using: &random)
                    messages[place] = own
                    sender.send(own.count, to: pairs[place].sending, recipient: place) { $0.copyBytes(from: own) }
                }
            }
            var shortfalls: [Int: Int] = [:]
            for shortfall in sender.finish() {
                #expect(messages[shortfall.recipient] != nil && shortfalls[shortfall.recipient] == nil, "\(seed)")
                shortfalls[shortfall.recipient] = shortfall.sent
            }
            for (place, message) in messages {
                let sent = shortfalls[place] ?? message.count
                expected[place] += message[..<sent]
                if sent == message.count { whole += 1 } else if sent > 0 { partly += 1 } else { nothing += 1 }
            }
            for pair in pairs where random.chance(60) { pair.read(upTo: .random(in: 1...12_000, using: &random)) }
        }
        for (place, pair) in pairs.enumerated() {
            pair.read()
            #expect(pair.received == expected[place], "socket \(place), \(seed)")
        }
        #expect(whole > 100 && partly > 20 && nothing > 20, "all ways to end: \(whole), \(partly), \(nothing); \(seed)")
    }

    @Test("A full socket ends a message at any of its bytes, and never waits", arguments: Way.possible)
    func everyPosition(way: Way) throws {
        let sender = try way.make()
        // Of a stream socket over the loopback the room shrinks by single bytes, and so a message is cut at each of its own.
        var ends: Set<Int> = []
        for room in 0..<64 {
            let pair = SocketPair()
            let filler = ByteBuffer(repeating: 0x2E, count: 1)
            while send(pair.sending, Parcel(filler).start, 1, SendCall.flags) == 1 {}
            // What was read makes room.
            pair.read(upTo: room * 97)
            let before = pair.received.count
            let message = ByteBuffer(bytes: (0..<9_000).map { UInt8(truncatingIfNeeded: $0) })
            sender.send(sender.hold(message), to: pair.sending, recipient: 7)
            let shortfalls = sender.finish()
            let sent = shortfalls.first?.sent ?? message.readableBytes
            #expect(shortfalls.allSatisfy { $0.recipient == 7 } && shortfalls.count <= 1)
            ends.insert(sent)
            pair.read()
            let tail = pair.received.drop { $0 == 0x2E }
            #expect(Array(tail) == Array(message.readableBytesView.prefix(sent)), "room \(room), after \(before)")
        }
        #expect(ends.contains(0) && ends.count > 1)
    }

    @Test(
        "A socket whose peer is gone, or that is none, is told, and costs its neighbours nothing",
        arguments: Way.possible)
    func broken(way: Way) throws {
        let sender = try way.make()
        let good = [SocketPair(), SocketPair()]
        let gone = SocketPair()
        gone.closeReceiving()
        let parcel = sender.hold(ByteBuffer(string: "hello"))
        sender.send(parcel, to: good[0].sending, recipient: 0)
        sender.send(parcel, to: gone.sending, recipient: 1)
        sender.send(parcel, to: -1, recipient: 2)
        sender.send(parcel, to: good[1].sending, recipient: 3)
        sender.send(5, to: good[1].sending, recipient: 4) { $0.copyBytes(from: "hello".utf8) }
        let shortfalls = sender.finish().sorted { $0.recipient < $1.recipient }
        #expect(shortfalls == [Shortfall(recipient: 1, sent: 0), Shortfall(recipient: 2, sent: 0)])
        for pair in good { pair.read() }
        #expect(good[0].received == Array("hello".utf8))
        #expect(good[1].received == Array("hellohello".utf8))
        #expect(sender.finish() == [], "a turn's outcomes are told once")
    }

    @Test(
        "A ring that breaks sends nothing, says so for each, and leaves the rest of its life to system calls",
        .enabled(if: hasRing))
    func breaking() async throws {
        let failures = Watched<[CInt]>([])
        // The kernel takes submissions from no thread but the one that opened the ring.
        let sender = UnsafeTransfer(
            try await Self.onThread {
                RingSender(try SendRing(capacity: 8)) { code in failures.change { $0.append(code) } }
            })
        let outcome = try await Self.onThread {
            let pairs = (0..<3).map { _ in SocketPair() }
            let sender = sender.value
            func turn() -> [Shortfall] {
                let parcel = sender.hold(ByteBuffer(string: "tip"))
                for (place, pair) in pairs.enumerated() { sender.send(parcel, to: pair.sending, recipient: place) }
                return sender.finish()
            }
            let first = turn()
            let second = turn()
            for pair in pairs { pair.read() }
            return (first, second, pairs.map { String(decoding: $0.received, as: UTF8.self) })
        }
        #expect(outcome.0 == (0..<3).map { Shortfall(recipient: $0, sent: 0) })
        #expect(outcome.1 == [])
        #expect(outcome.2 == ["tip", "tip", "tip"], "of the first turn nothing was sent")
        #expect(failures.value == [EEXIST], "told once")
    }

    @Test("Where no ring can be opened, the way of a ring sends by calls and says why")
    func forbidden() throws {
        #expect(throws: SendRing.Obstacle(code: EINVAL)) { try SendRing(capacity: 0) }
        let failures = Watched<[CInt]>([])
        let sender = SendingWay.ring.makeSender(openRing: { () throws(SendRing.Obstacle) in
            throw SendRing.Obstacle(code: EPERM)
        }) { code in
            failures.change { $0.append(code) }
        }
        #expect(sender is CallSender)
        #expect(failures.value == [EPERM])
    }

    private static func bytes(_ count: Int, using random: inout TestSeed) -> [UInt8] {
        // Eight of each number: one by one they took longer than all that is done with them.
        let numbers = (0..<count / 8 + 1).map { _ in random.next() }
        return numbers.withUnsafeBytes { Array($0.prefix(count)) }
    }

    private struct UnsafeTransfer<Value>: @unchecked Sendable {
        let value: Value
        init(_ value: Value) { self.value = value }
    }

    private static func onThread<Value>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        let transfer = try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<UnsafeTransfer<Value>, any Error>) in
            Thread { continuation.resume(with: Result { UnsafeTransfer(try body()) }) }.start()
        }
        return transfer.value
    }
}
