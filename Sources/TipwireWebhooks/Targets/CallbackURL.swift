import TipwireCore

/// Where a webhook is sent: an `http` or `https` URL that was read strictly and is kept in one spelling.
///
/// Strictly, because a URL that two readers take differently is how a check is got around: what is connected to is made
/// of these parts, never of the text again.
public struct CallbackURL: Hashable, Sendable {
    public enum Scheme: String, Sendable {
        case http, https

        public var defaultPort: Int { self == .http ? 80 : 443 }
    }

    public enum Host: Hashable, Sendable {
        /// Lower case, without a dot at the end.
        case name(String)
        case address(IPAddress)
    }

    /// Longest callback, in characters; all of them printable ASCII.
    public static let longest = Limits.urlCharacters

    public let scheme: Scheme
    public let host: Host
    public let port: Int
    /// Path and query as they are sent, at least `/`.
    public let target: String

    /// Reads a callback, and refuses what `policy` doesn't allow as far as the text alone can tell.
    ///
    /// A name isn't looked up: that is `TargetCheck`'s part.
    public init(_ text: String, policy: CallbackPolicy) throws(CallbackRefusal) {
        guard text.utf8.count <= Self.longest else { throw .tooLong }
        let (scheme, rest) = try Self.scheme(of: text)
        // Host and port end where the target begins.
        let authorityEnd = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let authority = rest[..<authorityEnd]
        guard !authority.utf8.contains(UInt8(ascii: "@")) else { throw .userInfo }
        let (hostText, portText) = try Self.split(authority)
        let host: Result<Host, CallbackRefusal> = Result { () throws(CallbackRefusal) in
            try CallbackHost.read(hostText, guardedBy: policy.addresses)
        }
        guard scheme == .https || policy.allowsHTTP else {
            // Both at once: whoever tries out a receiver of their own needs two settings, and shouldn't come upon the second
            // after the first.
            if case .failure(.address(let refusal)) = host { throw .plainHTTP(and: refusal) }
            throw .plainHTTP(and: nil)
        }
        self.host = try host.get()
        port = try portText.map(Self.port) ?? scheme.defaultPort
        target = try Self.target(rest[authorityEnd...])
        self.scheme = scheme
    }

    /// The host as it stands in a URL, an IPv6 address in brackets.
    public var hostText: String {
        switch host {
        case .name(let name): name
        case .address(let address): address.family == .ipv6 ? "[\(address)]" : "\(address)"
        }
    }

    /// The value of the `Host` header: the port only where it isn't the scheme's own.
    public var hostHeader: String {
        port == scheme.defaultPort ? hostText : "\(hostText):\(port)"
    }
}

extension CallbackURL: CustomStringConvertible {
    /// The one spelling. Reading it gives the same value.
    public var description: String { "\(scheme.rawValue)://\(hostHeader)\(target)" }
}

extension CallbackURL {
    private static func scheme(of text: String) throws(CallbackRefusal) -> (Scheme, Substring) {
        guard !text.isEmpty else { throw .notAbsolute }
        for byte in text.utf8 where byte < 0x21 || byte == 0x7F || byte == UInt8(ascii: "\\") {
            throw .badCharacter
        }
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { throw .notAbsolute }
        let name = text[..<colon].lowercased()
        guard let scheme = Scheme(rawValue: name) else { throw .scheme }
        return (scheme, text[text.index(colon, offsetBy: 3)...])
    }

    private static func split(_ authority: Substring) throws(CallbackRefusal) -> (Substring, Substring?) {
        if authority.hasPrefix("[") {
            guard let bracket = authority.firstIndex(of: "]") else { throw .host }
            let host = authority[...bracket]
            let rest = authority[bracket...].dropFirst()
            if rest.isEmpty { return (host, nil) }
            guard rest.hasPrefix(":") else { throw .host }
            return (host, rest.dropFirst())
        }
        guard let colon = authority.firstIndex(of: ":") else { return (authority, nil) }
        return (authority[..<colon], authority[colon...].dropFirst())
    }

    private static func port(_ text: Substring) throws(CallbackRefusal) -> Int {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            !text.hasPrefix("0"), let port = Int(text), port <= 65_535
        else { throw .port }
        return port
    }

    private static func target(_ text: Substring) throws(CallbackRefusal) -> String {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "#"): throw .fragment
            case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "^"), UInt8(ascii: "`"),
                UInt8(ascii: "{"), UInt8(ascii: "|"), UInt8(ascii: "}"), 0x80...:
                throw .badCharacter
            default: break
            }
        }
        return text.hasPrefix("/") ? String(text) : "/" + text
    }
}

/// What the operator allows callbacks to be.
public struct CallbackPolicy: Sendable {
    /// The setting that allows plain `http`.
    public static let httpSetting = "webhooks.allowHTTP"

    public let addresses: AddressGuard
    public let allowsHTTP: Bool

    public init(addresses: AddressGuard = AddressGuard(), allowsHTTP: Bool = false) {
        self.addresses = addresses
        self.allowsHTTP = allowsHTTP
    }
}

/// Why a callback was refused by its text. The description is for whoever wrote it, and says what to do.
public enum CallbackRefusal: Error, Hashable, Sendable {
    case tooLong
    case notAbsolute
    case badCharacter
    case scheme
    /// Perhaps besides leading where it may not.
    case plainHTTP(and: AddressRefusal?)
    case userInfo
    case fragment
    case port
    /// Empty, or no name and no address.
    case host
    case trailingDot
    case notASCII
    case percentEncodedHost
    case zone
    /// An IPv4 address in another form than four decimal numbers; `address` is what it stands for.
    case oddAddress(written: String, address: IPAddress)
    case address(AddressRefusal)
}

extension CallbackRefusal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .tooLong: "the URL must not be longer than \(CallbackURL.longest) characters"
        case .notAbsolute: "the URL must be absolute, like https://example.com/hook"
        case .badCharacter: "the URL must be printable ASCII without spaces; percent-encode anything else"
        case .scheme: "the URL must begin with https://, or with http:// where the server allows that"
        case .plainHTTP(let refusal):
            "the URL must begin with https://; the setting \(CallbackPolicy.httpSetting) can allow http://"
                + (refusal.map { "; and \($0)" } ?? "")
        case .userInfo: "the URL must not contain a user name or a password"
        case .fragment: "the URL must not have a fragment (#…)"
        case .port: "the port must be a number from 1 to 65535, without leading zeros"
        case .host: "the host must be a name or an address"
        case .trailingDot: "the host must not end in a dot"
        case .notASCII: "the host must be ASCII; use punycode (xn--…)"
        case .percentEncodedHost: "the host must not be percent-encoded"
        case .zone: "an IPv6 address must not have a zone (%…)"
        case .oddAddress(let written, let address):
            "'\(written)' is an odd spelling of the address \(address); write it as four decimal numbers"
        case .address(let refusal): refusal.description
        }
    }
}
