/// What several servers have in common of a page's overlays: see SharedOverlayStore. No other kind of store knows of it.
extension Schema {
    static let overlaysOfNodes = """
        -- The overlays that are connected, and to which node. since: by its clock.
        CREATE TABLE overlay_presences (
            node TEXT COLLATE "C" NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
            page_id BIGINT NOT NULL,
            screen TEXT COLLATE "C" NOT NULL CHECK (length(screen) BETWEEN 1 AND 64),
            kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('alerts', 'goal', 'recent')),
            since BIGINT NOT NULL,
            PRIMARY KEY (page_id, screen, kind, node)
        );
        CREATE INDEX overlay_presences_by_node ON overlay_presences (node);
        -- Which copy an alert is lent to of which one is wanted, and that it was shown. holder: node and number of the copy.
        -- until: by the database's clock.
        CREATE TABLE alert_leases (
            page_id BIGINT NOT NULL,
            sequence BIGINT NOT NULL,
            holder TEXT COLLATE "C" NOT NULL,
            until BIGINT NOT NULL,
            is_shown BOOLEAN NOT NULL,
            PRIMARY KEY (page_id, sequence)
        );
        CREATE INDEX alert_leases_by_holder ON alert_leases (holder);
        CREATE INDEX alert_leases_by_time ON alert_leases (until);
        -- What a node has said to the overlays of all. number: the count in `changes` that tells of it, which puts them in order.
        -- besides: screens, with spaces between.
        CREATE TABLE overlay_announcements (
            number BIGINT PRIMARY KEY,
            node TEXT COLLATE "C" NOT NULL,
            page_id BIGINT NOT NULL,
            message TEXT NOT NULL,
            besides TEXT NOT NULL,
            reopens BIGINT,
            said_at BIGINT NOT NULL
        );
        ALTER TABLE changes ADD COLUMN overlays BIGINT NOT NULL DEFAULT 0;
        """
}
