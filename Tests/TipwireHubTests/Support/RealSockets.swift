import Foundation
import NIOCore
import Testing
import TipwireTestSupport

@testable import TipwireSockets

/// Real sockets on the tests' event loops, looked after as a server does it: a poll for each loop, and a thread that waits for
/// both.
struct RealSockets: Sendable {
    private let thread: PollThread
    private let polls: [NIOLoopBound<SocketPoll>]

    private init() async throws {
        let thread = try PollThread()
        var polls: [NIOLoopBound<SocketPoll>] = []
        for eventLoop in eventLoops {
            let poll = try await eventLoop.submit {
                let poll = try SocketPoll(eventLoop: eventLoop)
                try thread.add(poll)
                return NIOLoopBound(poll, eventLoop: eventLoop)
            }.get()
            polls.append(poll)
        }
        self.thread = thread
        self.polls = polls
    }

    /// Opens them while `body` lasts.
    static func open(_ body: @Sendable (RealSockets) async throws -> Void) async throws {
        let sockets = try await RealSockets()
        do {
            try await body(sockets)
            try await sockets.close()
        } catch {
            try await sockets.close()
            throw error
        }
    }

    private func close() async throws {
        for bound in polls {
            try await bound.eventLoop.submit {
                thread.remove(bound.value)
                for socket in bound.value.sockets {
                    if let socket = socket as? BareSocket { socket.close() } else { socket.closeDescriptor() }
                }
            }.get()
        }
        thread.end()
    }

    /// A connection on the loop that this is called on, with little room in the kernel.
    func line(to listener: ListenerDouble) throws -> SocketLine {
        let poll = try #require(polls.first { $0.eventLoop.inEventLoop })
        var ends: [CInt] = [-1, -1]
        try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
        // A number far from those that the rest of the process is given: one that is free again is the next listener's, or whose
        // a test says, and nobody else's.
        let number = fcntl(ends[0], F_DUPFD, 600)
        try #require(number >= 600)
        Foundation.close(ends[0])
        var room: CInt = 4_608
        setsockopt(number, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<CInt>.size))
        let socket = try BareSocket(number, in: poll.value)
        socket.delegate = SocketLine.Voice(socket, listener)
        let client = try SocketLine.Client(ends[1], in: poll.value)
        client.listener = listener
        return SocketLine(
            socket: NIOLoopBound(socket, eventLoop: poll.eventLoop),
            client: NIOLoopBound(client, eventLoop: poll.eventLoop))
    }
}

/// A connection over two real sockets: the server's, and its client's.
struct SocketLine: Sendable {
    let socket: NIOLoopBound<BareSocket>
    let client: NIOLoopBound<Client>

    /// Reads as much as it has a mind to, as soon as it comes.
    final class Client: PolledSocket {
        weak var listener: ListenerDouble?
        /// Bytes that it still reads.
        private var appetite = Int.max

        func read(upTo count: Int) {
            appetite = count
            read()
        }

        override func ready(_ readiness: SocketPoll.Readiness) { read() }

        private func read() {
            var place = [UInt8](repeating: 0, count: 65_536)
            while isOpen, appetite > 0 {
                let count = recv(descriptor, &place, min(place.count, appetite), CInt(MSG_DONTWAIT))
                guard count > 0 else { return }
                if appetite < .max { appetite -= count }
                let bytes = ByteBuffer(bytes: place[..<count])
                listener?.heard.change { $0.arrive(bytes) }
            }
        }
    }

    /// Tells the fan-out what the transport tells, as the handlers of real connections do.
    final class Voice: StreamTransportDelegate {
        private unowned let socket: BareSocket
        private weak var listener: ListenerDouble?

        init(_ socket: BareSocket, _ listener: ListenerDouble) {
            self.socket = socket
            self.listener = listener
        }

        func received(_ bytes: ByteBuffer) {}
        func inputEnded() { socket.close() }
        func writabilityChanged() { if socket.isWritable { listener?.front.value?.becameWritable() } }
        func held() { listener?.held() }
        func failed(_ error: any Error) { socket.close() }
        func ended() { listener?.front.value?.ended() }
        func shutDown() {}
    }
}

/// How bytes get to real sockets.
enum SenderWay: CaseIterable, CustomTestStringConvertible {
    case calls
    case ring
    /// A ring so small that it is full all the time.
    case smallRing

    /// Many containers forbid io_uring.
    static let possible = SendingWay.ringObstacle() == nil ? allCases : [.calls]

    var testDescription: String { "\(self)" }

    func make() -> any SocketSender {
        switch self {
        case .calls: SendingWay.calls.makeSender { _ in }
        case .ring: SendingWay.ring.makeSender { Issue.record("the ring broke: \($0)") }
        case .smallRing:
            SendingWay.ring.makeSender(openRing: { () throws(SendRing.Obstacle) in try SendRing(capacity: 2) }) {
                Issue.record("the ring broke: \($0)")
            }
        }
    }
}
