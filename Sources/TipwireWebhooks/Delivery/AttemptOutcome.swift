import TipwireCore

/// How one attempt to deliver ended. Each ending that an endpoint can cause has its own case, so that an operator reads
/// what to look for and not just "failed".
public enum AttemptOutcome: Hashable, Sendable {
    /// Answered 2xx, in time and to its end (or past what is read of an answer).
    case delivered(status: Int)
    /// Answered anything else. A redirect too: following it would mean sending a signed message to somebody who didn't
    /// ask for it.
    case rejected(status: Int, retryAfter: RetryAfter?)
    /// The text of the callback breaks a rule, which may have come after it was stored.
    case refusedCallback(CallbackRefusal)
    /// The host has an address that callbacks may not have.
    case refusedAddress(AddressRefusal)
    /// The connection led to another address than the checked one.
    case wrongPeer
    case unresolved(ResolutionFailure)
    /// No connection: refused, or no way there.
    case unreachable(Unreachable)
    /// No connection in time, the TLS handshake included.
    case connectTimedOut
    case tls(TLSFault)
    /// The request was sent, and no answer began in time.
    case headTimedOut
    /// The time for the whole attempt ran out; with the status if the answer had begun.
    case wholeTimedOut(status: Int?)
    /// The connection ended before the answer did; with the status if that had begun.
    case closedEarly(status: Int?)
    /// The answer isn't HTTP/1.1, or its head is too long.
    case unreadableAnswer
}

/// Why no connection came about.
public enum Unreachable: String, Hashable, Sendable {
    case refused = "the connection was refused"
    case noRoute = "there is no way to the address"
    case failed = "the connection couldn't be made"
}

/// What was wrong with the secure connection.
public enum TLSFault: String, Hashable, Sendable {
    case untrusted = "the certificate isn't trusted or has expired"
    case wrongName = "the certificate is for another name"
    case handshake = "the TLS handshake failed"
}

extension AttemptOutcome {
    public var isDelivered: Bool {
        if case .delivered = self { true } else { false }
    }

    /// No later attempt can do better without somebody changing the callback or the settings, so there is none.
    ///
    /// An address that is refused is among them, although a name may change: an endpoint in a forbidden place must
    /// not be asked for again and again.
    public var isFinal: Bool {
        switch self {
        case .refusedCallback, .refusedAddress, .wrongPeer: true
        default: false
        }
    }

    /// 410: the receiver wants nothing any more.
    public var isGone: Bool {
        if case .rejected(status: 410, _) = self { true } else { false }
    }

    /// The status that the endpoint answered, be the rest as it may.
    public var status: Int? {
        switch self {
        case .delivered(let status), .rejected(let status, _): status
        case .wholeTimedOut(let status), .closedEarly(let status): status
        default: nil
        }
    }

    /// Every name that `code` can be.
    static let codes = [
        "delivered", "status", "redirect", "refused_callback", "refused_address", "wrong_peer", "dns", "unreachable",
        "connect_timeout", "tls", "head_timeout", "whole_timeout", "closed_early", "unreadable_answer",
    ]

    /// A name for counting, in the alphabet of metric labels. Never changes, and is stored.
    public var code: String {
        switch self {
        case .delivered: "delivered"
        case .rejected(let status, _): (300..<400).contains(status) ? "redirect" : "status"
        case .refusedCallback: "refused_callback"
        case .refusedAddress: "refused_address"
        case .wrongPeer: "wrong_peer"
        case .unresolved: "dns"
        case .unreachable: "unreachable"
        case .connectTimedOut: "connect_timeout"
        case .tls: "tls"
        case .headTimedOut: "head_timeout"
        case .wholeTimedOut: "whole_timeout"
        case .closedEarly: "closed_early"
        case .unreadableAnswer: "unreadable_answer"
        }
    }
}

extension AttemptOutcome: CustomStringConvertible {
    /// A short sentence for whoever runs the endpoint. Never a secret, and no address that the callback doesn't name.
    public var description: String {
        switch self {
        case .delivered(let status): "answered \(status)"
        case .rejected(let status, _) where (300..<400).contains(status):
            "answered \(status); redirects aren't followed"
        case .rejected(let status, _) where status == 410: "answered 410: gone"
        case .rejected(let status, _): "answered \(status)"
        case .refusedCallback(let refusal): refusal.description
        case .refusedAddress(let refusal): refusal.description
        case .wrongPeer: "the connection led to another address than the one that was checked"
        case .unresolved(let failure): failure.description
        case .unreachable(let reason): reason.rawValue
        case .connectTimedOut: "connecting took too long"
        case .tls(let fault): fault.rawValue
        case .headTimedOut: "no answer came in time"
        case .wholeTimedOut(nil): "no answer came in time"
        case .wholeTimedOut(let status?): "answered \(status), but the answer didn't end in time"
        case .closedEarly(nil): "the connection was closed without an answer"
        case .closedEarly(let status?): "answered \(status), but the connection was closed amid the answer"
        case .unreadableAnswer: "the answer couldn't be read as HTTP/1.1"
        }
    }
}
