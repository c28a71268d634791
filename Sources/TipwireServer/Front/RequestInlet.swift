import Glibc
import NIOCore
import TipwireSockets

/// Lets in what comes over a connection one request at a time.
///
/// A client may send requests without waiting for the answers (RFC 9112, 9.3.2), and when it ends its side, NIO reads at once all that the
/// kernel has of it. A request that has been decoded takes many times its bytes, and decoding takes its time; so what is behind the
/// request that is being answered stays as bytes, here, and no more is read before they are gone. The decoder and all behind it know
/// one request at a time.
final class RequestInlet: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    /// How much the gate takes next.
    enum Demand: Equatable {
        /// A head, or a chunked body, or their rest: both end with an empty line and not before one.
        case emptyLine
        /// Bytes of a body, that many at most.
        case body(Int)
        /// Nothing before it asks for it.
        case nothing
        /// Nothing ever: the connection ends, and what comes is taken and dropped, since our close would be a reset otherwise.
        case noMore
    }

    private let gate: RequestGate
    private let pipelined: Rounds<() -> Void>
    private var context: ChannelHandlerContext?
    private var held = ByteBuffer()
    private var isPassing = false
    /// Somebody asked for a read while there was something here.
    private var isReadHeld = false
    /// The peer has ended its side, which is told behind what it sent.
    private var isEndHeld = false

    init(to gate: RequestGate, pipelined: Rounds<() -> Void>) {
        self.gate = gate
        self.pipelined = pipelined
        gate.inlet = self
    }

    /// Nothing waits here.
    var isEmpty: Bool { held.readableBytes == 0 }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        held = ByteBuffer()
    }

    /// What is here is whose who stands behind.
    func removeHandler(context: ChannelHandlerContext, removalToken: ChannelHandlerContext.RemovalToken) {
        if !isEmpty { context.fireChannelRead(wrapInboundOut(held)) }
        if isEndHeld { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        context.leavePipeline(removalToken: removalToken)
    }

    // MARK: In

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if isEmpty { held = bytes } else { held.writeBuffer(&bytes) }
        pass(context: context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event, !isEmpty {
            isEndHeld = true
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    private func pass(context: ChannelHandlerContext) {
        // The decoder can't be entered twice, and who is in it already goes on below.
        if isPassing { return }
        isPassing = true
        passing: while !isEmpty {
            let length =
                switch gate.demand {
                case .emptyLine: held.readableBytesView.endOfEmptyLine
                case .body(let rest): min(rest, held.readableBytes)
                case .nothing: 0
                case .noMore: held.readableBytes
                }
            guard length > 0 else { break passing }
            let piece = held.readSlice(length: length)!
            if gate.demand != .noMore { context.fireChannelRead(wrapInboundOut(piece)) }
        }
        isPassing = false
        guard isEmpty else { return }
        // The memory goes back.
        held = ByteBuffer()
        if isEndHeld {
            isEndHeld = false
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
        readOn(context: context)
    }

    // MARK: What the gate asks for

    /// A request has been answered: what came behind it has its turn.
    ///
    /// Not at once, though: a thousand more may be here, and an answer that is ready before the loop is done with the last one would
    /// keep it from looking at its channels.
    ///
    /// - Parameter isReadOwed: whether somebody asked for the bytes of that request and will not ask again.
    func goOn(isReadOwed: Bool = false) {
        guard let context else { return }
        if isReadOwed { isReadHeld = true }
        if isEmpty { readOn(context: context) } else { pipelined.append { self.passNow() } }
    }

    func passNow() {
        guard let context, !isEmpty else { return }
        pass(context: context)
        // The service takes what it was given when a read is complete, and the read that brought this has been.
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        isReadHeld = true
        if gate.demand == .noMore { pass(context: context) }
        readOn(context: context)
    }

    private func readOn(context: ChannelHandlerContext) {
        guard isReadHeld, isEmpty, !isPassing else { return }
        isReadHeld = false
        context.read()
    }

    /// Calls `body` when the kernel has all that was written, or never will.
    func whenSent(_ body: @escaping () -> Void) {
        guard let context else { return body() }
        context.flushed().assumeIsolated().whenComplete { _ in body() }
    }
}

extension ByteBufferView {
    /// Behind the first empty line and those that follow it, or all if there is none.
    ///
    /// A line's end with which the bytes begin counts as an empty line: what came before may have ended with one. So does one without
    /// its carriage return, which is for the decoder to refuse. Several of them end no more than one of them does.
    var endOfEmptyLine: Int {
        withUnsafeBytes { bytes in
            func lineEnd(at place: Int) -> Int {
                if place < bytes.count, bytes[place] == 0x0A { return 1 }
                return place + 1 < bytes.count && bytes[place] == 0x0D && bytes[place + 1] == 0x0A ? 2 : 0
            }
            var line = 0
            while line < bytes.count {
                let start = line
                while case let length = lineEnd(at: line), length > 0 { line += length }
                if line > start { return line }
                guard let end = memchr(bytes.baseAddress! + line, 0x0A, bytes.count - line) else { break }
                line = UnsafeRawPointer(end) - bytes.baseAddress! + 1
            }
            return bytes.count
        }
    }
}
