import Foundation

/// The server that `scripts/with-postgres` has started for the tests.
struct PostgresServer: Sendable {
    let url: String

    /// Nil where the tests run without it.
    static let given = ProcessInfo.processInfo.environment["TIPWIRE_TEST_POSTGRES"].map(PostgresServer.init)

    /// The address of a database of this name, which is made if there is none.
    func database(_ name: String) throws -> String {
        // There is no CREATE DATABASE IF NOT EXISTS; what is wrong otherwise shows when the database is opened.
        _ = try? run("postgres", "CREATE DATABASE \"\(name)\" TEMPLATE template0 ENCODING 'UTF8'")
        return "\(url)/\(name)"
    }

    /// Runs SQL as an operator would, and gives what it prints.
    @discardableResult
    func run(_ database: String, _ sql: String) throws -> String {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", sql, "\(url)/\(database)"]
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(text: text) }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Ends every connection to a database, and returns when they are gone, with all that they held.
    func cutOff(_ database: String) throws {
        try run(
            "postgres", "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '\(database)'")
    }

    struct Failure: Error {
        let text: String
    }
}
