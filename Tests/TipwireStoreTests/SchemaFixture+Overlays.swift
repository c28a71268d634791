@testable import TipwireStore

extension SchemaFixture {
    static let overlays = SchemaFixture(
        migration: "0006-overlays",
        schema: deadDeliveries.schema + #"""

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
            """#,
        rows: deadDeliveries.rows.replacing(
            "INSERT INTO pages VALUES",
            with: """
                INSERT INTO pages (id, public_id, slug, title, custom_url, currency, owner, created_at) VALUES
                """)
                + #"""

                INSERT INTO screens VALUES (7, 'obs', 'alerts', 'key-1', 7000, 7000);
                INSERT INTO receipts VALUES (7, 'tip-2', 'obs', 'alerts', 3, 6000, 7000);
                """#)
}
