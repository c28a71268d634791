import Glibc
import NIOCore

/// A connection without a channel: a descriptor, and what is not sent yet.
///
/// A channel with its pipeline and buffers is 4 KB, and a listener needs next to nothing of it: it says a word twice a minute, and
/// what is sent to it goes straight into the kernel. This costs a tenth. It has TCP alone; whatever lies between a stream
/// and TCP (TLS, HTTP/2) needs a channel.
///
/// The descriptor is closed in one step of the event loop in which its delegate is told, before anybody else can be given the same
/// number: a `SocketSender`, whose turns are one step each, never sends to another's socket.
public final class BareSocket: PolledSocket, StreamTransport {
    /// With more bytes kept than this, nothing should be sent, until there are fewer than half of them. As a channel's.
    public static let highWaterMark = 65_536

    public var delegate: (any StreamTransportDelegate)?
    /// What is not sent yet; nil for nothing.
    private var backlog: Backlog?
    private var isFull = false
    private var isReading = true
    private var isOutputEnded = false
    /// The kernel has refused a send for good.
    private var hasFailed = false
    /// What one turn of the loop left unread is read in a while; if so, whether it is read to the end.
    private var restOfRead: Bool?

    // MARK: Out

    public var isWritable: Bool { isOpen && !isFull && !hasFailed }

    public var hasUnsent: Bool { backlog != nil }

    public var openDescriptor: NIOBSDSocket.Handle? {
        isOpen && backlog == nil && !isOutputEnded ? descriptor : nil
    }

    public func send(_ bytes: ByteBuffer) {
        guard isOpen, !isOutputEnded, bytes.readableBytes > 0 else { return }
        if let backlog {
            backlog.append(bytes)
        } else {
            var rest = bytes
            let outcome = take(&rest)
            if rest.readableBytes == 0 { return }
            delegate?.held()
            // Of what the kernel refuses for good, too: nobody else knows that it was not sent.
            let backlog = Backlog()
            backlog.append(rest)
            self.backlog = backlog
            if case .failed(let code) = outcome { failSoon(code) }
        }
        guard !isFull, let backlog, backlog.count > Self.highWaterMark else { return }
        isFull = true
        delegate?.writabilityChanged()
    }

    private enum Outcome {
        case sent
        case full
        case failed(CInt)
    }

    /// Has the kernel take as much as it does.
    private func take(_ bytes: inout ByteBuffer) -> Outcome {
        while bytes.readableBytes > 0 {
            let sent = bytes.withUnsafeReadableBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, SendCall.flags)
            }
            if sent >= 0 {
                bytes.moveReaderIndex(forwardBy: sent)
            } else if errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM {
                return .full
            } else if errno != EINTR {
                return .failed(errno)
            }
        }
        return .sent
    }

    /// The delegate is told in a turn of its own: it may be in the middle of a send.
    private func failSoon(_ code: CInt) {
        hasFailed = true
        poll.eventLoop.assumeIsolated().execute { self.fail(code) }
    }

    private func fail(_ code: CInt) {
        guard isOpen else { return }
        hasFailed = true
        delegate?.failed(IOError(errnoCode: code, reason: "socket"))
    }

    private func drain() {
        guard let backlog, !hasFailed else { return }
        while let piece = backlog.first {
            var rest = piece
            let outcome = take(&rest)
            backlog.remove(piece.readableBytes - rest.readableBytes)
            if case .failed(let code) = outcome { return fail(code) }
            if rest.readableBytes > 0 { break }
        }
        if backlog.count == 0 {
            self.backlog = nil
            if isOutputEnded { shutdown(descriptor, CInt(SHUT_WR)) }
        }
        guard isFull, backlog.count < Self.highWaterMark / 2 else { return }
        isFull = false
        delegate?.writabilityChanged()
    }

    // MARK: In

    public override func ready(_ readiness: SocketPoll.Readiness) {
        // The delegate is about to be told.
        if hasFailed { return }
        if readiness.contains(.readable) || !readiness.isDisjoint(with: .ending) {
            // Before anything is sent: who sends to a broken connection takes the reason away from who reads.
            read(toTheEnd: !readiness.isDisjoint(with: .ending))
        }
        if readiness.contains(.writable), isOpen { drain() }
    }

    /// Reads what there is, of which somebody else was told: the end, too.
    public func readNow() { read(toTheEnd: true) }

    private func read(toTheEnd: Bool) {
        if let rest = restOfRead {
            restOfRead = rest || toTheEnd
            return
        }
        let place = poll.scratch
        // Once, and behind the last of what came once more for the end.
        for _ in 0..<2 {
            guard isOpen, isReading || toTheEnd else { return }
            let count = recv(descriptor, place.baseAddress, place.count, CInt(MSG_DONTWAIT))
            if count > 0 {
                delegate?.received(ByteBuffer(bytes: UnsafeRawBufferPointer(rebasing: place[..<count])))
                if count == place.count { break }
                // An edge tells of what comes after this.
                if !toTheEnd { return }
            } else if count == 0 {
                delegate?.inputEnded()
                return
            } else if errno == EAGAIN {
                return
            } else if errno != EINTR {
                fail(errno)
                return
            }
        }
        guard isOpen else { return }
        restOfRead = toTheEnd
        poll.readLater(self)
    }

    /// The turn has come of what was left unread.
    func readOn() {
        guard let rest = restOfRead else { return }
        restOfRead = nil
        read(toTheEnd: rest)
    }

    public func setReading(_ isReading: Bool) {
        guard isReading != self.isReading else { return }
        self.isReading = isReading
        // What came meanwhile is told by no edge. Not now: whoever asks may be in the middle of what was read.
        if isReading { poll.eventLoop.assumeIsolated().execute { self.read(toTheEnd: false) } }
    }

    // MARK: Ends

    public func closeOutput() {
        guard isOpen, !isOutputEnded else { return }
        isOutputEnded = true
        if backlog == nil { shutdown(descriptor, CInt(SHUT_WR)) }
    }

    public func close() {
        guard isOpen else { return }
        backlog = nil
        closeDescriptor()
        let delegate = delegate
        self.delegate = nil
        delegate?.ended()
    }

    public func close(in time: TimeAmount) {
        poll.eventLoop.assumeIsolated().scheduleTask(in: time) { self.close() }
    }
}
