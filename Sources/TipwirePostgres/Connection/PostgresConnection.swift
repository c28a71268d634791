#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import TipwireCore
import TipwireStore

/// A connection to the server. Every call blocks; it belongs to one thread (`ConnectionPool`).
final class PostgresConnection {
    private let library: LibPQ
    private let handle: OpaquePointer
    /// Statement → the name under which the server has it prepared.
    private var prepared: [String: String] = [:]

    /// Connects; throws `ConnectionFault` with what the server or the library says.
    init(_ url: String) throws {
        library = try LibPQ.load()
        guard let handle = library.connect(url) else { throw ConnectionFault("out of memory") }
        self.handle = handle
        guard library.status(handle) == LibPQ.connectionOK else {
            // Everything is stored by now, so `deinit` gives the handle back.
            throw ConnectionFault(Self.message(library, handle))
        }
    }

    deinit { library.finish(handle) }

    /// Whether it can be used; false once the server has gone away.
    var isOpen: Bool { library.status(handle) == LibPQ.connectionOK }

    /// As in `server_version_num`: 150018.
    var serverVersion: Int { Int(library.serverVersion(handle)) }

    /// Runs a statement with `$1`, `$2`… It is prepared once, and known by its text from then on.
    @discardableResult
    func execute(_ sql: String, _ parameters: (any PostgresEncodable)?...) throws -> PostgresResult {
        try run(sql, parameters.map { $0?.postgresValue ?? .null })
    }

    /// The same with a list.
    @discardableResult
    func execute(_ sql: String, arguments: [any PostgresEncodable]) throws -> PostgresResult {
        try run(sql, arguments.map(\.postgresValue))
    }

    /// Runs statements without parameters.
    func script(_ sql: String) throws { _ = try result(library.execute(handle, sql)) }

    private func run(_ sql: String, _ values: [PostgresValue]) throws -> PostgresResult {
        let name: String
        if let known = prepared[sql] {
            name = known
        } else {
            name = "s\(prepared.count)"
            _ = try result(library.prepare(handle, name, sql, 0, nil))
            prepared[sql] = name
        }
        let texts = try values.map { try $0.encoded() }
        return try withPointers(to: texts[...]) { pointers in
            try pointers.withUnsafeBufferPointer {
                try result(library.executePrepared(handle, name, CInt(values.count), $0.baseAddress, nil, nil, 0))
            }
        }
    }

    /// Pointers to all of them at once, each of which is good for its own closure alone.
    private func withPointers<Answer>(
        to texts: ArraySlice<[CChar]?>, _ known: [UnsafePointer<CChar>?] = [],
        _ body: ([UnsafePointer<CChar>?]) throws -> Answer
    ) throws -> Answer {
        guard let first = texts.first else { return try body(known) }
        guard let text = first else { return try withPointers(to: texts.dropFirst(), known + [nil], body) }
        return try text.withUnsafeBufferPointer {
            try withPointers(to: texts.dropFirst(), known + [$0.baseAddress], body)
        }
    }

    private func result(_ pointer: OpaquePointer?) throws -> PostgresResult {
        // Without memory, or without a server: nothing came back.
        guard let pointer else { throw ConnectionFault(Self.message(library, handle)) }
        let result = PostgresResult(library, pointer)
        if let error = result.error {
            throw isOpen ? error : ConnectionFault(Self.message(library, handle))
        }
        return result
    }

    private static func message(_ library: LibPQ, _ handle: OpaquePointer) -> String {
        let text = library.errorMessage(handle).map { String(cString: $0) } ?? ""
        // The library breaks its messages into lines; ours have one.
        return text.split(separator: "\n").map { $0.drop { $0 == "\t" || $0 == " " } }.joined(separator: "; ")
    }
}

extension PostgresConnection {
    /// Waits for a notification, at most so long; false when none came.
    func waitForNotification(milliseconds: Int32) throws -> Set<String> {
        var names = takeNotifications()
        if names.isEmpty {
            var descriptor = pollfd(fd: library.socket(handle), events: Int16(POLLIN), revents: 0)
            _ = poll(&descriptor, 1, milliseconds)
            guard library.consumeInput(handle) == 1, isOpen else {
                throw ConnectionFault(Self.message(library, handle))
            }
            names = takeNotifications()
        }
        return names
    }

    private func takeNotifications() -> Set<String> {
        var names: Set<String> = []
        while let notification = library.notifies(handle) {
            // `PGnotify` begins with a pointer to the channel's name.
            names.insert(String(cString: notification.load(as: UnsafePointer<CChar>.self)))
            library.freeMemory(notification)
        }
        return names
    }
}

/// The server can't be reached, or went away. What became of a transaction that met this isn't known.
struct ConnectionFault: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A refusal of the server.
struct PostgresError: Error, CustomStringConvertible {
    /// The SQLSTATE.
    let state: String
    let message: String
    /// The constraint that would have been broken.
    let constraint: String?

    static let characterNotInRepertoire = "22021"
    static let uniqueViolation = "23505"
    static let foreignKeyViolation = "23503"
    static let lockNotAvailable = "55P03"
    /// Somebody else was in the way; the same transaction may succeed when it is run again.
    static let conflicts: Set<String> = ["40001", "40P01"]

    var description: String { "\(message) (SQLSTATE \(state))" }

    /// What it means to whoever asked; nil for one that is a fault of this program.
    var fault: (any Error)? {
        if state == "53100" { return StoreFull(description) }
        let classes = ["08", "25006", "28", "40", "42501", "53", "57", "58", "XX"]
        return classes.contains { state.hasPrefix($0) } ? StoreFailing(description) : nil
    }
}

/// The rows that a statement answered.
final class PostgresResult: RandomAccessCollection {
    private let library: LibPQ
    private let handle: OpaquePointer
    let startIndex = 0
    let endIndex: Int

    fileprivate init(_ library: LibPQ, _ handle: OpaquePointer) {
        self.library = library
        self.handle = handle
        endIndex = Int(library.rowCount(handle))
    }

    deinit { library.clear(handle) }

    subscript(_ row: Int) -> PostgresRow { PostgresRow(result: self, row: CInt(row)) }

    /// Rows that an INSERT, an UPDATE or a DELETE touched.
    var affected: Int { library.affectedRows(handle).flatMap { Int(String(cString: $0)) } ?? 0 }

    fileprivate var error: PostgresError? {
        let status = library.resultStatus(handle)
        guard status != LibPQ.commandOK, status != LibPQ.tuplesOK else { return nil }
        func field(_ code: CInt) -> String? { library.resultErrorField(handle, code).map { String(cString: $0) } }
        return PostgresError(
            state: field(LibPQ.stateField) ?? "XX000", message: field(LibPQ.messageField) ?? "no message",
            constraint: field(LibPQ.constraintField))
    }

    fileprivate func text(_ row: CInt, _ column: CInt) -> PostgresText? {
        guard library.isNull(handle, row, column) == 0 else { return nil }
        let length = Int(library.length(handle, row, column))
        return PostgresText(
            bytes: UnsafeRawBufferPointer(start: library.value(handle, row, column), count: length),
            isByteArray: library.columnType(handle, column) == LibPQ.byteArray)
    }
}

/// One of them; holds its result.
struct PostgresRow {
    fileprivate let result: PostgresResult
    fileprivate let row: CInt

    subscript<Value: PostgresDecodable>(_ column: Int) -> Value { Value.decode(result.text(row, CInt(column))) }

    func time(_ column: Int) -> Timestamp? { (self[column] as Int64?).map(Timestamp.init(milliseconds:)) }
}
