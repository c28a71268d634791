"""What the live tests share: a server, clients, and ways to wait."""
