import NIOCore
import NIOPosix

/// A port that a server listens on.
struct ListeningPort {
    enum Kind {
        case main
        case metrics
    }

    let kind: Kind
    let number: Int

    static func main(_ number: Int) -> ListeningPort { ListeningPort(kind: .main, number: number) }
    static func metrics(_ number: Int) -> ListeningPort { ListeningPort(kind: .metrics, number: number) }

    /// The option that names another.
    var option: String {
        switch kind {
        case .main: "--port"
        case .metrics: "--metrics-port"
        }
    }

    /// Listens for a moment. Throws what a server would be refused with.
    func probe(host: String) async throws {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            // Whoever comes in this moment is for the server, which they find when they come again.
            .serverChannelOption(.autoRead, value: false)
            .bind(host: host, port: number).get()
        try? await channel.close()
    }
}

extension ServerConfiguration {
    /// Those that the settings name; of any that is free the number is not known before.
    var ports: [ListeningPort] {
        [.main(port), .metrics(metrics.port ?? 0)].filter { $0.number != 0 }
    }
}
