import Foundation
import TipwireWire

/// The files of `docs/protocol/examples`, which the protocol's text shows: what is sent must be what is written there.
enum ProtocolExample {
    static func text(_ name: String) throws -> String {
        let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let file = repository.appending(path: "docs/protocol/examples/\(name).json")
        return try String(contentsOf: file, encoding: .utf8)
    }

    static func json(_ name: String) throws -> JSONValue { try JSONValue.parse(try text(name)) }
}
