import GRDB
import TipwireCore

@testable import TipwireStore

/// A schema as a released program made it, and some rows in it, both as text: an old database that never changes.
///
/// Each migration adds one here when it is released. None is ever edited.
struct SchemaFixture: Sendable {
    /// The last migration that the program knew.
    let migration: String
    let schema: String
    let rows: String

    static let all = [first, goals, sockets, webhooks, deadDeliveries, overlays]

    func make(at path: String) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.write { db in
            try db.execute(sql: "PRAGMA application_id = 1416196215")
            try db.execute(sql: schema + rows)
            try db.execute(sql: "CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY)")
            for fixture in Self.all {
                try db.execute(sql: "INSERT INTO grdb_migrations VALUES (?)", arguments: [fixture.migration])
                if fixture.migration == migration { break }
            }
        }
        try queue.close()
    }
}

extension SchemaFixture {
    static let first = SchemaFixture(
        migration: "0001-tips-and-log",
        schema: #"""
            CREATE TABLE log (
                id INTEGER PRIMARY KEY CHECK (id = 1),
                epoch TEXT NOT NULL CHECK (length(epoch) > 0),
                head INTEGER NOT NULL,
                pruned_through INTEGER NOT NULL CHECK (pruned_through BETWEEN 0 AND head),
                committed_at INTEGER NOT NULL,
                events INTEGER NOT NULL CHECK (events BETWEEN 0 AND head - pruned_through),
                bytes INTEGER NOT NULL CHECK (bytes >= 0)
            ) STRICT;

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

            CREATE TABLE idempotency (
                page_id INTEGER NOT NULL,
                key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 64),
                tip_id TEXT NOT NULL,
                PRIMARY KEY (page_id, key),
                FOREIGN KEY (page_id, tip_id) REFERENCES tips (page_id, id) ON DELETE CASCADE
            ) STRICT, WITHOUT ROWID;

            CREATE TABLE events (
                sequence INTEGER PRIMARY KEY CHECK (sequence > 0),
                page_id INTEGER NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
                kind TEXT NOT NULL,
                time INTEGER NOT NULL,
                data TEXT NOT NULL
            ) STRICT;
            CREATE INDEX events_by_page ON events (page_id);

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
            """#,
        rows: #"""
            INSERT INTO log VALUES (1, '0badcafe', 3, 1, 1700000002000, 2, 820);
            INSERT INTO accounts VALUES
                (1, 'a1', 'admin', NULL, 1700000000000), (2, 'a2', 'bob', 'hash', 1700000000000);
            INSERT INTO pages VALUES
                (7, '1700000000000x123456789012345678', 'cats', 'Cats', NULL, 'USD', 1, 1700000000000);
            INSERT INTO members VALUES (7, 2);
            INSERT INTO keys VALUES
                ('k1', 'tw_00000001', zeroblob(32), 'one', 1, 'events:read tips:write', 1, 1700000000000, NULL, NULL),
                ('k2', 'tw_00000002', randomblob(32), 'two', 2, 'admin', 0, 1700000000001, 1800000000000, NULL);
            INSERT INTO key_pages VALUES ('k1', 7);
            INSERT INTO tips VALUES
                (1, 1, 7, 'tip-1', '', '', 100, 0, 1, 1600000000000, 1600000000000, 1700000001000, NULL),
                (2, 2, 7, 'tip-2', 'Ann', 'hi', 500, 20, 0, NULL, 1700000001000, 1700000001000, NULL);
            INSERT INTO idempotency VALUES (7, 'key-2', 'tip-2');
            INSERT INTO events VALUES
                (2, 7, 'tip.received', 1700000001000, '{"id":"tip-2","page":"cats","displayName":"Ann",'
                    || '"message":"hi","grossAmountInCents":500,"processingFeeInCents":20,"netAmountInCents":480,'
                    || '"currency":"USD","isAnonymous":false,"createdAt":"2023-11-14T22:13:21.000Z",'
                    || '"processedAt":"2023-11-14T22:13:21.000Z","refundedAt":null,'
                    || '"goalId":null,"goalProgress":null,"goalTarget":null}'),
                (3, 7, 'tip.replayed', 1700000002000, '{"id":"tip-2","page":"cats","displayName":"Ann",'
                    || '"message":"hi","grossAmountInCents":500,"processingFeeInCents":20,"netAmountInCents":480,'
                    || '"currency":"USD","isAnonymous":false,"createdAt":"2023-11-14T22:13:21.000Z",'
                    || '"processedAt":"2023-11-14T22:13:21.000Z","refundedAt":null}');
            -- SHA-256 of "session" and of "code".
            INSERT INTO sessions VALUES (x'3f3af1ecebbd1410ab417ec0d27bbfcb5d340e177ae159b59fc8626c2dfd9175', 1, 1800000000000);
            INSERT INTO login_codes VALUES (x'5694d08a2e53ffcae0c3103e5ad6f6076abd960eb1f8a56577040bc1028f702b', 2, 1800000000000);
            """#)
}
