@testable import TipwireStore

extension SchemaFixture {
    static let webhooks = SchemaFixture(
        migration: "0004-webhooks",
        schema: sockets.schema + #"""

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

            CREATE TABLE webhook_secrets (
                webhook INTEGER NOT NULL REFERENCES webhooks (number) ON DELETE CASCADE,
                number INTEGER NOT NULL CHECK (number >= 0),
                secret TEXT NOT NULL CHECK (secret GLOB 'whsec_*'),
                expires_at INTEGER CHECK ((expires_at IS NULL) = (number = 0)),
                PRIMARY KEY (webhook, number)
            ) STRICT, WITHOUT ROWID;

            CREATE TABLE webhook_level (
                id INTEGER PRIMARY KEY CHECK (id = 1),
                sequence INTEGER NOT NULL CHECK (sequence >= 0)
            ) STRICT;

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
            CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (webhook, sequence, test, due_at, state)
                WHERE state = 'pending';
            CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook, due_at) WHERE due_at > 0;

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
            """#,
        rows: sockets.rows + #"""

            INSERT INTO webhook_level VALUES (1, 3);
            INSERT INTO webhooks VALUES
                (4, '1-7-1700000000:1-00000000000000cc', 7, 1, 'k1', 'alerts.notifications', '5.00', 500, 1700000000000,
                    'https://bot.example/tips', NULL, NULL, NULL),
                (6, '2-7-1700000000:2-00000000000000dd', 7, 2, NULL, 'goals.queue', NULL, NULL, 1700000000000,
                    'https://bot.example/goals', 2, 'the endpoint answered 410', 1700000002000);
            INSERT INTO webhook_secrets VALUES
                (4, 0, 'whsec_bmV3', NULL), (4, 1, 'whsec_b2xk', 1800000000000), (6, 0, 'whsec_b25l', NULL);
            INSERT INTO webhook_deliveries VALUES
                (4, 1, 0, 1700000001000, 'dead', NULL, 0, 0, 'no longer in the log'),
                (4, 2, 0, 1700000001000, 'delivered', NULL, 1, 1, NULL),
                (4, 3, 0, 1700000002000, 'pending', 1700000900000, 1, 1, NULL),
                (4, 3, 1, 1700000003000, 'pending', 0, 0, 0, NULL);
            INSERT INTO webhook_tests SELECT 4, 3, 1, 'test-1', kind, data FROM events WHERE sequence = 3;
            INSERT INTO webhook_attempts VALUES
                (4, 2, 0, 1, 1700000001100, 40, 200, 'delivered', 'answered 200', '198.51.100.7', 'ok'),
                (4, 3, 0, 1, 1700000002100, 15000, NULL, 'head_timeout', 'no answer came in time', '198.51.100.7', '');
            """#)
}
