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
        /// The rest of a body, that many bytes.
        case body(Int)
        /// Nothing before it asks for it.
        case nothing
        /// Nothing ever: the connection ends, and what comes is taken and dropped, since our close would be a reset otherwise.
        case noMore
    }

    /// Pieces that are let in before others have their turn: chunks may be as small as a byte, and each is a step through the decoder.
    static let piecesOfTurn = 64

    private let gate: RequestGate
    private let pipelined: Rounds<() -> Void>
    private var context: ChannelHandlerContext?
    private var held = ByteBuffer()
    private var isPassing = false
    /// What is here waits for its turn.
    private var isInLine = false
    /// Somebody asked for a read while there was something here.
    private var isReadHeld = false
    /// The peer has ended its side, which is told behind what it sent.
    private(set) var isEndHeld = false

    init(to gate: RequestGate, pipelined: Rounds<() -> Void>) {
        self.gate = gate
        self.pipelined = pipelined
    }

    /// Nothing waits here.
    var isEmpty: Bool { held.readableBytes == 0 }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        gate.inlet = self
    }

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
        var pieces = 0
        passing: while !isEmpty, pieces < Self.piecesOfTurn {
            let length: Int
            switch gate.demand {
            case .emptyLine: length = held.readableBytesView.endOfEmptyLine
            case .body(let rest): length = held.readableBytesView.endOfBody(rest)
            case .nothing: break passing
            case .noMore:
                held.clear()
                break passing
            }
            context.fireChannelRead(wrapInboundOut(held.readSlice(length: length)!))
            pieces += 1
        }
        isPassing = false
        guard isEmpty else {
            if pieces == Self.piecesOfTurn { goOn() }
            return
        }
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
    func goOn() {
        guard let context else { return }
        if isEmpty { return readOn(context: context) }
        guard !isInLine else { return }
        isInLine = true
        pipelined.append {
            self.isInLine = false
            self.passNow()
        }
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
    /// Line ends with which the bytes begin count as empty lines: what came before may have ended within one. Others are only what ends a
    /// head or a chunked body, two CRLF. A line that ends with LF alone is for the decoder to refuse, and no reason to cut what has many of
    /// them into as many pieces.
    var endOfEmptyLine: Int {
        withUnsafeBytes { bytes in
            let first = bytes.endOfLineEnds(from: 0)
            if first > 0 { return first }
            var place = 0
            while place < bytes.count,
                let found = memchr(bytes.baseAddress! + place, 0x0A, bytes.count - place)
            {
                let end = UnsafeRawPointer(found) - bytes.baseAddress!
                place = end + 1
                guard bytes[end - 1] == 0x0D, place + 1 < bytes.count, bytes[place] == 0x0D, bytes[place + 1] == 0x0A
                else { continue }
                return bytes.endOfLineEnds(from: place)
            }
            return bytes.count
        }
    }

    /// Behind so many bytes of a body and the line ends that follow it, which an old client may send and a decoder ignores.
    func endOfBody(_ length: Int) -> Int {
        length <= count ? withUnsafeBytes { $0.endOfLineEnds(from: length) } : count
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func endOfLineEnds(from start: Int) -> Int {
        var place = start
        while place < count {
            if self[place] == 0x0A {
                place += 1
            } else if self[place] == 0x0D, place + 1 < count, self[place + 1] == 0x0A {
                place += 2
            } else {
                break
            }
        }
        return place
    }
}
