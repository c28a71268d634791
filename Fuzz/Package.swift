// swift-tools-version: 6.2
import PackageDescription

// Fuzzing of what reads strangers' bytes, in a package of its own: all of it is compiled with libFuzzer's counters and
// AddressSanitizer, which nothing that is shipped may have. The sources are the server's, by symbolic links.
let package = Package(
    name: "tipwire-fuzz",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-crypto", "4.5.2"..<"5.0.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
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
        .executableTarget(
            name: "tipwire-fuzz",
            dependencies: [
                "TipwireCore", "TipwireWire",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)

for target in package.targets {
    target.swiftSettings = [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        // One flag: of two the later one wins, and there would be no counters.
        .unsafeFlags(["-sanitize=fuzzer,address"]),
    ]
}
