/// A number that two stores with the same content agree on.
///
/// Counts alone would not notice an amount that was read wrong, and nobody reads a million rows twice to compare them.
package struct StoreMeasure: Sendable {
    /// For whoever has to hear that it differs.
    package let name: String
    /// One row, one integer; in the part of SQL that SQLite and PostgreSQL share.
    package let sql: String

    package static let all =
        StoredTable.all.map { StoreMeasure(name: "rows of '\($0.name)'", sql: "SELECT count(*) FROM \($0.name)") }
        + [
            sum("gross amounts of tips", "gross", of: "tips"),
            sum("fees of tips", "fee", of: "tips"),
            sum("progress of goals", "progress", of: "goals"),
            sum("amounts of goals", "amount", of: "goals"),
            sum("progress of goals before the log", "progress", of: "pruned_goals"),
            sum("head of the log", "head", of: "log"),
            sum("beginning of the log", "pruned_through", of: "log"),
            sum("events of the log", "events", of: "log"),
            sum("bytes of the log", "bytes", of: "log"),
            sum("sequences of events", "sequence", of: "events"),
            sum("characters of events", "length(data)", of: "events"),
            sum("attempts of deliveries", "attempts", of: "webhook_deliveries"),
        ]

    /// When somebody last made something in a store, or a webhook was last sent from it, in milliseconds. Of a store and its
    /// copy, the one that was worked on later has the greater.
    package static let latestTrace = StoreMeasure(
        name: "latest trace",
        sql: """
            SELECT CAST(coalesce(max(time), 0) AS BIGINT) FROM (
                SELECT max(created_at) AS time FROM accounts UNION ALL SELECT max(created_at) FROM pages
                UNION ALL SELECT max(created_at) FROM keys UNION ALL SELECT max(created_at) FROM webhooks
                UNION ALL SELECT max(created_at) FROM socket_subscriptions
                UNION ALL SELECT max(began_at) FROM webhook_attempts
            ) AS traces
            """)

    private static func sum(_ name: String, _ column: String, of table: String) -> StoreMeasure {
        // PostgreSQL adds up 64 bits in more, and would answer a decimal.
        StoreMeasure(name: name, sql: "SELECT CAST(coalesce(sum(\(column)), 0) AS BIGINT) FROM \(table)")
    }
}
