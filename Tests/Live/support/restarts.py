"""What works on while its server is killed and started again: threads that come back, and what they remember."""

import threading
import time


class Returning(threading.Thread):
    """A client that comes back over every restart, until it is stopped. What it can't explain is its `failure`."""

    # What a connection ends with while the server is down.
    downs = (OSError, EOFError)

    def __init__(self, server, name=None):
        super().__init__(name=name, daemon=True)
        self.server = server
        self.seen = []
        self.connections = 0
        self.failure = None
        self.stop = threading.Event()

    def visit(self):
        """One connection, from its beginning to its end or to `stop`."""
        raise NotImplementedError

    def run(self):
        try:
            while not self.stop.is_set():
                try:
                    self.visit()
                except self.downs:
                    time.sleep(0.01)  # The server is down; not a wait for anything, only no busy loop.
        except BaseException as error:
            self.failure = f"{self.name}: {error!r}"
