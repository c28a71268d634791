import TipwireCore
import TipwireStore

/// The tables, and how an older database gets them.
///
/// Trusts constraints first, as the tables in SQLite do, of which these are the counterparts: what one store refuses, the other
/// does. Texts are compared by their bytes (`COLLATE "C"`): identifiers are no words of any language.
enum Schema {
    /// Where all of it lives, so that one database may serve other programs too.
    static let name = "tipwire"

    /// Held while the schema is looked at and changed: `tipwire` in hexadecimal digits of ASCII.
    private static let lock: Int64 = 0x74_6970_7769_7265

    /// Never changed once released, only added to. Each runs once.
    private static let migrations = [
        (name: "0001-all", script: tables), (name: "0002-nodes", script: nodes),
        (name: "0003-overlays", script: overlaysOfNodes), (name: "0004-standing", script: standingOfNodes),
    ]

    /// Brings the schema up to date, or finds that it is. Whoever comes at the same time waits here.
    static func migrate(_ db: PostgresConnection) throws {
        // A lock of the session: it goes with a connection that fails. Migrations may take long, and whoever waits for them
        // waits.
        try db.script("SET lock_timeout = 0")
        try db.execute("SELECT pg_advisory_lock($1)", lock)
        try makeSchema(db)
        // Somebody else's table of that name may hold anything.
        let done = Set(try db.execute("SELECT name FROM migrations WHERE name IS NOT NULL").map { $0[0] as String })
        try requireKnown(done)
        for (name, script) in migrations where !done.contains(name) {
            try Transaction.write.run(on: db) { db in
                try db.script(script)
                try db.execute("INSERT INTO migrations (name) VALUES ($1)", name)
                if name == migrations[0].name {
                    try db.execute("INSERT INTO log VALUES (1, $1, 0, 0, 0, 0, 0)", PublicID.epoch())
                }
            }
        }
        try db.execute("SELECT pg_advisory_unlock($1)", lock)
    }

    /// Throws `StoreUnusable` unless the tables are there, and those of this version.
    static func requireCurrent(_ db: PostgresConnection) throws {
        let hasTables: Bool = try db.execute("SELECT to_regclass('\(name).migrations') IS NOT NULL")[0][0]
        guard hasTables else {
            throw StoreUnusable("the PostgreSQL database is empty: no server was ever started on it")
        }
        let done = Set(try db.execute("SELECT name FROM migrations WHERE name IS NOT NULL").map { $0[0] as String })
        try requireKnown(done)
        guard migrations.allSatisfy({ done.contains($0.name) }) else {
            throw StoreUnusable(
                "the PostgreSQL database is of an older version; start this version's server on it once")
        }
    }

    private static func requireKnown(_ done: Set<String>) throws {
        if let unknown = done.subtracting(migrations.map(\.name)).max() {
            throw StoreUnusable(
                "the PostgreSQL database can't be used: a newer Tipwire (\(unknown.filter { !$0.isNewline })) has written it; start that version, or "
                    + "restore a backup of before")
        }
    }

    private static func makeSchema(_ db: PostgresConnection) throws {
        // Asked for first: to make what is there already needs a right that the server's user may not have.
        let isThere: Bool = try db.execute("SELECT to_regclass('\(name).migrations') IS NOT NULL")[0][0]
        guard !isThere else { return }
        do {
            try Transaction.write.run(on: db) { db in
                try db.script(
                    """
                    CREATE SCHEMA IF NOT EXISTS \(name);
                    CREATE TABLE migrations (name TEXT COLLATE "C" NOT NULL PRIMARY KEY)
                    """)
            }
        } catch let error as PostgresError where error.state == "42501" {
            throw StoreUnusable(
                "the PostgreSQL database can't be used: its user may not make the schema \(name) in it; let its owner do "
                    + "GRANT CREATE ON DATABASE … TO …")
        }
    }

    private static let tables = [log, directory, tips, goals, sessions, sockets, webhooks, screens].joined(
        separator: "\n")
}

// MARK: - The tables

extension Schema {
    private static let log = """
        -- Always one row. Every commit that adds events reads it first and writes it last.
        CREATE TABLE log (
            id BIGINT PRIMARY KEY CHECK (id = 1),
            epoch TEXT COLLATE "C" NOT NULL CHECK (length(epoch) > 0),
            head BIGINT NOT NULL,
            pruned_through BIGINT NOT NULL CHECK (pruned_through BETWEEN 0 AND head),
            committed_at BIGINT NOT NULL,
            events BIGINT NOT NULL CHECK (events BETWEEN 0 AND head - pruned_through),
            bytes BIGINT NOT NULL CHECK (bytes >= 0)
        );
        -- Which server used the database, when it was one alone.
        CREATE TABLE claims (
            id BIGINT PRIMARY KEY CHECK (id = 1),
            token BIGINT NOT NULL
        );
        -- What each batch has left beside its head: see LogMemory.
        CREATE TABLE batches (
            head BIGINT PRIMARY KEY,
            token BIGINT NOT NULL
        );
        """

    private static let directory = """
        CREATE TABLE accounts (
            id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
            public_id TEXT COLLATE "C" NOT NULL UNIQUE,
            name TEXT COLLATE "C" NOT NULL UNIQUE,
            password_hash TEXT COLLATE "C",
            created_at BIGINT NOT NULL
        );
        CREATE TABLE pages (
            id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
            public_id TEXT COLLATE "C" NOT NULL UNIQUE,
            slug TEXT COLLATE "C" NOT NULL UNIQUE,
            title TEXT COLLATE "C" NOT NULL,
            custom_url TEXT COLLATE "C",
            currency TEXT COLLATE "C" NOT NULL CHECK (length(currency) = 3),
            owner BIGINT NOT NULL REFERENCES accounts (id),
            created_at BIGINT NOT NULL,
            alerts_paused BOOLEAN NOT NULL DEFAULT false,
            alerts_muted BOOLEAN NOT NULL DEFAULT false
        );
        CREATE INDEX pages_by_owner ON pages (owner);
        CREATE TABLE members (
            page_id BIGINT NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            PRIMARY KEY (page_id, account_id)
        );
        CREATE INDEX members_by_account ON members (account_id);
        -- scopes: separated by spaces, in the order they were given.
        -- is_limited: the key sees only the pages in key_pages, even when all of those are gone.
        CREATE TABLE keys (
            id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
            prefix TEXT COLLATE "C" NOT NULL,
            hash BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
            name TEXT COLLATE "C" NOT NULL,
            account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            scopes TEXT COLLATE "C" NOT NULL,
            is_limited BOOLEAN NOT NULL,
            created_at BIGINT NOT NULL,
            expires_at BIGINT,
            last_used_at BIGINT
        );
        CREATE INDEX keys_by_account ON keys (account_id);
        CREATE TABLE key_pages (
            key_id TEXT COLLATE "C" NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
            page_id BIGINT NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            PRIMARY KEY (key_id, page_id)
        );
        CREATE INDEX key_pages_by_page ON key_pages (page_id);
        """

    private static let tips = """
        -- first_sequence, last_sequence: the events that the tip caused when it was new.
        CREATE TABLE tips (
            last_sequence BIGINT PRIMARY KEY,
            first_sequence BIGINT NOT NULL CHECK (first_sequence BETWEEN 1 AND last_sequence),
            page_id BIGINT NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            id TEXT COLLATE "C" NOT NULL CHECK (length(id) BETWEEN 1 AND 64),
            display_name TEXT COLLATE "C" NOT NULL,
            message TEXT COLLATE "C" NOT NULL,
            gross BIGINT NOT NULL CHECK (gross > 0),
            fee BIGINT NOT NULL CHECK (fee BETWEEN 0 AND gross),
            is_anonymous BOOLEAN NOT NULL CHECK (is_anonymous = (display_name = '')),
            stated_created_at BIGINT,
            created_at BIGINT NOT NULL CHECK (created_at = coalesce(stated_created_at, processed_at)),
            processed_at BIGINT NOT NULL,
            refunded_at BIGINT,
            -- What the tip gave to goals, a JSON object of goal ids and amounts; NULL for nothing.
            credits TEXT COLLATE "C",
            -- The events of its refund.
            refund_first_sequence BIGINT CHECK ((refund_first_sequence IS NULL) = (refunded_at IS NULL)),
            refund_last_sequence BIGINT CHECK ((refund_last_sequence IS NULL) = (refunded_at IS NULL)),
            UNIQUE (page_id, id)
        );
        CREATE INDEX tips_by_page ON tips (page_id, last_sequence);
        -- Which tip a call with this Idempotency-Key made or met.
        CREATE TABLE idempotency (
            page_id BIGINT NOT NULL,
            key TEXT COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 64),
            tip_id TEXT COLLATE "C" NOT NULL,
            PRIMARY KEY (page_id, key),
            FOREIGN KEY (page_id, tip_id) REFERENCES tips (page_id, id) ON DELETE CASCADE
        );
        -- For a page that is deleted: each of its tips looks for its keys, and without this through all of the page's.
        CREATE INDEX idempotency_by_tip ON idempotency (page_id, tip_id);
        -- data: the JSON of EventData.
        CREATE TABLE events (
            sequence BIGINT PRIMARY KEY CHECK (sequence > 0),
            page_id BIGINT NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            kind TEXT COLLATE "C" NOT NULL,
            time BIGINT NOT NULL,
            data TEXT COLLATE "C" NOT NULL
        );
        CREATE INDEX events_by_page ON events (page_id, sequence);
        """

    private static let goals = """
        -- What a refund or an adjustment with this Idempotency-Key did. Keys are shared with the table idempotency: one
        -- page's key stands for one thing.
        -- tip_id: of a refund, whose answer is kept with the tip.
        -- goal_id and what follows: of an adjustment, what was asked for and the answer.
        -- goal_state: active, queued or completed.
        CREATE TABLE corrections (
            page_id BIGINT NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            key TEXT COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 64),
            tip_id TEXT COLLATE "C",
            goal_id TEXT COLLATE "C",
            adjustment BIGINT,
            reason TEXT COLLATE "C",
            description TEXT COLLATE "C",
            amount BIGINT,
            progress BIGINT,
            goal_state TEXT COLLATE "C",
            first_sequence BIGINT,
            last_sequence BIGINT,
            PRIMARY KEY (page_id, key),
            CHECK ((tip_id IS NULL) <> (goal_id IS NULL))
        );
        CREATE TABLE goals (
            page_id BIGINT NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            id TEXT COLLATE "C" NOT NULL,
            position BIGINT NOT NULL,
            description TEXT COLLATE "C" NOT NULL,
            amount BIGINT NOT NULL CHECK (amount > 0),
            progress BIGINT NOT NULL CHECK (progress BETWEEN 0 AND amount),
            PRIMARY KEY (page_id, id)
        );
        CREATE TABLE pruned_goals (
            page_id BIGINT NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            id TEXT COLLATE "C" NOT NULL,
            position BIGINT NOT NULL,
            description TEXT COLLATE "C" NOT NULL,
            amount BIGINT NOT NULL CHECK (amount > 0),
            progress BIGINT NOT NULL CHECK (progress BETWEEN 0 AND amount),
            PRIMARY KEY (page_id, id)
        );
        """

    private static let sessions = """
        CREATE TABLE login_codes (
            hash BYTEA NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
            account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            expires_at BIGINT NOT NULL
        );
        CREATE INDEX login_codes_by_account ON login_codes (account_id);
        CREATE TABLE sessions (
            hash BYTEA NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
            account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            expires_at BIGINT NOT NULL
        );
        CREATE INDEX sessions_by_account ON sessions (account_id);
        """

    private static let sockets = """
        -- position: the last sequence that the subscription was told of; NULL: it is level, see socket_level.
        CREATE TABLE socket_subscriptions (
            id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
            page_id BIGINT NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            key_id TEXT COLLATE "C" NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
            type TEXT COLLATE "C" NOT NULL,
            minimum_amount TEXT COLLATE "C",
            minimum_cents BIGINT CHECK ((minimum_cents IS NULL) = (minimum_amount IS NULL)),
            created_at BIGINT NOT NULL,
            position BIGINT
        );
        CREATE INDEX socket_subscriptions_by_page ON socket_subscriptions (page_id);
        CREATE INDEX socket_subscriptions_by_account ON socket_subscriptions (account_id);
        CREATE INDEX socket_subscriptions_by_key ON socket_subscriptions (key_id);
        -- Always one row: what all level subscriptions have been told of.
        CREATE TABLE socket_level (
            id BIGINT PRIMARY KEY CHECK (id = 1),
            sequence BIGINT NOT NULL CHECK (sequence >= 0)
        );
        INSERT INTO socket_level VALUES (1, 0);
        """

    private static let webhooks = #"""
        -- key_id: the key that made it, which may be gone; NULL: a signed-in browser made it.
        -- position: what the log has been read through for it; NULL: it is level, see webhook_level.
        -- disabled: why nothing is sent; NULL: it is enabled.
        CREATE TABLE webhooks (
            number BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
            id TEXT COLLATE "C" NOT NULL UNIQUE,
            page_id BIGINT NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            key_id TEXT COLLATE "C",
            type TEXT COLLATE "C" NOT NULL,
            minimum_amount TEXT COLLATE "C",
            minimum_cents BIGINT CHECK ((minimum_cents IS NULL) = (minimum_amount IS NULL)),
            created_at BIGINT NOT NULL,
            callback TEXT COLLATE "C" NOT NULL,
            position BIGINT,
            disabled TEXT COLLATE "C" CHECK (disabled IS NULL OR position IS NOT NULL),
            failing_since BIGINT
        );
        CREATE INDEX webhooks_by_page ON webhooks (page_id);
        CREATE INDEX webhooks_by_account ON webhooks (account_id);
        -- The one that holds has no expires_at, and is number 0.
        CREATE TABLE webhook_secrets (
            webhook BIGINT NOT NULL REFERENCES webhooks (number) ON DELETE CASCADE,
            number BIGINT NOT NULL CHECK (number >= 0),
            secret TEXT COLLATE "C" NOT NULL CHECK (secret LIKE 'whsec\_%'),
            expires_at BIGINT CHECK ((expires_at IS NULL) = (number = 0)),
            PRIMARY KEY (webhook, number)
        );
        -- Always one row: what the log has been read through for all level webhooks.
        CREATE TABLE webhook_level (
            id BIGINT PRIMARY KEY CHECK (id = 1),
            sequence BIGINT NOT NULL CHECK (sequence >= 0)
        );
        INSERT INTO webhook_level VALUES (1, 0);
        -- due_at: of a pending one; 0: it waits for its first attempt, in the order of the table.
        -- round: attempts since it was last put back to the beginning of the schedule.
        -- reason: why it is dead.
        CREATE TABLE webhook_deliveries (
            webhook BIGINT NOT NULL REFERENCES webhooks (number) ON DELETE CASCADE,
            sequence BIGINT NOT NULL CHECK (sequence >= 0),
            test BIGINT NOT NULL CHECK (test >= 0),
            created_at BIGINT NOT NULL,
            state TEXT COLLATE "C" NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
            due_at BIGINT CHECK ((due_at IS NOT NULL) = (state = 'pending')),
            attempts BIGINT NOT NULL CHECK (attempts >= 0),
            round BIGINT NOT NULL CHECK (round BETWEEN 0 AND attempts),
            reason TEXT COLLATE "C" CHECK ((reason IS NOT NULL) = (state = 'dead')),
            PRIMARY KEY (webhook, sequence, test)
        );
        CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (webhook, sequence, test) WHERE state = 'pending';
        CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook, due_at, sequence, test) WHERE due_at > 0;
        -- What a test tells of, since no event of the log does.
        CREATE TABLE webhook_tests (
            webhook BIGINT NOT NULL,
            sequence BIGINT NOT NULL,
            test BIGINT NOT NULL CHECK (test > 0),
            id TEXT COLLATE "C" NOT NULL,
            kind TEXT COLLATE "C" NOT NULL,
            data TEXT COLLATE "C" NOT NULL,
            PRIMARY KEY (webhook, sequence, test),
            UNIQUE (webhook, id),
            FOREIGN KEY (webhook, sequence, test) REFERENCES webhook_deliveries (webhook, sequence, test)
                ON DELETE CASCADE
        );
        -- number: from 1, over all rounds. duration: milliseconds. answer: the beginning of its body.
        CREATE TABLE webhook_attempts (
            webhook BIGINT NOT NULL,
            sequence BIGINT NOT NULL,
            test BIGINT NOT NULL,
            number BIGINT NOT NULL CHECK (number > 0),
            began_at BIGINT NOT NULL,
            duration BIGINT NOT NULL CHECK (duration >= 0),
            status BIGINT,
            code TEXT COLLATE "C" NOT NULL,
            outcome TEXT COLLATE "C" NOT NULL,
            address TEXT COLLATE "C",
            answer BYTEA NOT NULL,
            PRIMARY KEY (webhook, sequence, test, number),
            FOREIGN KEY (webhook, sequence, test) REFERENCES webhook_deliveries (webhook, sequence, test)
                ON DELETE CASCADE
        );
        CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (webhook) WHERE state = 'dead';
        """#

    private static let screens = """
        -- The screens that overlays were seen on. key_id names a key that may be gone.
        CREATE TABLE screens (
            page_id BIGINT NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            screen TEXT COLLATE "C" NOT NULL CHECK (length(screen) BETWEEN 1 AND 64),
            kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('alerts', 'goal', 'recent')),
            key_id TEXT COLLATE "C",
            last_seen_at BIGINT NOT NULL,
            last_shown_at BIGINT,
            PRIMARY KEY (page_id, screen, kind)
        );
        -- What became of a tip on a screen. sequence: the latest event that brought it there.
        CREATE TABLE receipts (
            page_id BIGINT NOT NULL,
            tip_id TEXT COLLATE "C" NOT NULL,
            screen TEXT COLLATE "C" NOT NULL CHECK (length(screen) BETWEEN 1 AND 64),
            kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('alerts', 'goal', 'recent')),
            sequence BIGINT NOT NULL CHECK (sequence > 0),
            received_at BIGINT NOT NULL,
            shown_at BIGINT,
            PRIMARY KEY (page_id, tip_id, screen, kind),
            FOREIGN KEY (page_id, tip_id) REFERENCES tips (page_id, id) ON DELETE CASCADE
        );
        CREATE INDEX receipts_by_time ON receipts (page_id, shown_at, sequence) WHERE shown_at IS NOT NULL;
        """
}
