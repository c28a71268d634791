import ArgumentParser
import Foundation

/// `tipwire backup`: the server's database, as a file.
struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Save the server's database into a file, while it runs.",
        discussion: """
            Needs a key with the scope admin. The file is as the database was at one moment, and holds names, messages and \
            webhooks' secrets: only its owner can read it. 'tipwire restore' takes it.
            """)

    @OptionGroup var client: ClientOptions

    @Argument(help: "Where to, '-' for standard output.", completion: .file())
    var file: String

    @Flag(help: "Replace the file if there is one.")
    var force = false

    func validate() throws {
        guard !file.isEmpty else { throw ValidationError("FILE must not be empty") }
        guard file != "-" || !client.json else { throw ValidationError("--json and '-' can't go together") }
    }

    func run() async throws {
        let target = file == "-" ? BackupTarget.standardOutput : try BackupTarget(path: file, replaces: force)
        do {
            try await client.connected { api in
                try await api.download(APIRequest(.get, "backup")) { try target.write($0) }
            }
            try target.finish()
        } catch {
            target.discard()
            throw error
        }
        guard file != "-" else { return }
        struct Saved: Encodable {
            let file: String
            let bytes: Int
        }
        let saved = Saved(file: file, bytes: target.bytes)
        let json = client.json ? String(decoding: try JSONEncoder().encode(saved), as: UTF8.self) : nil
        try TextOutput.answers.line(json ?? "saved \(VisibleText(file)) (\(saved.bytes) bytes)")
    }
}
