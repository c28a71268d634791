import GRDB
import TipwireCore

/// The tables, and how a database of any earlier version gets to them.
///
/// Migrations only go forward, and one that was released is never edited: the tests keep each old schema as text and
/// migrate from it. Constraints come first, so that a mistake in this program is refused rather than stored. Times are
/// milliseconds since 1970, `Timestamp`'s own unit.
enum Schema {
    /// "Tipw" in the file's header: says whose database this is.
    static let applicationID = 0x5469_7077

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("0001-tips-and-log") { db in
            try db.execute(sql: "PRAGMA application_id = \(applicationID)")
            try db.execute(sql: log + directory + tips + sessions)
            try db.execute(
                sql: """
                    INSERT INTO log (id, epoch, head, pruned_through, committed_at, events, bytes)
                    VALUES (1, ?, 0, 0, 0, 0, 0)
                    """,
                arguments: [PublicID.epoch()])
        }
        migrator.registerMigration("0002-goals") { db in
            try db.execute(sql: goalTable("goals") + goalTable("pruned_goals") + corrections)
        }
        migrator.registerMigration("0003-eventsub-sockets") { db in
            try db.execute(sql: sockets)
        }
        migrator.registerMigration("0004-webhooks") { db in
            try db.execute(sql: webhooks + deliveries)
        }
        migrator.registerMigration("0005-dead-deliveries") { db in
            try db.execute(sql: deadDeliveries)
        }
        migrator.registerMigration("0006-overlays") { db in
            try db.execute(sql: overlays)
        }
        return migrator
    }

    /// Throws `StoreUnusable` unless the file is empty, or a Tipwire database of this version or an older one.
    static func requireReadable(_ db: Database, path: String) throws {
        // The migrator commits its own table before the first migration. A start that was killed between the two has left
        // just that, and must not keep the next one from finishing.
        let isEmpty =
            try Int.fetchOne(
                db, sql: "SELECT count(*) FROM sqlite_master WHERE tbl_name <> 'grdb_migrations'") == 0
        guard !isEmpty else { return }
        guard try Int.fetchOne(db, sql: "PRAGMA application_id") == applicationID else {
            throw StoreUnusable("the database \(path) can't be used: it belongs to another program")
        }
        guard try !migrator.hasBeenSuperseded(db) else {
            throw StoreUnusable(
                "the database \(path) can't be used: a newer version of Tipwire has written it; run that version, "
                    + "or restore a backup that this one made")
        }
    }
}

// MARK: - 0001-tips-and-log

extension Schema {
    private static let log = """
        -- Always one row. Every commit that adds events reads it first and writes it last.
        CREATE TABLE log (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            epoch TEXT NOT NULL CHECK (length(epoch) > 0),
            head INTEGER NOT NULL,
            pruned_through INTEGER NOT NULL CHECK (pruned_through BETWEEN 0 AND head),
            committed_at INTEGER NOT NULL,
            events INTEGER NOT NULL CHECK (events BETWEEN 0 AND head - pruned_through),
            bytes INTEGER NOT NULL CHECK (bytes >= 0)
        ) STRICT;

        """

    /// AUTOINCREMENT, so that the number of a deleted account or page never comes to stand for another one.
    ///
    /// A page keeps its account from being deleted: nobody loses a page, its tips and its events by the way.
    private static let directory = """
        CREATE TABLE accounts (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            public_id TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL UNIQUE,
            password_hash TEXT,
            created_at INTEGER NOT NULL
        ) STRICT;

        CREATE TABLE pages (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            public_id TEXT NOT NULL UNIQUE,
            slug TEXT NOT NULL UNIQUE,
            title TEXT NOT NULL,
            custom_url TEXT,
            currency TEXT NOT NULL CHECK (length(currency) = 3),
            owner INTEGER NOT NULL REFERENCES accounts (id),
            created_at INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX pages_by_owner ON pages (owner);

        CREATE TABLE members (
            page_id INTEGER NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            account_id INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            PRIMARY KEY (page_id, account_id)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX members_by_account ON members (account_id);

        -- scopes: separated by spaces, in the order they were given.
        -- is_limited: the key sees only the pages in key_pages, even when all of those are gone.
        CREATE TABLE keys (
            id TEXT NOT NULL PRIMARY KEY,
            prefix TEXT NOT NULL,
            hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
            name TEXT NOT NULL,
            account_id INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            scopes TEXT NOT NULL,
            is_limited INTEGER NOT NULL CHECK (is_limited IN (0, 1)),
            created_at INTEGER NOT NULL,
            expires_at INTEGER,
            last_used_at INTEGER
        ) STRICT;
        CREATE INDEX keys_by_account ON keys (account_id);

        CREATE TABLE key_pages (
            key_id TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
            page_id INTEGER NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            PRIMARY KEY (key_id, page_id)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX key_pages_by_page ON key_pages (page_id);

        """

    /// `tips` and `events` are stored in the order of the log, under their sequence; a page's own are found by an index
    /// on `page_id` alone, because SQLite ends every index entry with that very number.
    private static let tips = """
        -- first_sequence, last_sequence: the events that the tip caused when it was new.
        CREATE TABLE tips (
            last_sequence INTEGER PRIMARY KEY,
            first_sequence INTEGER NOT NULL CHECK (first_sequence BETWEEN 1 AND last_sequence),
            page_id INTEGER NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            id TEXT NOT NULL CHECK (length(id) BETWEEN 1 AND 64),
            display_name TEXT NOT NULL,
            message TEXT NOT NULL,
            gross INTEGER NOT NULL CHECK (gross > 0),
            fee INTEGER NOT NULL CHECK (fee BETWEEN 0 AND gross),
            is_anonymous INTEGER NOT NULL CHECK (is_anonymous = (display_name = '')),
            stated_created_at INTEGER,
            created_at INTEGER NOT NULL CHECK (created_at = coalesce(stated_created_at, processed_at)),
            processed_at INTEGER NOT NULL,
            refunded_at INTEGER,
            UNIQUE (page_id, id)
        ) STRICT;
        CREATE INDEX tips_by_page ON tips (page_id);

        -- Which tip a call with this Idempotency-Key made or met.
        CREATE TABLE idempotency (
            page_id INTEGER NOT NULL,
            key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 64),
            tip_id TEXT NOT NULL,
            PRIMARY KEY (page_id, key),
            FOREIGN KEY (page_id, tip_id) REFERENCES tips (page_id, id) ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID;

        -- data: the JSON of EventData.
        CREATE TABLE events (
            sequence INTEGER PRIMARY KEY CHECK (sequence > 0),
            page_id INTEGER NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            kind TEXT NOT NULL,
            time INTEGER NOT NULL,
            data TEXT NOT NULL
        ) STRICT;
        CREATE INDEX events_by_page ON events (page_id);

        """

    private static let sessions = """
        CREATE TABLE login_codes (
            hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
            account_id INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            expires_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX login_codes_by_account ON login_codes (account_id);

        CREATE TABLE sessions (
            hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
            account_id INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            expires_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX sessions_by_account ON sessions (account_id);
        """
}

// MARK: - 0002-goals

extension Schema {
    private static let corrections = """
        -- credits: what the tip gave to goals, a JSON object of goal ids and amounts; NULL for nothing.
        ALTER TABLE tips ADD COLUMN credits TEXT CHECK (credits IS NULL OR json_valid(credits));
        -- The events of its refund.
        ALTER TABLE tips ADD COLUMN refund_first_sequence INTEGER;
        ALTER TABLE tips ADD COLUMN refund_last_sequence INTEGER
            CHECK ((refund_last_sequence IS NULL) = (refunded_at IS NULL)
                AND (refund_first_sequence IS NULL) = (refunded_at IS NULL));

        -- What a refund or an adjustment with this Idempotency-Key did. Keys are shared with the table idempotency: one
        -- page's key stands for one thing.
        -- tip_id: of a refund, whose answer is kept with the tip.
        -- goal_id and what follows: of an adjustment, what was asked for and the answer.
        -- goal_state: active, queued or completed.
        CREATE TABLE corrections (
            page_id INTEGER NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 64),
            tip_id TEXT,
            goal_id TEXT,
            adjustment INTEGER,
            reason TEXT,
            description TEXT,
            amount INTEGER,
            progress INTEGER,
            goal_state TEXT,
            first_sequence INTEGER,
            last_sequence INTEGER,
            PRIMARY KEY (page_id, key),
            CHECK ((tip_id IS NULL) <> (goal_id IS NULL))
        ) STRICT, WITHOUT ROWID;
        """

    /// A goal is completed exactly when its progress is its amount. `pruned_goals` holds the goals as they stood at
    /// `log.pruned_through`: where the rest of the log goes on from.
    private static func goalTable(_ name: String) -> String {
        """
        CREATE TABLE \(name) (
            page_id INTEGER NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            id TEXT NOT NULL,
            position INTEGER NOT NULL,
            description TEXT NOT NULL,
            amount INTEGER NOT NULL CHECK (amount > 0),
            progress INTEGER NOT NULL CHECK (progress BETWEEN 0 AND amount),
            PRIMARY KEY (page_id, id)
        ) STRICT, WITHOUT ROWID;

        """
    }
}

// MARK: - 0003-eventsub-sockets

extension Schema {
    private static let sockets = """
        -- position: the last sequence that the subscription was told of; NULL: it is level, see socket_level.
        CREATE TABLE socket_subscriptions (
            id TEXT NOT NULL PRIMARY KEY,
            page_id INTEGER NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            account_id INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            key_id TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
            type TEXT NOT NULL,
            minimum_amount TEXT,
            minimum_cents INTEGER CHECK ((minimum_cents IS NULL) = (minimum_amount IS NULL)),
            created_at INTEGER NOT NULL,
            position INTEGER
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX socket_subscriptions_by_page ON socket_subscriptions (page_id);
        CREATE INDEX socket_subscriptions_by_account ON socket_subscriptions (account_id);
        CREATE INDEX socket_subscriptions_by_key ON socket_subscriptions (key_id);

        -- Always one row: what all level subscriptions have been told of.
        CREATE TABLE socket_level (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            sequence INTEGER NOT NULL CHECK (sequence >= 0)
        ) STRICT;
        INSERT INTO socket_level VALUES (1, 0);
        """
}

// MARK: - 0004-webhooks

extension Schema {
    private static let webhooks = """
        -- key_id: the key that made it, which may be gone; NULL: a signed-in browser made it.
        -- position: what the log has been read through for it; NULL: it is level, see webhook_level.
        -- disabled: why nothing is sent; NULL: it is enabled.
        CREATE TABLE webhooks (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            page_id INTEGER NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            account_id INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            key_id TEXT,
            type TEXT NOT NULL,
            minimum_amount TEXT,
            minimum_cents INTEGER CHECK ((minimum_cents IS NULL) = (minimum_amount IS NULL)),
            created_at INTEGER NOT NULL,
            callback TEXT NOT NULL,
            position INTEGER,
            disabled TEXT CHECK (disabled IS NULL OR position IS NOT NULL),
            failing_since INTEGER
        ) STRICT;
        CREATE INDEX webhooks_by_page ON webhooks (page_id);
        CREATE INDEX webhooks_by_account ON webhooks (account_id);

        -- The one that holds has no expires_at, and is number 0.
        CREATE TABLE webhook_secrets (
            webhook INTEGER NOT NULL REFERENCES webhooks (number) ON DELETE CASCADE,
            number INTEGER NOT NULL CHECK (number >= 0),
            secret TEXT NOT NULL CHECK (secret GLOB 'whsec_*'),
            expires_at INTEGER CHECK ((expires_at IS NULL) = (number = 0)),
            PRIMARY KEY (webhook, number)
        ) STRICT, WITHOUT ROWID;

        -- Always one row: what the log has been read through for all level webhooks.
        CREATE TABLE webhook_level (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            sequence INTEGER NOT NULL CHECK (sequence >= 0)
        ) STRICT;
        INSERT INTO webhook_level VALUES (1, 0);

        """

    /// A delivery in its own row, found by what it tells of; the message is made again from the log for each attempt. Most
    /// deliveries are in the index of pending ones for some milliseconds, and never in that of retries.
    private static let deliveries = """
        -- due_at: of a pending one; 0: it waits for its first attempt, in the order of the table.
        -- round: attempts since it was last put back to the beginning of the schedule.
        -- reason: why it is dead.
        CREATE TABLE webhook_deliveries (
            webhook INTEGER NOT NULL REFERENCES webhooks (number) ON DELETE CASCADE,
            sequence INTEGER NOT NULL CHECK (sequence >= 0),
            test INTEGER NOT NULL CHECK (test >= 0),
            created_at INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
            due_at INTEGER CHECK ((due_at IS NOT NULL) = (state = 'pending')),
            attempts INTEGER NOT NULL CHECK (attempts >= 0),
            round INTEGER NOT NULL CHECK (round BETWEEN 0 AND attempts),
            reason TEXT CHECK ((reason IS NOT NULL) = (state = 'dead')),
            PRIMARY KEY (webhook, sequence, test)
        ) STRICT, WITHOUT ROWID;
        -- With state, though it is the same in all of it: only an index with all columns of a query spares SQLite the
        -- table.
        CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (webhook, sequence, test, due_at, state)
            WHERE state = 'pending';
        CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook, due_at) WHERE due_at > 0;

        -- What a test tells of, since no event of the log does.
        CREATE TABLE webhook_tests (
            webhook INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            test INTEGER NOT NULL CHECK (test > 0),
            id TEXT NOT NULL,
            kind TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (webhook, sequence, test),
            UNIQUE (webhook, id),
            FOREIGN KEY (webhook, sequence, test) REFERENCES webhook_deliveries (webhook, sequence, test)
                ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID;

        -- number: from 1, over all rounds. duration: milliseconds. answer: the beginning of its body.
        CREATE TABLE webhook_attempts (
            webhook INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            test INTEGER NOT NULL,
            number INTEGER NOT NULL CHECK (number > 0),
            began_at INTEGER NOT NULL,
            duration INTEGER NOT NULL CHECK (duration >= 0),
            status INTEGER,
            code TEXT NOT NULL,
            outcome TEXT NOT NULL,
            address TEXT,
            answer TEXT NOT NULL,
            PRIMARY KEY (webhook, sequence, test, number),
            FOREIGN KEY (webhook, sequence, test) REFERENCES webhook_deliveries (webhook, sequence, test)
                ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID;
        """
}

// MARK: - 0005-dead-deliveries

extension Schema {
    /// Counted wherever webhooks are listed; without it each count would read all deliveries of a webhook.
    private static let deadDeliveries = """
        CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (webhook, state) WHERE state = 'dead';
        """
}

// MARK: - 0006-overlays

extension Schema {
    private static let overlays = """
        ALTER TABLE pages ADD COLUMN alerts_paused INTEGER NOT NULL DEFAULT 0 CHECK (alerts_paused IN (0, 1));
        ALTER TABLE pages ADD COLUMN alerts_muted INTEGER NOT NULL DEFAULT 0 CHECK (alerts_muted IN (0, 1));

        -- The screens that overlays were seen on. key_id names a key that may be gone.
        CREATE TABLE screens (
            page_id INTEGER NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
            screen TEXT NOT NULL CHECK (length(screen) BETWEEN 1 AND 64),
            kind TEXT NOT NULL CHECK (kind IN ('alerts', 'goal', 'recent')),
            key_id TEXT,
            last_seen_at INTEGER NOT NULL,
            last_shown_at INTEGER,
            PRIMARY KEY (page_id, screen, kind)
        ) STRICT, WITHOUT ROWID;

        -- What became of a tip on a screen. sequence: the latest event that brought it there.
        CREATE TABLE receipts (
            page_id INTEGER NOT NULL,
            tip_id TEXT NOT NULL,
            screen TEXT NOT NULL CHECK (length(screen) BETWEEN 1 AND 64),
            kind TEXT NOT NULL CHECK (kind IN ('alerts', 'goal', 'recent')),
            sequence INTEGER NOT NULL CHECK (sequence > 0),
            received_at INTEGER NOT NULL,
            shown_at INTEGER,
            PRIMARY KEY (page_id, tip_id, screen, kind),
            FOREIGN KEY (page_id, tip_id) REFERENCES tips (page_id, id) ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX receipts_by_time ON receipts (page_id, shown_at, sequence) WHERE shown_at IS NOT NULL;
        """
}
