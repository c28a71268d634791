// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "tipwire",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "tipwire", targets: ["tipwire"])],
    dependencies: [
        // Event loops, sockets and HTTP/1 codecs: the ground the front and the fan-out stand on.
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        // `ServerQuiescingHelper` (orderly shutdown of accepted channels) and the HTTP types codec that Hummingbird speaks.
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        // TLS: the port's, and that of the connections that we open (the command line's and those of webhooks).
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        // HTTP/2 on the port, for browsers, which open few connections of HTTP/1.1.
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        // Router, body limits and responder for everything that is a plain request and response.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        // The vocabulary (HTTPRequest, HTTPResponse, HTTPFields) shared by Hummingbird and our handlers.
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        // SQLite: migrations, a pool of readers, cached statements, error mapping.
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        // SHA-256 of keys, SHA-1 of the WebSocket handshake, constant-time comparison.
        .package(url: "https://github.com/apple/swift-crypto", "4.5.2"..<"5.0.0"),
        // Structured logs.
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        // Long-lived parts as services, signals, ordered graceful shutdown.
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        // One reader over options, environment and a YAML file.
        .package(
            url: "https://github.com/apple/swift-configuration", from: "1.4.0",
            traits: ["CommandLineArguments", "YAML"]),
        // Subcommands, options and their help.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        // The command line's HTTP client.
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    ],
    targets: [
        .target(name: "TipwireCore", dependencies: [.product(name: "Crypto", package: "swift-crypto")]),
        .target(
            name: "TipwireWire",
            dependencies: [
                "TipwireCore",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Crypto", package: "swift-crypto"),
            ]),
        .target(
            name: "TipwireStore",
            dependencies: [
                "TipwireCore", "TipwireWire",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "Crypto", package: "swift-crypto"),
            ]),
        // The same promise on PostgreSQL. Its C library is loaded when it is asked for, and nothing is linked.
        .target(
            name: "TipwirePostgres",
            dependencies: [
                "TipwireCore", "TipwireWire", "TipwireStore", .product(name: "NIOCore", package: "swift-nio"),
            ]),
        // What the kernel has for sockets and Swift has no name for: epoll, and of io_uring sending alone, for which a library would be
        // larger than this use.
        .target(name: "CTipwireSockets"),
        // glibc's settings of its allocator, which Swift's own module for it leaves out.
        .systemLibrary(name: "CMalloc"),
        // How bytes that are ready get into sockets, and the sockets that need no channel.
        .target(
            name: "TipwireSockets",
            dependencies: ["CTipwireSockets", .product(name: "NIOCore", package: "swift-nio")]),
        .target(
            name: "TipwireHub",
            dependencies: [
                "TipwireCore", "TipwireWire", "TipwireStore", "TipwireSockets",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        .target(
            name: "TipwireWebhooks",
            dependencies: [
                "TipwireCore", "TipwireWire", "TipwireStore", "TipwireHub",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        // What servers that share a database tell each other by NATS. Its C library is loaded as libpq is; nobody else
        // depends on this, so that the path of a tip is the same without it.
        .target(
            name: "TipwireNATS",
            dependencies: [
                "TipwireCore", "TipwireWire", "TipwireStore", "TipwireHub",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        .target(
            name: "TipwireServer",
            dependencies: [
                "TipwireCore", "TipwireWire", "TipwireStore", "TipwirePostgres", "TipwireSockets", "TipwireHub",
                "TipwireWebhooks", "TipwireNATS", "CMalloc",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP2", package: "swift-nio-extras"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            // Embedded rather than a bundle beside the program, so that the binary can be moved alone.
            resources: [.embedInCode("Dashboard/Assets"), .embedInCode("API/Documents")]),
        .executableTarget(
            name: "tipwire",
            dependencies: [
                "TipwireCore", "TipwireWire", "TipwireServer",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        // A tool to try WebSocket clients and foreign suites with; it isn't installed.
        .executableTarget(
            name: "websocket-echo",
            dependencies: ["TipwireServer", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
        .executableTarget(
            name: "tipwire-bench",
            dependencies: [
                "TipwireCore", "TipwireWire", "TipwireSockets", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Benchmarks/tipwire-bench"),
        // What the tests of several targets share.
        .target(
            name: "TipwireTestSupport", dependencies: ["TipwireCore", "TipwireStore"],
            path: "Tests/TipwireTestSupport"),
        .testTarget(name: "TipwireCoreTests", dependencies: ["TipwireCore", "TipwireTestSupport"]),
        .testTarget(
            name: "TipwireWireTests",
            dependencies: [
                "TipwireCore", "TipwireWire", "TipwireTestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
        .testTarget(
            name: "TipwireStoreTests",
            dependencies: [
                "TipwireCore", "TipwireWire", "TipwireStore", "TipwirePostgres", "TipwireTestSupport",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "NIOCore", package: "swift-nio"),
            ]),
        .testTarget(
            name: "TipwireSocketsTests",
            dependencies: [
                "TipwireSockets", "TipwireTestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        .testTarget(
            name: "TipwireHubTests",
            dependencies: [
                "TipwireCore", "TipwireWire", "TipwireStore", "TipwireSockets", "TipwireHub", "TipwireTestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        .testTarget(
            name: "TipwireWebhooksTests",
            dependencies: [
                "TipwireCore", "TipwireWire", "TipwireStore", "TipwireHub", "TipwireWebhooks",
                "TipwireTestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        .testTarget(
            name: "TipwireNATSTests",
            dependencies: [
                "TipwireCore", "TipwireWire", "TipwireStore", "TipwireHub", "TipwireNATS", "TipwireTestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        .testTarget(
            name: "TipwireServerTests",
            dependencies: [
                "TipwireCore", "TipwireWire", "TipwireStore", "TipwireSockets", "TipwireHub", "TipwireWebhooks",
                "TipwireServer", "TipwireTestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "tipwireTests",
            dependencies: [
                "tipwire", "TipwireCore",
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .system {
    target.swiftSettings =
        (target.swiftSettings ?? []) + [
            .enableUpcomingFeature("ExistentialAny"),
            .enableUpcomingFeature("MemberImportVisibility"),
            .treatAllWarnings(as: .error),
        ]
}
