import Logging
import TipwireCore

/// Everything that an operator can set, as one value with every default in place.
///
/// `ServerConfiguration()` is what `tipwire serve` runs with when nothing is set. Reading it from options, environment
/// and file is `ServerConfiguration+Reading.swift`, checking it is `ServerConfiguration+Validation.swift`, and the
/// names that users type are the table in `Settings.swift`.
public struct ServerConfiguration: Sendable, Equatable {
    /// The address or host name to listen on. The default is reachable from this machine only.
    public var host = "127.0.0.1"
    /// The TCP port to listen on; 0 picks a free one. A port in use ends the start with one line and status 1.
    public var port = 8080
    /// The folder of the database and the admin key file (setting `data`); made if it doesn't exist.
    public var dataFolder = "./tipwire-data"
    /// The URL of a PostgreSQL database in place of the one in the data folder; nil for that one.
    public var database: String?
    /// This server among those that share its database.
    public var node = Node()
    /// The URL of a NATS server by which servers on one database hand each other events; nil for none.
    public var wakeup: String?
    /// What stands before this server, and how the world sees it.
    public var server = Server()
    /// The certificate with which the port speaks TLS.
    public var tls = TLS()
    /// Limits of the live connections.
    public var feed = Feed()
    /// Streams of server-sent events.
    public var sse = SSE()
    /// Which web pages may read streams of server-sent events.
    public var cors = CORS()
    /// Limits of EventSub subscriptions.
    public var eventsub = EventSub()
    /// Where webhooks may lead, and what they may take.
    public var webhooks = Webhooks()
    /// Limits of the one door that tips come in by.
    public var intake = Intake()
    /// How much of the event log is kept.
    public var retention = Retention()
    /// How the server stops.
    public var drain = Drain()
    /// What a guesser of keys meets.
    public var auth = Auth()
    /// Limits of plain requests and responses.
    public var http = HTTP()
    /// Where measurements are served.
    public var metrics = Metrics()
    /// What is logged, and in which shape.
    public var log = Log()

    public init() {}
}

extension ServerConfiguration {
    /// This server among those that share its database.
    public struct Node: Sendable, Equatable {
        /// What it is called there; nil for the name of its machine.
        public var name: String?

        public init() {}
    }

    /// What stands before this server, and how the world sees it.
    public struct Server: Sendable, Equatable {
        /// Peers whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. From any other peer they are ignored.
        public var trustedProxies: [AddressRange] = []
        /// The URL that users reach this server by, without a slash at its end. `nil` means the address of the
        /// 'listening' line.
        public var publicURL: String?

        public init() {}
    }

    /// The certificate with which the port speaks TLS: both files, or none for plain HTTP.
    public struct TLS: Sendable, Equatable {
        /// A PEM file of the server's certificate and those between it and a root.
        public var certificate: String?
        /// A PEM file of the certificate's private key.
        public var key: String?

        public init() {}

        var files: (certificate: String, key: String)? {
            if let certificate, let key { (certificate, key) } else { nil }
        }
    }

    /// Limits of the live connections.
    public struct Feed: Sendable, Equatable {
        /// Seconds without any inbound frame after which a WebSocket is closed with 1001.
        public var idleSeconds = 120
        /// Seconds without any inbound frame after which the server sends a control-frame ping. When it isn't below
        /// `idleSeconds` no ping is ever sent, since the connection is closed first.
        public var probeSeconds = 45
        /// Bytes of the longest message that a client may send; a longer one closes its connection with 1009.
        public var maxMessageBytes = 65_536
        /// Open streams of all kinds together; beyond it a new one is refused with 503.
        public var maxConnections = 100_000
        /// Bytes that may wait for one slow connection; beyond it, it is closed with 1013 and catches up from the log.
        public var maxLagBytes = 4_194_304
        /// Seconds that the oldest waiting byte of one connection may be old; beyond it, it is closed with 1013.
        public var maxLagSeconds = 30
        /// Bytes of the kernel's send buffer for one connection; what doesn't fit waits here and counts as lag.
        public var sendBufferBytes = 65_536
        /// Whether events are sent to many sockets by one system call.
        public var ioUring = RingUse.auto

        public init() {}
    }

    /// Streams of server-sent events.
    public struct SSE: Sendable, Equatable {
        /// Seconds between two comments that keep a stream alive through proxies.
        public var keepaliveSeconds = 15
        /// Seconds after which a stream is ended, cleanly; 0 for never.
        public var maxStreamSeconds = 0

        public init() {}
    }

    /// Which web pages may read streams of server-sent events.
    public struct CORS: Sendable, Equatable {
        /// Origins like `https://example.com`, in lower case; `*` stands for all.
        public var allowedOrigins = ["*"]

        public init() {}
    }

    /// Limits of EventSub subscriptions.
    public struct EventSub: Sendable, Equatable {
        /// Subscriptions of one key at a time; beyond it creations are refused with 429.
        public var maxPerKey = 1_000
        /// Subscriptions to one page at a time; beyond it creations are refused with 429.
        public var maxPerPage = 20_000
        /// Subscriptions that one key may make in a minute; beyond it creations are refused with 429.
        public var maxCreationsPerMinute = 600

        public init() {}
    }

    /// Where webhooks may lead, and what they may take.
    public struct Webhooks: Sendable, Equatable {
        /// Blocks of addresses that callbacks may lead to although a rule refuses them.
        public var allowedNetworks: [AddressRange] = []
        /// Whether callbacks may be plain `http`.
        public var allowHTTP = false
        /// Whether an endpoint must answer a challenge before a webhook to it is made.
        public var requireChallenge = false
        /// A PEM file of certificates that vouch for receivers beside those that the machine trusts.
        public var trustRoots: String?
        /// Seconds that a secret which was replaced is signed with too.
        public var secretOverlapSeconds = 86_400
        /// Deliveries of one webhook that may wait; beyond it the oldest become dead letters.
        public var maxPending = 10_000
        /// Attempts of one webhook at a time: one first attempt, and retries.
        public var maxConcurrent = 8
        /// Attempts of all webhooks at a time; beyond it endpoints wait in a line. Each has a socket.
        public var maxAttempts = 1_000
        /// Deliveries of one webhook that have ended and are kept; beyond it the oldest are removed.
        public var maxHistory = 10_000

        public init() {}
    }

    /// Limits of the one door that tips come in by.
    public struct Intake: Sendable, Equatable {
        /// Tips that may wait for the disk; beyond it a request is refused with 503 and nothing of it is stored. At
        /// least 1,000, because a batch may be that long.
        public var maxPending = 10_000

        public init() {}
    }

    /// How much of the event log is kept. Tips and goals stay for good; only events are pruned.
    public struct Retention: Sendable, Equatable {
        /// Days after which an event is pruned; a client that resumes from before gets a `gap`.
        public var days = 90
        /// Bytes of events that are kept; beyond it the oldest are pruned, however young.
        public var bytes = 2_147_483_648
        /// Seconds between two looks at age and size.
        public var checkSeconds = 60

        public init() {}
    }

    /// How the server stops.
    public struct Drain: Sendable, Equatable {
        /// Seconds that open connections get after SIGTERM or SIGINT; then they are cut. It never waits longer than the
        /// last connection lives.
        public var seconds = 30

        public init() {}
    }

    /// What a guesser of keys meets.
    public struct Auth: Sendable, Equatable {
        /// Requests with a bad key from one address in a minute; beyond it such requests get 429 with `Retry-After`,
        /// while good keys still pass. 0 switches the limit off.
        public var maxFailuresPerMinute = 60

        public init() {}
    }

    /// Limits of plain requests and responses.
    public struct HTTP: Sendable, Equatable {
        /// Seconds from the first byte of a request to the end of its head; a slower connection is closed.
        public var headSeconds = 10
        /// Seconds from the end of the head to the end of the body; a slower request gets 408 and is closed.
        public var bodySeconds = 30
        /// Seconds that a kept-alive connection may be without a request; then it is closed.
        public var idleSeconds = 60

        public init() {}
    }

    /// Where measurements are served.
    public struct Metrics: Sendable, Equatable {
        /// A second TCP port, on which `/metrics` needs no key. `nil`: only on the main port, with an `admin` key.
        public var port: Int?

        public init() {}
    }

    /// What is logged, and in which shape.
    public struct Log: Sendable, Equatable {
        /// Entries below this level are not written.
        public var level: Logger.Level = .info
        /// The shape of one entry.
        public var format: LogFormat = .text

        public init() {}
    }
}
