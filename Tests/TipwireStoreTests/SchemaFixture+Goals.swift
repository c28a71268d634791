@testable import TipwireStore

extension SchemaFixture {
    static let goals = SchemaFixture(
        migration: "0002-goals",
        schema: first.schema + #"""

            CREATE TABLE goals (
                page_id INTEGER NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
                id TEXT NOT NULL,
                position INTEGER NOT NULL,
                description TEXT NOT NULL,
                amount INTEGER NOT NULL CHECK (amount > 0),
                progress INTEGER NOT NULL CHECK (progress BETWEEN 0 AND amount),
                PRIMARY KEY (page_id, id)
            ) STRICT, WITHOUT ROWID;

            CREATE TABLE pruned_goals (
                page_id INTEGER NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
                id TEXT NOT NULL,
                position INTEGER NOT NULL,
                description TEXT NOT NULL,
                amount INTEGER NOT NULL CHECK (amount > 0),
                progress INTEGER NOT NULL CHECK (progress BETWEEN 0 AND amount),
                PRIMARY KEY (page_id, id)
            ) STRICT, WITHOUT ROWID;

            ALTER TABLE tips ADD COLUMN credits TEXT CHECK (credits IS NULL OR json_valid(credits));
            ALTER TABLE tips ADD COLUMN refund_first_sequence INTEGER;
            ALTER TABLE tips ADD COLUMN refund_last_sequence INTEGER
                CHECK ((refund_last_sequence IS NULL) = (refunded_at IS NULL)
                    AND (refund_first_sequence IS NULL) = (refunded_at IS NULL));

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
            """#,
        rows: first.rows.replacing(
            "INSERT INTO tips VALUES",
            with: """
                INSERT INTO tips (last_sequence, first_sequence, page_id, id, display_name, message, gross, fee,
                    is_anonymous, stated_created_at, created_at, processed_at, refunded_at) VALUES
                """)
                + #"""

                INSERT INTO goals VALUES (7, 'g1', 0, 'Microphone', 2000, 500);
                INSERT INTO pruned_goals VALUES (7, 'g1', 0, 'Microphone', 2000, 0);
                INSERT INTO corrections (page_id, key, tip_id) VALUES (7, 'key-9', 'tip-1');
                """#)
}
