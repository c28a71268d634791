@testable import TipwireStore

extension SchemaFixture {
    static let sockets = SchemaFixture(
        migration: "0003-eventsub-sockets",
        schema: goals.schema + #"""

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

            CREATE TABLE socket_level (
                id INTEGER PRIMARY KEY CHECK (id = 1),
                sequence INTEGER NOT NULL CHECK (sequence >= 0)
            ) STRICT;
            """#,
        rows: goals.rows + #"""

            INSERT INTO socket_level VALUES (1, 3);
            INSERT INTO socket_subscriptions VALUES
                ('1-7-1700000000:1-00000000000000aa', 7, 1, 'k1', 'alerts.notifications', '5.00', 500, 1700000000000, 2),
                ('1-7-1700000000:2-00000000000000bb', 7, 1, 'k1', 'goals.queue', NULL, NULL, 1700000000000, NULL);
            """#)
}
