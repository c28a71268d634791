/// A table that every kind of store has under the same name, with the same columns.
///
/// What copies one store into another goes by this list: a table or a column that isn't in it would be lost. A test
/// holds it against the schemas of both.
package struct StoredTable: Sendable {
    package struct Column: Sendable {
        package let name: String
        package let kind: Kind
    }

    /// What a column holds, whatever the database calls it.
    package enum Kind: Sendable {
        case integer, flag, text, bytes
    }

    package let name: String
    package let columns: [Column]
    /// The column whose numbers are given out once and never again.
    package let numbered: String?

    private init(
        _ name: String, numbered: String? = nil, _ columns: KeyValuePairs<String, Kind>
    ) {
        self.name = name
        self.numbered = numbered
        self.columns = columns.map { Column(name: $0.key, kind: $0.value) }
    }

    package var columnList: String { columns.map(\.name).joined(separator: ", ") }
}

extension StoredTable {
    /// In an order in which each refers only to those before it.
    package static let all =
        [
            StoredTable(
                "log",
                [
                    "id": .integer, "epoch": .text, "head": .integer, "pruned_through": .integer,
                    "committed_at": .integer, "events": .integer, "bytes": .integer,
                ])
        ] + directory + tips + goals + sessions + subscriptions + deliveries + screens

    private static let directory = [
        StoredTable(
            "accounts", numbered: "id",
            ["id": .integer, "public_id": .text, "name": .text, "password_hash": .text, "created_at": .integer]),
        StoredTable(
            "pages", numbered: "id",
            [
                "id": .integer, "public_id": .text, "slug": .text, "title": .text, "custom_url": .text,
                "currency": .text, "owner": .integer, "created_at": .integer, "alerts_paused": .flag,
                "alerts_muted": .flag,
            ]),
        StoredTable("members", ["page_id": .integer, "account_id": .integer]),
        StoredTable(
            "keys",
            [
                "id": .text, "prefix": .text, "hash": .bytes, "name": .text, "account_id": .integer, "scopes": .text,
                "is_limited": .flag, "created_at": .integer, "expires_at": .integer, "last_used_at": .integer,
            ]),
        StoredTable("key_pages", ["key_id": .text, "page_id": .integer]),
    ]

    private static let tips = [
        StoredTable(
            "tips",
            [
                "last_sequence": .integer, "first_sequence": .integer, "page_id": .integer, "id": .text,
                "display_name": .text, "message": .text, "gross": .integer, "fee": .integer, "is_anonymous": .flag,
                "stated_created_at": .integer, "created_at": .integer, "processed_at": .integer,
                "refunded_at": .integer, "credits": .text, "refund_first_sequence": .integer,
                "refund_last_sequence": .integer,
            ]),
        StoredTable("idempotency", ["page_id": .integer, "key": .text, "tip_id": .text]),
        StoredTable(
            "events", ["sequence": .integer, "page_id": .integer, "kind": .text, "time": .integer, "data": .text]),
    ]

    private static let goals =
        [
            StoredTable(
                "corrections",
                [
                    "page_id": .integer, "key": .text, "tip_id": .text, "goal_id": .text, "adjustment": .integer,
                    "reason": .text, "description": .text, "amount": .integer, "progress": .integer,
                    "goal_state": .text, "first_sequence": .integer, "last_sequence": .integer,
                ])
        ]
        + ["goals", "pruned_goals"].map {
            StoredTable(
                $0,
                [
                    "page_id": .integer, "id": .text, "position": .integer, "description": .text, "amount": .integer,
                    "progress": .integer,
                ])
        }

    private static let sessions = ["login_codes", "sessions"].map {
        StoredTable($0, ["hash": .bytes, "account_id": .integer, "expires_at": .integer])
    }

    private static let subscriptions = [
        StoredTable(
            "socket_subscriptions",
            [
                "id": .text, "page_id": .integer, "account_id": .integer, "key_id": .text, "type": .text,
                "minimum_amount": .text, "minimum_cents": .integer, "created_at": .integer, "position": .integer,
            ]),
        StoredTable("socket_level", ["id": .integer, "sequence": .integer]),
        StoredTable(
            "webhooks", numbered: "number",
            [
                "number": .integer, "id": .text, "page_id": .integer, "account_id": .integer, "key_id": .text,
                "type": .text, "minimum_amount": .text, "minimum_cents": .integer, "created_at": .integer,
                "callback": .text, "position": .integer, "disabled": .text, "failing_since": .integer,
            ]),
        StoredTable(
            "webhook_secrets",
            ["webhook": .integer, "number": .integer, "secret": .text, "expires_at": .integer]),
        StoredTable("webhook_level", ["id": .integer, "sequence": .integer]),
    ]

    private static let deliveries = [
        StoredTable(
            "webhook_deliveries",
            [
                "webhook": .integer, "sequence": .integer, "test": .integer, "created_at": .integer, "state": .text,
                "due_at": .integer, "attempts": .integer, "round": .integer, "reason": .text,
            ]),
        StoredTable(
            "webhook_tests",
            [
                "webhook": .integer, "sequence": .integer, "test": .integer, "id": .text, "kind": .text,
                "data": .text,
            ]),
        // answer: a stranger's bytes, which SQLite keeps as text and PostgreSQL as they are.
        StoredTable(
            "webhook_attempts",
            [
                "webhook": .integer, "sequence": .integer, "test": .integer, "number": .integer, "began_at": .integer,
                "duration": .integer, "status": .integer, "code": .text, "outcome": .text, "address": .text,
                "answer": .bytes,
            ]),
    ]

    private static let screens = [
        StoredTable(
            "screens",
            [
                "page_id": .integer, "screen": .text, "kind": .text, "key_id": .text, "last_seen_at": .integer,
                "last_shown_at": .integer,
            ]),
        StoredTable(
            "receipts",
            [
                "page_id": .integer, "tip_id": .text, "screen": .text, "kind": .text, "sequence": .integer,
                "received_at": .integer, "shown_at": .integer,
            ]),
    ]
}
