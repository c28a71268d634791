@testable import TipwireStore

extension SchemaFixture {
    static let deadDeliveries = SchemaFixture(
        migration: "0005-dead-deliveries",
        schema: webhooks.schema + #"""

            CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (webhook, state) WHERE state = 'dead';
            """#,
        rows: webhooks.rows)
}
