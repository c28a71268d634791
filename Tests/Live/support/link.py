"""A TCP connection's way to its server, which can be cut, held and healed: a network's faults, without a network."""

import asyncio
import contextlib
import socket
import struct
import threading

_LONGEST_PIECE = 65_536
# What a link has taken it delivers, though its sender is reset meanwhile: so it must have read all that came before.
_MOST_WAITING = 1 << 26


class Loop:
    """One thread that carries the bytes of all links."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="links", daemon=True)
        self._thread.start()

    def do(self, coroutine):
        """Runs it there, and waits for what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class Link:
    """Listens on a free port of 127.0.0.1, or `at` another place, and carries what comes there to another port, of another
    `host` if that is given, as long as it is whole."""

    def __init__(self, loop, target, at=("127.0.0.1", 0), host="127.0.0.1"):
        self.loop, self.target = loop, target
        self._at, self._host = at, host
        self._is_cut = False
        self._pairs = set()
        loop.do(self._open())

    async def _open(self):
        self._flows = asyncio.Event()
        self._flows.set()
        self._server = await asyncio.start_server(self._carry, *self._at, limit=_MOST_WAITING)
        self.port = self._server.sockets[0].getsockname()[1]

    # What happens to it

    def cut(self):
        """Ends every connection with a reset, and so each new one."""
        self.loop.do(self._cut())

    async def _cut(self):
        self._is_cut = True
        self._flows.set()
        await self._end()

    def freeze(self):
        """Holds all bytes, and the ends of connections too. Nothing is lost; nobody is told."""
        self.loop.do(self._freeze())

    async def _freeze(self):
        self._flows.clear()

    def heal(self):
        self.loop.do(self._heal())

    async def _heal(self):
        self._is_cut = False
        self._flows.set()

    def close(self):
        self.loop.do(self._close())

    async def _close(self):
        self._is_cut = True
        self._flows.set()
        self._server.close()
        await self._end()

    @property
    def connections(self):
        return len(self._pairs)

    async def _end(self):
        tasks = list(self._pairs)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Connections

    async def _carry(self, reader, writer):
        task = asyncio.current_task()
        self._pairs.add(task)
        writers = [writer]
        try:
            await self._flows.wait()
            if self._is_cut:
                return
            far_reader, far_writer = await asyncio.open_connection(self._host, self.target, limit=_MOST_WAITING)
            writers.append(far_writer)
            for one in writers:
                one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # The end of either side is the end of both, once what it had said before is passed on.
            ways = [asyncio.create_task(self._pump(*way)) for way in ((reader, far_writer), (far_reader, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                if not self._is_cut:
                    # A reader whose connection was reset gives nothing any more of what it has.
                    for source, sink in ((reader, far_writer), (far_reader, writer)):
                        sink.write(bytes(source._buffer))
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # Nobody listens behind it, or it was cut.
        finally:
            self._pairs.discard(task)
            for one in writers:
                if self._is_cut:
                    with contextlib.suppress(OSError):
                        one.get_extra_info("socket").setsockopt(
                            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    one.transport.abort()
                else:
                    one.close()

    async def _pump(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(_LONGEST_PIECE):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
            await self._flows.wait()
