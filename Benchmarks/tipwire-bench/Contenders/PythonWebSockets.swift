import Foundation

/// Python's `websockets` with its own broadcast: what a streamer's script would be.
struct PythonWebSockets: Contender {
    let name = "websockets"
    let forms: Set<StreamForm> = [.webSocket]
    let python: Python

    var obstacle: String? { python.obstacle(importing: "websockets.asyncio.server", advice: "pip install websockets") }

    func start(_ launcher: Launcher, giving form: StreamForm) throws -> RunningServer {
        let errors = try launcher.folder().appendingPathComponent("stderr")
        let process = try launcher.spawn([python.program, "-c", Self.script], errors: errors)
        let ports = try process.line(startingWith: "ports ", within: 20).split(separator: " ").compactMap { UInt16($0) }
        guard ports.count == 2 else { throw BenchError("websockets: no ports") }
        let endpoint = Endpoint(
            publishPort: ports[0], subscribePort: ports[1], subscribePaths: { Array(repeating: "/", count: $0) },
            request: { HTTPText.request("POST", "/", body: EventMessage.json($0, as: form)) },
            numbering: .poster(log: nil))
        return RunningServer(process: process, endpoint: endpoint)
    }

    /// Events come by plain HTTP beside the WebSockets, as for every contender. uvloop is used where it is there.
    private static let script = """
        import asyncio
        try:
            import uvloop
            asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        except ImportError:
            pass
        from websockets.asyncio.server import broadcast, serve

        async def subscriber(socket):
            await socket.wait_closed()

        async def main():
            server = await serve(subscriber, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=4096)

            async def publisher(reader, writer):
                try:
                    while True:
                        head = await reader.readuntil(b"\\r\\n\\r\\n")
                        length = int(head.lower().split(b"content-length:")[1].split(b"\\r\\n")[0])
                        message = (await reader.readexactly(length)).decode()
                        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
                        broadcast(server.connections, message)
                except (asyncio.IncompleteReadError, ConnectionError):
                    writer.close()

            intake = await asyncio.start_server(publisher, "127.0.0.1", 0)
            port = lambda one: one.sockets[0].getsockname()[1]
            print("ports", port(intake), port(server), flush=True)
            await asyncio.Event().wait()

        asyncio.run(main())
        """
}
