import Foundation

/// uWebSockets, the fast C++ server, as it is to be had without building it: under Python's `socketify`.
///
/// Python sees each post and nothing of its fan-out, which is one call of uWebSockets' `publish`.
struct Socketify: Contender {
    let name = "socketify"
    let forms: Set<StreamForm> = [.webSocket]
    let python: Python

    var obstacle: String? {
        python.obstacle(importing: "socketify", advice: "scripts/venv, and apt-get install -y libuv1")
    }

    func start(_ launcher: Launcher, giving form: StreamForm) throws -> RunningServer {
        let errors = try launcher.folder().appendingPathComponent("stderr")
        let port = try Socket.freePort()
        let process = try launcher.spawn([python.program, "-c", Self.script, "\(port)"], errors: errors)
        _ = try process.line(startingWith: "listening", within: 20)
        let endpoint = Endpoint(
            publishPort: port, subscribePort: port, subscribePaths: { Array(repeating: "/", count: $0) },
            request: { HTTPText.request("POST", "/", body: EventMessage.json($0, as: form)) },
            numbering: .poster(log: nil))
        return RunningServer(process: process, endpoint: endpoint)
    }

    private static let script = """
        import sys
        from socketify import App, AppListenOptions, CompressOptions, OpCode

        app = App()

        def publish(response, request):
            pieces = []

            def receive(response, piece, is_last, _=None):
                if piece:
                    pieces.append(bytes(piece))
                if is_last:
                    response.end("")
                    app.publish("tips", b"".join(pieces), OpCode.TEXT)

            response.on_data(receive)

        app.ws("/*", {
            "compression": CompressOptions.DISABLED, "idle_timeout": 0, "max_backpressure": 16 * 1024 * 1024,
            "open": lambda socket: socket.subscribe("tips"),
        })
        app.post("/", publish)
        app.listen(
            AppListenOptions(port=int(sys.argv[1]), host="127.0.0.1"),
            lambda _: print("listening", flush=True))
        app.run()
        """
}
