import NIOCore
import TipwireCore
import TipwireHub
import TipwireSockets
import TipwireTestSupport

/// A listener's connection in a test: it takes bytes or doesn't as the test says, and what came of that is `heard`.
final class ListenerDouble: SubscriberSink, Sendable {
    /// The fan-out, as a connection's handler tells it what the transport does.
    struct Front: Sendable {
        /// Bytes are about to be kept.
        let held: @Sendable () -> Void
        let becameWritable: @Sendable () -> Void
        let ended: @Sendable () -> Void
    }

    private enum Way: Sendable {
        case played(descriptor: CInt?)
        case line(SocketLine)
    }

    let heard: Watched<Heard>
    private let way = Watched(Way.played(descriptor: nil))
    /// Set when it is connected.
    let front = Watched<Front?>(nil)
    /// Called in the middle of a write, as a channel calls its handlers.
    let onWrite = Watched<(@Sendable () -> Void)?>(nil)

    init(dialect: Dialect = .pally) {
        var heard = Heard()
        heard.dialect = dialect
        self.heard = Watched(heard)
    }

    /// Gives it a socket, which bytes may go to past it, as a real connection has; `KernelDouble` plays it.
    func playSocket() {
        let descriptor = KernelDouble.socket(of: self)
        way.change { $0 = .played(descriptor: descriptor) }
    }

    /// Gives it a real one.
    func connect(_ line: SocketLine) { way.change { $0 = .line(line) } }

    var line: SocketLine? { if case .line(let line) = way.value { line } else { nil } }

    var isWritable: Bool { line?.socket.value.isWritable ?? heard.value.isWritable }

    var openDescriptor: NIOBSDSocket.Handle? {
        switch way.value {
        case .played(let descriptor):
            let heard = heard.value
            return heard.isWritable && !heard.isHolding ? descriptor : nil
        case .line(let line): return line.socket.value.openDescriptor
        }
    }

    /// Its played socket has taken a message, or the beginning of one, or nothing.
    func sent(_ bytes: ByteBuffer, of count: Int) { heard.change { $0.sent(bytes, of: count) } }

    /// Its transport begins to keep bytes.
    func held() {
        heard.change { $0.timesHeld += 1 }
        front.value?.held()
    }

    func write(_ bytes: ByteBuffer) {
        onWrite.value?()
        guard let line else {
            if heard.change({ $0.write(bytes) }) { held() }
            return
        }
        let isWritable = line.socket.value.isWritable
        heard.change { heard in
            if heard.end != nil { heard.afterEnd += 1 }
            if !isWritable { heard.whileUnwritable += 1 }
            heard.written += bytes.readableBytes
        }
        line.socket.value.send(bytes)
    }

    func resumed(_ resumption: Resumption, epoch: String) {
        // What a real socket carries is events alone.
        let isFirstKept =
            line == nil
            ? heard.change { $0.start(resumption, epoch: epoch) }
            : heard.change { heard in
                heard.hear(resumption, epoch: epoch)
                return false
            }
        if isFirstKept { held() }
    }

    func probe() {
        heard.change { heard in
            if heard.end != nil { heard.afterEnd += 1 }
            heard.probes += 1
        }
    }

    func end(_ reason: EndReason) {
        heard.change { heard in
            if heard.end != nil { heard.afterEnd += 1 }
            heard.end = reason
        }
        line?.socket.value.close()
    }
}
