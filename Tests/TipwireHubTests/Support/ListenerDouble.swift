import NIOCore
import TipwireCore
import TipwireHub
import TipwireTestSupport

/// A listener's connection without a socket: it keeps what it is given, and takes bytes or doesn't as the test says.
final class ListenerDouble: SubscriberSink, Sendable {
    struct Heard: Sendable {
        var isWritable = true
        /// The sequences of the events, in the order in which they came.
        var sequences: [Int64] = []
        /// The same, one list for each write.
        var writes: [[Int64]] = []
        var frames: [ByteBuffer] = []
        var resumptions: [Resumption] = []
        var epoch: String?
        /// Events that had come before the first word about the start.
        var eventsBeforeResumption = 0
        var probes = 0
        var end: EndReason?
        /// Writes, probes or words that came after the end.
        var afterEnd = 0
        /// Writes that came while nothing was taken.
        var whileUnwritable = 0
        /// After this many more writes the connection takes nothing, as a full socket buffer would; nil: never.
        var writesUntilFull: Int?
        /// Bytes of a frame whose end has not come.
        var unfinished = ByteBuffer()
        /// Messages that went past it, to its socket.
        var direct = 0
        /// Its socket took the beginning of a message; the rest comes by a write, whether or not there is room.
        var hasRestComing = false
    }

    let heard = Watched(Heard())
    /// Whether it has a socket, which bytes may go to past it.
    private let descriptor = Watched<CInt?>(nil)

    /// - Parameter hasSocket: as a real connection has; `KernelDouble` plays it.
    init(hasSocket: Bool = false) {
        if hasSocket {
            let descriptor = KernelDouble.socket(of: self)
            self.descriptor.change { $0 = descriptor }
        }
    }

    var isWritable: Bool { heard.value.isWritable }

    var openDescriptor: NIOBSDSocket.Handle? { isWritable ? descriptor.value : nil }

    /// Its socket has taken a message, or the beginning of one, or nothing.
    func sent(_ bytes: ByteBuffer, isWhole: Bool) {
        if bytes.readableBytes > 0 {
            heard.change { $0.direct += 1 }
            take(bytes)
        }
        if !isWhole { heard.change { $0.hasRestComing = true } }
    }

    /// Says to the fan-out that the channel is given bytes; set when it is connected.
    let onHeld = Watched<(@Sendable () -> Void)?>(nil)

    /// Called in the middle of a write, as a channel calls its handlers.
    let onWrite = Watched<(@Sendable () -> Void)?>(nil)

    func write(_ bytes: ByteBuffer) {
        onWrite.value?()
        // What the socket had no room for is the channel's.
        if heard.value.hasRestComing { onHeld.value?() }
        take(bytes)
    }

    private func take(_ bytes: ByteBuffer) {
        heard.change { heard in
            if heard.end != nil { heard.afterEnd += 1 }
            if !heard.isWritable, !heard.hasRestComing { heard.whileUnwritable += 1 }
            heard.hasRestComing = false
            heard.unfinished.writeImmutableBuffer(bytes)
            let frames = Self.frames(in: &heard.unfinished)
            let sequences = frames.map(Self.sequence)
            heard.frames += frames
            heard.sequences += sequences
            heard.writes.append(sequences)
            if let left = heard.writesUntilFull {
                heard.writesUntilFull = left > 1 ? left - 1 : nil
                if left <= 1 { heard.isWritable = false }
            }
        }
    }

    func resumed(_ resumption: Resumption, epoch: String) {
        heard.change { heard in
            if heard.end != nil { heard.afterEnd += 1 }
            heard.eventsBeforeResumption = heard.sequences.count
            heard.resumptions.append(resumption)
            heard.epoch = epoch
        }
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
    }

    /// Takes whole unmasked text frames from the beginning.
    private static func frames(in bytes: inout ByteBuffer) -> [ByteBuffer] {
        var frames: [ByteBuffer] = []
        while true {
            var rest = bytes
            guard let first: UInt8 = rest.readInteger(), let short: UInt8 = rest.readInteger() else { return frames }
            precondition(first == 0x81, "not a whole text frame")
            precondition(short <= 126, "longer than one event may be")
            guard let length = short == 126 ? rest.readInteger(as: UInt16.self).map(Int.init) : Int(short),
                let frame = rest.readSlice(length: length)
            else { return frames }
            frames.append(frame)
            bytes = rest
        }
    }

    /// The sequence in the `cursor` that ends a notification: `…"cursor":"0f3a9c11-42"}`.
    private static func sequence(of frame: ByteBuffer) -> Int64 {
        let tail = String(decoding: frame.readableBytesView.suffix(80), as: UTF8.self)
        let cursor = tail.dropLast(2).split(separator: "\"").last.flatMap { Cursor(String($0)) }
        guard let cursor, tail.hasSuffix("\"}") else { preconditionFailure("no cursor at the end of \(tail)") }
        return cursor.sequence
    }
}
