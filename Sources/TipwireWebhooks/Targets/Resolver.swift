import TipwireCore

/// Finds the addresses of a name.
///
/// Each call is a look-up of its own or shares one that is at most a moment old: what comes back is what the name
/// stands for now, and may differ from one call to the next. A call ends within a time limit of the resolver's own.
/// It never gives back an empty list.
public protocol Resolver: Sendable {
    /// Every address of `name`, the one to be tried first at the front.
    ///
    /// - Parameter name: Lower case ASCII, not an address.
    func addresses(of name: String) async throws(ResolutionFailure) -> [IPAddress]
}

/// A name has no addresses at the moment. Any of these may be over at the next attempt.
public enum ResolutionFailure: String, Error, Hashable, Sendable {
    /// The name doesn't exist, or has no addresses.
    case noSuchName
    /// The name servers couldn't say.
    case failed
    case timedOut
    /// Too many other look-ups are waiting.
    case busy
}

extension ResolutionFailure: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noSuchName: "the name doesn't resolve"
        case .failed: "the name couldn't be looked up"
        case .timedOut: "looking up the name took too long"
        case .busy: "too many names are being looked up"
        }
    }
}
