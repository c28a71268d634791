import ArgumentParser
import Foundation
import TipwireCore

/// What every client verb takes: which server, which key, and for whom the answer is.
struct ClientOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Address of the server. [env: TIPWIRE_SERVER; default: \(Self.defaultServer)]", valueName: "url"))
    var server: String?

    @Option(
        help: ArgumentHelp(
            "API key. [env: TIPWIRE_KEY; default: the file admin.key in TIPWIRE_DATA or ./tipwire-data]"))
    var key: String?

    @Option(
        help: ArgumentHelp(
            "File with the API key, which other users of the machine then don't see. [env: TIPWIRE_KEY_FILE]",
            valueName: "path"))
    var keyFile: String?

    @Flag(help: "Print the JSON that the server sends.")
    var json = false

    static let defaultServer = "http://127.0.0.1:8080"

    func validate() throws {
        _ = try address()
        guard key == nil || keyFile == nil else { throw ValidationError("--key and --key-file can't go together") }
    }

    func address(environment: [String: String] = ProcessInfo.processInfo.environment) throws -> ServerAddress {
        let variable = environment["TIPWIRE_SERVER"].flatMap { $0.isEmpty ? nil : $0 }
        let text = server ?? variable ?? Self.defaultServer
        if let address = ServerAddress(text) { return address }
        let source = server != nil ? "--server" : "TIPWIRE_SERVER"
        throw ValidationError("\(source) \(ServerAddress.rule), not '\(VisibleText(text))'")
    }

    func presentedKey() throws -> PresentedKey {
        try .find(option: key, file: keyFile, environment: ProcessInfo.processInfo.environment)
    }

    /// Runs `work` with a client, and closes its connections whatever happens.
    func connected(_ work: (ManagementClient) async throws -> Void) async throws {
        let client = try ManagementClient(address: address(), key: presentedKey())
        do {
            try await work(client)
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }

    /// Prints an answer: as it came with `--json`, else as `text` puts it.
    ///
    /// An answer without a body (204) has no JSON, so `--json` prints nothing then; the exit status says it.
    func print<Value: Decodable>(
        _ answer: APIAnswer, of type: Value.Type = Value.self, text: (Value) throws -> String
    ) throws {
        try TextOutput.answers.write(json ? answer.jsonLine : text(answer.decoded()))
    }

    /// The same for a call that answers nothing but its success.
    func confirm(_ answer: APIAnswer, _ text: String) throws {
        try TextOutput.answers.write(json ? answer.jsonLine : text + "\n")
    }

    /// Prints a list: all of it as a table, or with `--json` its first 1,000 as they came.
    ///
    /// - Parameter hint: What to do about an empty list, for standard error; standard output stays empty, so that
    ///   `wc -l` and a loop over lines see no row where there is none.
    func printList<Row: Decodable>(
        _ client: ManagementClient, _ request: APIRequest, hint: String, columns: [Table.Column],
        cells: (Row) -> [VisibleText]
    ) async throws {
        var request = request
        request.query = [("limit", String(Limits.listRows.upperBound))]
        if json {
            return try await TextOutput.answers.write(client.call(request).jsonLine)
        }
        let rows: [Row] = try await client.allRows(request)
        guard !rows.isEmpty else { return TextOutput.notes.note(hint) }
        var table = Table(columns)
        for row in rows { table.add(cells(row)) }
        try TextOutput.answers.write(table.text)
    }
}
