/// Which of several servers has an EventSub subscription: see SharedSocketStore. No other kind of store knows of it.
extension Schema {
    static let socketsOfNodes = """
        -- node: whose it is; NULL: it waits for a socket, and any node may claim it.
        -- waits_until: when one that waits is gone; NULL: that begins when somebody next looks.
        -- wanted_at: when another node last asked for it. kept_at: when its node last said that its socket lives.
        ALTER TABLE socket_subscriptions
            ADD COLUMN node TEXT COLLATE "C",
            ADD COLUMN waits_until BIGINT,
            ADD COLUMN wanted_at BIGINT,
            ADD COLUMN kept_at BIGINT;
        CREATE INDEX socket_subscriptions_by_node ON socket_subscriptions (node) WHERE node IS NOT NULL;
        CREATE INDEX socket_subscriptions_waiting ON socket_subscriptions (waits_until) WHERE node IS NULL;
        -- What all level subscriptions of a node have been told of. Those without a node, which one server alone has left, are
        -- level with the row in socket_level.
        ALTER TABLE nodes ADD COLUMN socket_level BIGINT CHECK (socket_level >= 0);
        """
}
