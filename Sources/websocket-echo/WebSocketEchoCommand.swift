import ArgumentParser
import Glibc
import TipwireServer

/// A tool beside the server: says back what it is told, on the server's own WebSocket code.
@main
struct WebSocketEchoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "websocket-echo",
        abstract: "Echo text and binary messages of WebSocket clients, to try the protocol with.",
        discussion: "It runs until a signal ends it, asks for no key, and takes messages of up to 16 MiB.")

    @Option(help: "The port to listen on; 0 takes a free one.")
    var port = 9001

    @Option(help: "The address to listen on. It has no authentication: keep it local.")
    var host = "127.0.0.1"

    func validate() throws {
        guard (0...65_535).contains(port) else { throw ValidationError("--port is a number from 0 to 65535.") }
    }

    func run() async throws {
        let echo: WebSocketEcho
        do {
            echo = try await WebSocketEcho.bind(host: host, port: port)
        } catch {
            throw ValidationError("can't listen on \(host), port \(port): \(error)")
        }
        print("Echoing on ws://\(host.contains(":") ? "[\(host)]" : host):\(echo.port)/")
        fflush(nil)
        try await echo.run()
    }
}
