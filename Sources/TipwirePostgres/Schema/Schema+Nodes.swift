/// What several servers on one database know of each other.
extension Schema {
    static let nodes = """
        -- One server alone held this; any number is welcome now.
        DROP TABLE claims;
        -- The servers that are there: see NodeStore. Times are the database's, in milliseconds.
        CREATE TABLE nodes (
            id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
            name TEXT NOT NULL,
            version TEXT NOT NULL,
            url TEXT NOT NULL,
            started_at BIGINT NOT NULL,
            seen_at BIGINT NOT NULL,
            is_draining BOOLEAN NOT NULL,
            feed BIGINT NOT NULL,
            sse BIGINT NOT NULL,
            eventsub BIGINT NOT NULL,
            overlay BIGINT NOT NULL,
            relayed BIGINT NOT NULL
        );
        -- How often each has changed: whoever was not told finds it here. Written last in a transaction, so that nobody who
        -- waits for it holds what its holder needs.
        CREATE TABLE changes (
            id BIGINT PRIMARY KEY CHECK (id = 1),
            directory BIGINT NOT NULL,
            sessions BIGINT NOT NULL,
            sockets BIGINT NOT NULL,
            webhooks BIGINT NOT NULL
        );
        INSERT INTO changes VALUES (1, 0, 0, 0, 0);
        -- What one node at a time may do.
        CREATE TABLE leases (
            name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
            node TEXT COLLATE "C" NOT NULL,
            until BIGINT NOT NULL
        );
        \(socketsOfNodes)
        """

    static let standingOfNodes = """
        -- lag: of its listeners at its last beat. directory: how far it has taken over what `changes` counts.
        ALTER TABLE nodes ADD COLUMN lag BIGINT NOT NULL DEFAULT 0, ADD COLUMN directory BIGINT NOT NULL DEFAULT 0;
        """
}
