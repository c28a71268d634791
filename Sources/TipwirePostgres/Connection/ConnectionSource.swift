import TipwireStore

/// How connections to the store's database are made.
struct ConnectionSource: Sendable {
    private let library: LibPQ
    private let url: String

    /// Seconds for each host until a connection stands.
    private static let connectTimeoutSeconds = 5
    /// Milliseconds without an answer from the network after which a connection is given up. Without it a host that
    /// vanished would hold a thread for many minutes.
    private static let networkTimeoutMilliseconds = 20_000
    /// Seconds that a transaction may stand open without a statement, or wait for a lock. A node that freezes in the
    /// middle of a commit holds the log for all others.
    private static let standstillSeconds = 30

    /// - Parameter url: `postgres://user:password@host:port/database?parameters`, with all that libpq knows: several
    /// hosts, `sslmode`, `passfile` and so on.
    init(_ url: String) throws {
        library = try LibPQ.load()
        self.url = url
        try check()
    }

    /// Refuses what isn't a URL here, where its text can be kept out of the message: libpq quotes what it can't read,
    /// and that may be the password.
    private func check() throws {
        guard url.hasPrefix("postgres://") || url.hasPrefix("postgresql://") else {
            throw StoreUnusable("the database's URL must begin with postgres:// or postgresql://")
        }
        var message: UnsafeMutablePointer<CChar>?
        let settings = library.parseSettings(url, &message)
        defer {
            library.freeSettings(settings)
            library.freeMemory(message)
        }
        var place = settings?.assumingMemoryBound(to: LibPQ.Setting.self)
        while let setting = place?.pointee, let keyword = setting.keyword {
            let value = setting.value.map { String(cString: $0) } ?? ""
            switch String(cString: keyword) {
            case "host" where value.contains("@"), "dbname" where value.contains("@"): throw Self.unreadable
            case "port" where !value.utf8.allSatisfy({ $0 == UInt8(ascii: ",") || (48...57).contains($0) }):
                throw Self.unreadable
            default: break
            }
            place = place.map { $0 + 1 }
        }
        guard settings != nil else { throw Self.unreadable }
    }

    private static let unreadable = StoreUnusable(
        "the database's URL can't be read; it is postgres://user:password@host:port/database, and of a password all but "
            + "letters, digits, '-', '.', '_' and '~' is written as % and two hex digits")

    /// A connection that is ready for work. Throws `StoreUnusable` with what libpq says.
    func connect() throws -> PostgresConnection {
        // What stands before `dbname` is a default that the URL may change, what stands behind it is not.
        let settings: [(String, String)] = [
            ("application_name", "tipwire"), ("connect_timeout", String(Self.connectTimeoutSeconds)),
            ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "3"),
            ("tcp_user_timeout", String(Self.networkTimeoutMilliseconds)),
            ("dbname", url),
            // Of several hosts the one that can be written.
            ("target_session_attrs", "read-write"), ("client_encoding", "UTF8"),
        ]
        let handle = withTexts(settings.map(\.0)) { keywords in
            withTexts(settings.map(\.1)) { values in library.connect(keywords, values, 1) }
        }
        guard let handle else { throw StoreUnusable("the PostgreSQL database can't be used: there is no memory left") }
        guard library.status(handle) == LibPQ.connected else {
            let text = library.errorMessage(handle).map { String(cString: $0) } ?? "it can't be reached"
            library.finish(handle)
            throw Self.unusable(text)
        }
        // Notices ("already exists, skipping") go to standard error, unless someone takes them.
        _ = library.setNoticeProcessor(handle, { _, _ in }, nil)
        let db = PostgresConnection(library, handle)
        do {
            try prepare(db)
        } catch let error as PostgresError {
            throw Self.unusable(error.description)
        }
        return db
    }

    static func unusable(_ text: String) -> StoreUnusable {
        // libpq writes several lines.
        let line = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return StoreUnusable("the PostgreSQL database can't be used: \(line)")
    }

    private func prepare(_ db: PostgresConnection) throws {
        guard db.serverVersion >= 150_000 else {
            throw StoreUnusable(
                "the PostgreSQL database can't be used: the server is version \(db.serverVersion / 10_000), and Tipwire "
                    + "needs 15 or later")
        }
        let encoding = db.setting("server_encoding")
        guard encoding == "UTF8" else {
            throw StoreUnusable(
                "the PostgreSQL database can't be used: its encoding is \(encoding), and Tipwire needs UTF8; make one with "
                    + "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0")
        }
        try db.script(
            """
            SET search_path = tipwire;
            SET idle_session_timeout = 0;
            SET idle_in_transaction_session_timeout = '\(Self.standstillSeconds)s';
            SET lock_timeout = '\(Self.standstillSeconds)s'
            """)
        // A commit that was answered must survive the loss of power. Nobody who sets this for a database means
        // Tipwire's.
        let synchronous: String = try db.execute("SHOW synchronous_commit")[0][0]
        if synchronous == "off" { try db.script("SET synchronous_commit = on") }
    }
}

/// Calls `body` with texts as libpq takes a list of them: each ends with a NUL, and the list with no address.
private func withTexts<T>(_ texts: [String], _ body: (UnsafePointer<LibPQ.Text?>) -> T) -> T {
    var bytes: [CChar] = []
    let starts = texts.map { text in
        defer { bytes += text.utf8CString }
        return bytes.count
    }
    return bytes.withUnsafeBufferPointer { buffer in
        body(starts.map { buffer.baseAddress! + $0 } + [nil])
    }
}

extension PostgresConnection {
    /// For a connection whose transactions hold what those of all nodes wait for: a process that stands still in the middle of
    /// one loses it after two seconds.
    func shortenStandstill() throws { try script("SET idle_in_transaction_session_timeout = '2s'") }
}
