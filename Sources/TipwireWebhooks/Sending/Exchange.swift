import NIOCore
import NIOHTTP1
import TipwireCore

/// One connection's life: opened, then one request and its answer after the other.
///
/// A value that decides; `ExchangeHandler` moves bytes and keeps time.
struct Exchange {
    /// What an exchange came to, and what of the answer is kept.
    struct Result {
        let outcome: AttemptOutcome
        var excerpt = ByteBuffer()
        var contentType: String?
        /// Whether the connection can take another exchange. Otherwise it is to be closed.
        var isReusable = false
    }

    enum Action {
        case nothing
        /// The connection is ready for its first request.
        case opened
        /// The connection never became ready. It is to be closed.
        case failedToOpen(AttemptOutcome)
        case ended(Result)
        /// Nobody waits for anything; the connection is to be closed.
        case close
    }

    /// The end of something that had a time limit.
    enum Limit {
        case opening, head, whole, idle
    }

    enum Fault {
        case tls(TLSFault)
        case wrongPeer
        case unreadable
        /// Any other: the connection is broken.
        case broken
    }

    private struct Answer {
        let status: Int
        let retryAfter: RetryAfter?
        let contentType: String?
        let isReusable: Bool
        /// Nothing in its head tells where it ends: the end of the connection is its end.
        let endsWithConnection: Bool
        var excerpt = ByteBuffer()
    }

    private enum State {
        case opening
        case idle
        case awaitingHead
        case reading(Answer)
        case closed(AttemptOutcome)
    }

    private var state = State.opening
    private let isSecure: Bool
    private let excerptBytes: Int

    init(isSecure: Bool, excerptBytes: Int) {
        self.isSecure = isSecure
        self.excerptBytes = excerptBytes
    }

    /// Why the connection can't be used; nil while it can, or may become usable.
    var ending: AttemptOutcome? {
        if case .closed(let outcome) = state { outcome } else { nil }
    }

    var isOpening: Bool {
        if case .opening = state { true } else { false }
    }

    // MARK: Opening

    mutating func opened() -> Action {
        guard case .opening = state else { return .nothing }
        state = .idle
        return .opened
    }

    /// Begins an exchange.
    ///
    /// - Returns: false if the connection can't take one.
    mutating func begin() -> Bool {
        guard case .idle = state else { return false }
        state = .awaitingHead
        return true
    }

    // MARK: The answer

    mutating func head(_ head: HTTPResponseHead) -> Action {
        guard case .awaitingHead = state else { return violated() }
        let status = Int(head.status.code)
        let hasLength = ["Content-Length", "Transfer-Encoding"].contains { head.headers.contains(name: $0) }
        let isBodiless = status == 204 || status == 304
        state = .reading(
            Answer(
                status: status,
                retryAfter: head.headers.first(name: "Retry-After").flatMap { RetryAfter($0) },
                contentType: head.headers.first(name: "Content-Type"),
                // After 101 the connection speaks something else.
                isReusable: head.isKeepAlive && (hasLength || isBodiless) && status != 101,
                endsWithConnection: !hasLength && !isBodiless))
        return .nothing
    }

    mutating func body(_ bytes: ByteBuffer) -> Action {
        guard case .reading(var answer) = state else { return violated() }
        let room = excerptBytes - answer.excerpt.readableBytes
        guard room > 0 else { return .nothing }
        var bytes = bytes
        if var kept = bytes.readSlice(length: min(room, bytes.readableBytes)) { answer.excerpt.writeBuffer(&kept) }
        state = .reading(answer)
        return .nothing
    }

    /// - Parameter isExact: whether nothing has come behind it.
    mutating func end(isExact: Bool) -> Action {
        guard case .reading(let answer) = state else { return violated() }
        return finish(answer, isReusable: answer.isReusable && isExact)
    }

    /// Something came that no request asked for.
    mutating func unasked() -> Action { violated() }

    /// More came than is read of an answer.
    mutating func tooLong() -> Action {
        switch state {
        case .reading(let answer): finish(answer, isReusable: false)
        case .awaitingHead: fail(.unreadableAnswer)
        case .opening, .idle, .closed: violated()
        }
    }

    // MARK: Endings

    mutating func passed(_ limit: Limit) -> Action {
        switch (state, limit) {
        case (.opening, .opening): fail(.connectTimedOut)
        case (.awaitingHead, .head): fail(.headTimedOut)
        case (.awaitingHead, .whole): fail(.wholeTimedOut(status: nil))
        case (.reading(let answer), .whole): fail(.wholeTimedOut(status: answer.status), answer)
        case (.idle, .idle): violated()
        // A timer that was too late to be called off.
        default: .nothing
        }
    }

    mutating func failed(_ fault: Fault) -> Action {
        switch (state, fault) {
        case (.opening, .tls(let fault)): fail(.tls(fault))
        case (.opening, .wrongPeer): fail(.wrongPeer)
        case (.awaitingHead, .unreadable): fail(.unreadableAnswer)
        case (.reading(let answer), .unreadable): fail(.unreadableAnswer, answer)
        default: disconnected()
        }
    }

    /// The connection has ended, or is broken.
    mutating func disconnected() -> Action {
        switch state {
        case .opening: fail(isSecure ? .tls(.handshake) : .unreachable(.failed))
        case .awaitingHead: fail(.closedEarly(status: nil))
        // Over TLS this may be a cut by somebody in between, but then nothing says that more was to come.
        case .reading(let answer) where answer.endsWithConnection: finish(answer, isReusable: false)
        case .reading(let answer): fail(.closedEarly(status: answer.status), answer)
        case .idle, .closed: violated()
        }
    }

    private mutating func finish(_ answer: Answer, isReusable: Bool) -> Action {
        let outcome: AttemptOutcome =
            (200..<300).contains(answer.status)
            ? .delivered(status: answer.status)
            : .rejected(status: answer.status, retryAfter: answer.retryAfter)
        state = isReusable ? .idle : .closed(.closedEarly(status: nil))
        return .ended(result(outcome, answer, isReusable: isReusable))
    }

    private mutating func fail(_ outcome: AttemptOutcome, _ answer: Answer? = nil) -> Action {
        let wasOpening = isOpening
        state = .closed(outcome)
        return wasOpening ? .failedToOpen(outcome) : .ended(result(outcome, answer))
    }

    private func result(_ outcome: AttemptOutcome, _ answer: Answer?, isReusable: Bool = false) -> Result {
        Result(
            outcome: outcome, excerpt: answer?.excerpt ?? ByteBuffer(), contentType: answer?.contentType,
            isReusable: isReusable)
    }

    /// Something came that nobody asked for, or nothing is left to wait for.
    private mutating func violated() -> Action {
        switch state {
        case .closed:
            return .nothing
        case .opening, .idle:
            state = .closed(.closedEarly(status: nil))
            return .close
        case .awaitingHead, .reading:
            return fail(.unreadableAnswer)
        }
    }
}
