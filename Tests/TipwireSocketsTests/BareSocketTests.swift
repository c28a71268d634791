import Foundation
import NIOCore
import NIOEmbedded
import NIOPosix
import Testing
import TipwireTestSupport

@testable import TipwireSockets

@Suite("A socket without a channel")
struct BareSocketTests {
    /// Writes down what it is told.
    private final class Record: StreamTransportDelegate {
        enum News: Equatable {
            case received(String)
            case inputEnded
            case writable(Bool)
            case held
            case failed
            case ended
            case shutDown
        }

        unowned let socket: BareSocket
        var news: [News] = []
        var onNews: (News) -> Void = { _ in }

        init(_ socket: BareSocket) { self.socket = socket }

        func received(_ bytes: ByteBuffer) { tell(.received(String(buffer: bytes))) }
        func inputEnded() { tell(.inputEnded) }
        func writabilityChanged() { tell(.writable(socket.isWritable)) }
        func held() { tell(.held) }
        func failed(_ error: any Error) { tell(.failed) }
        func ended() { tell(.ended) }
        func shutDown() { tell(.shutDown) }

        private func tell(_ news: News) {
            self.news.append(news)
            onNews(news)
        }

        func takeNews() -> [News] {
            defer { news = [] }
            return news
        }
    }

    private let loop = EmbeddedEventLoop()
    private let poll: SocketPoll

    init() throws { poll = try SocketPoll(eventLoop: loop) }

    /// A socket, and the descriptor of its peer.
    ///
    /// - Parameter number: of the socket's descriptor, which must be free.
    private func open(
        sendBuffer: CInt = 4_608, number: CInt? = nil
    ) throws -> (BareSocket, Record, peer: CInt) {
        var ends: [CInt] = [-1, -1]
        try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
        if let number, number != ends[0] {
            try #require(fcntl(number, F_GETFD) < 0 && dup2(ends[0], number) == number)
            close(ends[0])
            ends[0] = number
        }
        var room = sendBuffer
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<CInt>.size))
        let socket = try BareSocket(ends[0], in: poll)
        let record = Record(socket)
        socket.delegate = record
        return (socket, record, ends[1])
    }

    /// A turn of the loop: what the kernel has to tell, and what that leads to.
    private func turn() {
        poll.look()
        loop.run()
    }

    private func read(_ peer: CInt, upTo count: Int = 1 << 20) -> [UInt8] {
        var all: [UInt8] = []
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while all.count < count {
            let taken = recv(peer, &bytes, min(bytes.count, count - all.count), CInt(MSG_DONTWAIT))
            guard taken > 0 else { break }
            all += bytes[..<taken]
        }
        return all
    }

    private func say(_ text: String, _ peer: CInt) { send(peer, text, text.utf8.count, CInt(MSG_NOSIGNAL)) }

    @Test("What is sent in any sizes to a peer of any rhythm arrives whole and in order")
    func order() throws {
        var chance = TestSeed()
        let (socket, record, peer) = try open()
        var sent: [UInt8] = []
        var received: [UInt8] = []
        for _ in 0..<2_000 {
            if socket.isWritable, chance.chance(60) {
                let size = Int.random(in: 1...(chance.chance(5) ? 40_000 : 600), using: &chance)
                let bytes = (0..<size).map { _ in UInt8.random(in: 0...255, using: &chance) }
                sent += bytes
                let wasUnsent = socket.hasUnsent
                socket.send(ByteBuffer(bytes: bytes))
                // Once, when what was direct is no more.
                let held = record.takeNews().filter { $0 == .held }.count
                #expect(held == (socket.hasUnsent && !wasUnsent ? 1 : 0), "\(chance)")
                #expect((socket.openDescriptor == nil) == socket.hasUnsent, "\(chance)")
            }
            if chance.chance(40) { received += read(peer, upTo: Int.random(in: 1...30_000, using: &chance)) }
            if chance.chance(50) { turn() }
        }
        while socket.hasUnsent {
            received += read(peer)
            turn()
        }
        received += read(peer)
        #expect(received == sent, "\(chance)")
        socket.close()
        close(peer)
    }

    @Test("Who takes nothing is writable up to the mark, and again below half of it")
    func watermarks() throws {
        let (socket, record, peer) = try open()
        let piece = ByteBuffer(repeating: 0x61, count: 8_192)
        var sent = 0
        while socket.isWritable {
            socket.send(piece)
            sent += piece.readableBytes
        }
        #expect(sent > BareSocket.highWaterMark && sent < BareSocket.highWaterMark + 10 * piece.readableBytes)
        #expect(record.takeNews() == [.held, .writable(false)])
        var received = 0
        while record.news.isEmpty {
            received += read(peer, upTo: 4_096).count
            turn()
        }
        #expect(record.takeNews() == [.writable(true)])
        #expect(sent - received < BareSocket.highWaterMark, "half of the mark, and what the kernel has")
        while socket.hasUnsent {
            received += read(peer).count
            turn()
        }
        received += read(peer).count
        #expect(received == sent && record.news.isEmpty)
        socket.close()
        close(peer)
    }

    @Test("What many wait for is kept once, and small pieces are put together")
    func backlog() throws {
        let shared = ByteBuffer(repeating: 0x61, count: 8_192)
        let backlog = Backlog()
        backlog.append(shared)
        for number in 0..<300 { backlog.append(ByteBuffer(string: "\(number),")) }
        backlog.append(shared)
        var pieces: [ByteBuffer] = []
        var sizes = [backlog.count]
        while let piece = backlog.first {
            pieces.append(piece)
            // The first in two steps.
            if pieces.count == 1 { backlog.remove(1_000) }
            backlog.remove(backlog.first?.readableBytes ?? 0)
            sizes.append(backlog.count)
        }
        let small = (0..<300).map { "\($0)," }.joined()
        #expect(pieces.map(\.readableBytes) == [8_192, small.utf8.count, 8_192])
        #expect(String(buffer: pieces[1]) == small)
        #expect(sizes == [16_384 + small.utf8.count, 8_192 + small.utf8.count, 8_192, 0])
        let place = shared.withUnsafeReadableBytes { $0.baseAddress }
        for piece in [pieces[0], pieces[2]] { #expect(piece.withUnsafeReadableBytes { $0.baseAddress } == place) }
    }

    @Test("A backlog goes on behind any byte of what was sent of it, and ends with what came meanwhile")
    func cutBacklog() {
        var number: UInt8 = 0
        // Kept as they came, put together, and again.
        let pieces = [700, 1, 40, 300, 513, 2].map { count in
            ByteBuffer(
                bytes: (0..<count).map { _ in
                    number = number &* 5 &+ 17
                    return number
                })
        }
        let bytes = pieces.flatMap { Array($0.readableBytesView) }
        for cut in 0...bytes.count {
            let backlog = Backlog()
            for piece in pieces { backlog.append(piece) }
            var left = cut
            repeat {
                let sent = min(left, backlog.first?.readableBytes ?? 0)
                if backlog.first != nil { backlog.remove(sent) }
                left -= sent
            } while left > 0
            #expect(backlog.count == bytes.count - cut)
            backlog.append(ByteBuffer(string: "meanwhile"))
            var rest: [UInt8] = []
            while let piece = backlog.first {
                rest += piece.readableBytesView
                backlog.remove(piece.readableBytes)
            }
            #expect(rest == Array(bytes[cut...]) + Array("meanwhile".utf8), "cut at \(cut)")
            #expect(backlog.count == 0)
        }
    }

    @Test("What was sent of a backlog that never ends takes no memory")
    func standingBacklog() {
        let backlog = Backlog()
        let piece = ByteBuffer(repeating: 0x61, count: 131)
        for _ in 0..<100 { backlog.append(piece) }
        for _ in 0..<20_000 {
            backlog.append(piece)
            var rest = piece.readableBytes
            while rest > 0, let first = backlog.first {
                let sent = min(rest, first.readableBytes)
                backlog.remove(sent)
                rest -= sent
            }
        }
        #expect(backlog.count == 13_100 && backlog.capacity < 65_536)
    }

    @Test("Who says more than a turn's worth waits for the others, and is asked once")
    func flood() throws {
        let (socket, record, peer) = try open()
        let text = String(repeating: "x", count: 5 * SocketPoll.readBytes)
        var room = CInt(1 << 20)
        setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<CInt>.size))
        #expect(send(peer, text, text.utf8.count, CInt(MSG_DONTWAIT)) == text.utf8.count)
        func received() -> Int {
            record.takeNews().reduce(0) { if case .received(let piece) = $1 { $0 + piece.utf8.count } else { $0 } }
        }
        turn()
        #expect(received() == SocketPoll.readBytes)
        // More news changes nothing about when it is read.
        send(peer, "y", 1, CInt(MSG_DONTWAIT))
        shutdown(peer, CInt(SHUT_WR))
        turn()
        #expect(received() == 0)
        for _ in 1..<5 {
            loop.advanceTime(by: .microseconds(100))
            #expect(received() == SocketPoll.readBytes)
        }
        loop.advanceTime(by: .microseconds(100))
        #expect(record.news == [.received("y"), .inputEnded])
        socket.close()
        close(peer)
    }

    @Test("Those who say much have their turns together, and the loop has as long for the others")
    func floods() throws {
        let talkers = try (0..<3).map { _ in try open() }
        let text = String(repeating: "x", count: 3 * SocketPoll.readBytes)
        for talker in talkers {
            var room = CInt(1 << 20)
            setsockopt(talker.peer, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<CInt>.size))
            #expect(send(talker.peer, text, text.utf8.count, CInt(MSG_DONTWAIT)) == text.utf8.count)
        }
        turn()
        var others = 0
        for round in 1...2 {
            // Whatever else is due has its turn between two of theirs.
            loop.execute { others += 1 }
            loop.advanceTime(by: .microseconds(100))
            #expect(others == round)
            for talker in talkers {
                #expect(talker.1.takeNews().count == (round == 1 ? 2 : 1))
            }
        }
        loop.advanceTime(by: .microseconds(99))
        #expect(talkers.allSatisfy { $0.1.news.isEmpty }, "nothing is read on for nobody")
        for talker in talkers {
            talker.0.close()
            close(talker.peer)
        }
    }

    @Test("The end behind what a predecessor was told of is seen")
    func endBehindTheRequest() throws {
        let (socket, record, peer) = try open()
        say("rest", peer)
        shutdown(peer, CInt(SHUT_WR))
        // Without a look: the kernel's news went to the one before.
        socket.readNow()
        #expect(record.takeNews() == [.received("rest"), .inputEnded])
        socket.close()
        close(peer)
    }

    @Test("Words come as they were said, the end behind them")
    func words() throws {
        let (socket, record, peer) = try open()
        turn()
        #expect(record.takeNews().isEmpty)
        say("one", peer)
        turn()
        say("two", peer)
        say("three", peer)
        turn()
        #expect(record.takeNews() == [.received("one"), .received("twothree")])
        say("last", peer)
        close(peer)
        turn()
        #expect(record.takeNews() == [.received("last"), .inputEnded])
        socket.close()
        #expect(record.takeNews() == [.ended] && !socket.isOpen && poll.count == 0)
    }

    @Test("More than one read holds comes whole")
    func long() throws {
        let (socket, record, peer) = try open()
        let text = String(repeating: "x", count: 3 * SocketPoll.readBytes + 17)
        var rest = Array(text.utf8)[...]
        var received = ""
        while received.utf8.count < text.utf8.count {
            let taken = rest.withUnsafeBytes { send(peer, $0.baseAddress, $0.count, CInt(MSG_DONTWAIT)) }
            if taken > 0 { rest = rest.dropFirst(taken) }
            turn()
            loop.advanceTime(by: .microseconds(100))
            for case .received(let piece) in record.takeNews() { received += piece }
        }
        #expect(received == text)
        socket.close()
        close(peer)
    }

    @Test("What is said while nobody reads waits in the kernel, and comes when somebody does")
    func pause() throws {
        let (socket, record, peer) = try open()
        socket.setReading(false)
        say("early", peer)
        turn()
        #expect(record.takeNews().isEmpty)
        socket.setReading(true)
        #expect(record.takeNews().isEmpty, "not in the middle of what the delegate does")
        loop.run()
        #expect(record.takeNews() == [.received("early")])
        socket.setReading(false)
        socket.setReading(true)
        loop.run()
        #expect(record.takeNews().isEmpty)
        socket.close()
        close(peer)
    }

    @Test("An end is seen though nobody reads, and so is what came before it")
    func endInPause() throws {
        let (socket, record, peer) = try open()
        socket.setReading(false)
        say("goodbye", peer)
        turn()
        shutdown(peer, CInt(SHUT_WR))
        turn()
        #expect(record.takeNews() == [.received("goodbye"), .inputEnded])
        socket.close()
        close(peer)
    }

    @Test("Our side ends behind what was sent, however long the peer takes for that")
    func closeOutput() throws {
        let (socket, record, peer) = try open()
        let bytes = (0..<60_000).map { UInt8($0 % 251) }
        socket.send(ByteBuffer(bytes: bytes))
        #expect(socket.hasUnsent)
        socket.closeOutput()
        socket.send(ByteBuffer(string: "nothing follows"))
        var received: [UInt8] = []
        while socket.hasUnsent {
            received += read(peer, upTo: 5_000)
            turn()
        }
        received += read(peer)
        #expect(received == bytes)
        var byte: UInt8 = 0
        #expect(recv(peer, &byte, 1, CInt(MSG_DONTWAIT)) == 0, "the end")
        // The other side is open.
        say("still here", peer)
        turn()
        #expect(record.takeNews() == [.held, .received("still here")])
        socket.close()
        close(peer)
    }

    @Test("A send to who is gone is a failure, told in a turn of its own, and what was sent counts as unsent")
    func broken() throws {
        let (socket, record, peer) = try open()
        turn()
        close(peer)
        socket.send(ByteBuffer(string: "anybody?"))
        #expect(record.takeNews() == [.held])
        #expect(socket.hasUnsent && !socket.isWritable && socket.openDescriptor == nil)
        // The kernel's news of the end doesn't come first: it would be an orderly one.
        poll.look()
        #expect(record.takeNews().isEmpty)
        loop.run()
        #expect(record.takeNews() == [.failed])
        socket.close()
        #expect(record.takeNews() == [.ended])
    }

    @Test("A reset is a failure")
    func reset() throws {
        let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let client = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                #expect(bind(listener, address, size) == 0 && listen(listener, 1) == 0)
                #expect(getsockname(listener, address, &size) == 0 && connect(client, address, size) == 0)
            }
        }
        let listening = try ListeningSocket(listener, in: poll) {}
        guard case .connection(let accepted, let from) = listening.accept() else {
            Issue.record("nobody came")
            return
        }
        #expect(from?.ipAddress == "127.0.0.1")
        guard case .nobody = listening.accept() else {
            Issue.record("somebody else came")
            return
        }
        let connection = try BareSocket(accepted, in: poll)
        let record = Record(connection)
        connection.delegate = record
        turn()
        var hard = linger(l_onoff: 1, l_linger: 0)
        setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, socklen_t(MemoryLayout<linger>.size))
        close(client)
        turn()
        #expect(record.takeNews() == [.failed])
        connection.close()
        listening.closeDescriptor()
        #expect(poll.count == 0)
    }

    @Test("News of a socket that is gone isn't told to the one that has its number and its place")
    func reusedNumber() throws {
        let (first, firstRecord, firstPeer) = try open()
        let (second, secondRecord, secondPeer) = try open()
        turn()
        // Both have news in one look. Whoever hears first ends the other, and a third comes to that one's number.
        say("a", firstPeer)
        say("b", secondPeer)
        var third: (socket: BareSocket, record: Record, peer: CInt)?
        func replace(_ other: BareSocket) -> (Record.News) -> Void {
            { news in
                guard case .received = news, third == nil else { return }
                let number = other.descriptor
                other.close()
                third = try? open(number: number)
            }
        }
        firstRecord.onNews = replace(second)
        secondRecord.onNews = replace(first)
        poll.look()
        let newcomer = try #require(third)
        #expect(newcomer.record.news.isEmpty)
        #expect(firstRecord.news + secondRecord.news == [.received("a"), .ended])
        say("c", newcomer.peer)
        turn()
        #expect(newcomer.record.takeNews() == [.received("c")])
        for socket in poll.sockets.compactMap({ $0 as? BareSocket }) { socket.close() }
        for peer in [firstPeer, secondPeer, newcomer.peer] { close(peer) }
    }

    @Test("A successor has the descriptor, the companion and the news of who was there before")
    func succession() throws {
        final class Companion {}
        var ends: [CInt] = [-1, -1]
        try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let before = try PolledSocket(ends[0], in: poll)
        weak var companion: Companion?
        do {
            let made = Companion()
            before.companion = made
            companion = made
        }
        say("HEADrest", ends[1])
        guard case .bytes(let bytes) = before.peek(64) else {
            Issue.record("nothing is there")
            return
        }
        #expect(bytes.elementsEqual("HEADrest".utf8) && before.skip(4))
        let socket = BareSocket(succeeding: before)
        let record = Record(socket)
        socket.delegate = record
        #expect(!before.isOpen && poll.count == 1 && companion != nil)
        socket.readNow()
        #expect(record.takeNews() == [.received("rest")])
        var isEmpty = false
        poll.emptied = { isEmpty = true }
        socket.close()
        #expect(companion == nil && isEmpty)
        close(ends[1])
    }

    @Test("A thread has the loop look when there is something, and not again before it has looked")
    func thread() async throws {
        let group = MultiThreadedEventLoopGroup.singleton.next()
        let heard = Watched<[String]>([])
        let thread = try PollThread()
        var ends: [CInt] = [-1, -1]
        try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let (descriptor, peer) = (ends[0], ends[1])
        let bound = try await group.submit {
            let poll = try SocketPoll(eventLoop: group)
            let socket = try BareSocket(descriptor, in: poll)
            let record = Record(socket)
            record.onNews = { news in
                if case .received(let text) = news { heard.change { $0.append(text) } }
            }
            socket.delegate = record
            try thread.add(poll)
            return NIOLoopBound(socket, eventLoop: group)
        }.get()
        for word in ["one", "two", "three"] {
            say(word, peer)
            try await heard.wait { $0.last == word }
        }
        #expect(heard.value == ["one", "two", "three"])
        try await group.submit {
            thread.remove(bound.value.poll)
            bound.value.close()
        }.get()
        thread.end()
        close(peer)
    }
}
