import NIOCore
import NIOHTTP1
import TipwireSockets

/// A connection that has just been accepted and has said nothing yet.
///
/// Its first bytes are looked at where they lie, in the kernel. When they are the whole head of a stream's request, and nothing
/// lies between its bytes and TCP, the connection becomes a stream without ever having been a channel. In every other case it
/// becomes a channel with all that it sent still unread: what it wants, and what is wrong with it, is the `RequestGate`'s to see.
final class Arrival: PolledSocket {
    private enum State {
        case silent
        /// Its request waits for its turn among the newcomers.
        case waiting
        /// Its right is being looked up. With it, since when.
        case deciding(NIODeadline)
        case over
    }

    private unowned let reception: Reception
    private let remote: SocketAddress?
    let accepted: NIODeadline
    private var ticket: Newcomers.Ticket?
    private var state = State.silent
    /// More than the request has come: bytes, or the end.
    private var hasMore = false

    /// - Throws: `IOError`; the descriptor is the caller's still.
    init(
        _ descriptor: NIOBSDSocket.Handle, from remote: SocketAddress?, at reception: Reception, now: NIODeadline
    ) throws {
        self.reception = reception
        self.remote = remote
        accepted = now
        try super.init(descriptor, in: reception.poll)
        ticket = reception.newcomers.accepted()
    }

    var isSilent: Bool { if case .silent = state { true } else { false } }

    override func ready(_ readiness: SocketPoll.Readiness) {
        switch state {
        case .silent:
            // The end that is behind the request is told only once, and is the stream's.
            hasMore = !readiness.isDisjoint(with: .ending)
            if readiness.contains(.readable) { look() } else if hasMore { end() }
        case .waiting, .deciding:
            // Nobody is there any more to listen.
            if !readiness.isDisjoint(with: .ending) { end() } else if readiness.contains(.readable) { hasMore = true }
        case .over: break
        }
    }

    private func look() {
        let bytes: UnsafeRawBufferPointer
        switch peek(PlainHead.maxBytes) {
        case .bytes(let found): bytes = found
        case .nothing: return
        case .end: return end()
        }
        guard let streams = reception.streams, let (received, length) = PlainHead.read(bytes) else {
            return becomeChannel()
        }
        var head = received
        guard StreamRoute.isStream(head), HeadCheck.refusal(of: &head) == nil, skip(length) else {
            return becomeChannel()
        }
        hasMore = hasMore || bytes.count > length || bytes.count == PlainHead.maxBytes
        hasSpoken()
        state = .waiting
        reception.newcomers.take { [head] in
            guard case .waiting = self.state else { return }
            self.state = .deciding(.now())
            let loop = self.poll.eventLoop
            streams.door.decide(head, remote: self.remote, on: loop)
                .whenMade(for: self, on: loop) { $0.decided($1, for: streams.front) }
        }
    }

    private func decided(_ result: Result<StreamDecision, any Error>, for front: FrontContext) {
        guard case .deciding(let asked) = state else { return }
        switch result {
        case .success(.accept(var stream)) where !reception.isQuiescing:
            stream.hasWaited = stream.claim != nil && .now() - asked > StreamLimits.longWait
            state = .over
            let socket = BareSocket(succeeding: self)
            let handler = front.handler(of: stream, on: poll.eventLoop)
            socket.delegate = handler
            handler.begin(stream, on: socket)
            if hasMore { socket.readNow() }
        case .success(.answer(let decided)): becomeChannel(as: .answered(decided))
        case .success(.accept):
            front.responses.count(.shuttingDown)
            becomeChannel(as: .answered(.shuttingDown))
        case .failure:
            front.responses.count(.unavailable)
            becomeChannel(as: .answered(.unavailable))
        }
    }

    /// Gives the connection to a channel: to read what it has sent, or, when that has been read, to answer it.
    func becomeChannel(as entrance: RequestGate.Entrance = .newcomer) {
        hasSpoken()
        state = .over
        let companion = companion
        reception.openChannel(for: release(), keeping: companion, as: entrance)
    }

    /// Ends the connection without a word.
    func end() {
        hasSpoken()
        state = .over
        closeDescriptor()
    }

    private func hasSpoken() {
        guard let ticket else { return }
        self.ticket = nil
        reception.newcomers.spoke(ticket)
    }
}
