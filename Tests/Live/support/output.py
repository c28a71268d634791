"""What a child process prints."""

import re
import threading


class Output:
    """The lines of one process's standard output as they come, and a copy of them in a file.

    Each process has one of its own: what is read late of one that has ended is never taken for the next one's.
    """

    def __init__(self, stream, path):
        self.lines = []
        self._stream = stream
        self._path = path
        self._changed = threading.Condition()
        self._has_ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with open(self._path, "wb") as copy:
            for line in self._stream:
                copy.write(line)
                copy.flush()
                with self._changed:
                    self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def first(self, pattern, seconds):
        """The match of the first line in which `pattern` is found; None when it isn't there in time or will never be."""
        def found():
            return next((match for line in list(self.lines) if (match := re.search(pattern, line))), None)
        with self._changed:
            self._changed.wait_for(lambda: found() or self._has_ended, seconds)
        return found()

    def close(self):
        """Reads what is left; the process has ended."""
        self._reader.join(5)
        self._stream.close()
