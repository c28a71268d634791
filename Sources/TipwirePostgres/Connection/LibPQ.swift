#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import TipwireStore

/// PostgreSQL's own C library, found when it is first needed.
///
/// Loaded and not linked: one program serves both those who have PostgreSQL and those who have never installed any of it.
/// The functions are those of `libpq-fe.h`; their types have not changed in twenty years.
struct LibPQ: Sendable {
    typealias Connection = OpaquePointer
    typealias Result = OpaquePointer
    typealias Text = UnsafePointer<CChar>

    let connect: @convention(c) @Sendable (Text) -> Connection?
    let finish: @convention(c) @Sendable (Connection) -> Void
    let status: @convention(c) @Sendable (Connection) -> CInt
    let serverVersion: @convention(c) @Sendable (Connection) -> CInt
    let errorMessage: @convention(c) @Sendable (Connection) -> Text?
    let socket: @convention(c) @Sendable (Connection) -> CInt
    let parseURL: @convention(c) @Sendable (Text, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> OpaquePointer?
    let freeOptions: @convention(c) @Sendable (OpaquePointer) -> Void
    let freeMemory: @convention(c) @Sendable (UnsafeMutableRawPointer?) -> Void

    let execute: @convention(c) @Sendable (Connection, Text) -> Result?
    let prepare: @convention(c) @Sendable (Connection, Text, Text, CInt, UnsafeRawPointer?) -> Result?
    let executePrepared:
        @convention(c) @Sendable (
            Connection, Text, CInt, UnsafePointer<Text?>?, UnsafePointer<CInt>?, UnsafePointer<CInt>?, CInt
        ) -> Result?

    let resultStatus: @convention(c) @Sendable (Result) -> CInt
    let resultErrorField: @convention(c) @Sendable (Result, CInt) -> Text?
    let rowCount: @convention(c) @Sendable (Result) -> CInt
    let columnType: @convention(c) @Sendable (Result, CInt) -> UInt32
    let isNull: @convention(c) @Sendable (Result, CInt, CInt) -> CInt
    let length: @convention(c) @Sendable (Result, CInt, CInt) -> CInt
    let value: @convention(c) @Sendable (Result, CInt, CInt) -> Text
    let affectedRows: @convention(c) @Sendable (Result) -> Text?
    let clear: @convention(c) @Sendable (Result) -> Void

    let consumeInput: @convention(c) @Sendable (Connection) -> CInt
    let notifies: @convention(c) @Sendable (Connection) -> UnsafeMutableRawPointer?

    /// `CONNECTION_OK`, `PGRES_COMMAND_OK` and `PGRES_TUPLES_OK`.
    static let connectionOK: CInt = 0
    static let commandOK: CInt = 1
    static let tuplesOK: CInt = 2
    /// `PG_DIAG_SQLSTATE`, `PG_DIAG_MESSAGE_PRIMARY` and `PG_DIAG_CONSTRAINT_NAME`.
    static let stateField = CInt(UInt8(ascii: "C"))
    static let messageField = CInt(UInt8(ascii: "M"))
    static let constraintField = CInt(UInt8(ascii: "n"))
    /// The type `bytea`.
    static let byteArray: UInt32 = 17

    /// The library, or why it can't be had. Looked for once: it stays loaded for the life of the process.
    static func load() throws -> LibPQ { try loaded.get() }

    private static let loaded = Swift.Result<LibPQ, any Error> { try LibPQ() }
    private static let names = ["libpq.so.5", "libpq.5.dylib"]

    private init() throws {
        guard let library = Self.names.lazy.compactMap({ dlopen($0, RTLD_NOW) }).first else {
            throw StoreUnusable(
                "PostgreSQL needs the library libpq, which isn't installed; on Debian and Ubuntu: apt-get install libpq5"
            )
        }
        func function<Function>(_ name: String) throws -> Function {
            guard let symbol = dlsym(library, name) else {
                throw StoreUnusable("the installed libpq has no \(name); PostgreSQL's libpq 15 or later is needed")
            }
            return unsafeBitCast(symbol, to: Function.self)
        }
        connect = try function("PQconnectdb")
        finish = try function("PQfinish")
        status = try function("PQstatus")
        serverVersion = try function("PQserverVersion")
        errorMessage = try function("PQerrorMessage")
        socket = try function("PQsocket")
        parseURL = try function("PQconninfoParse")
        freeOptions = try function("PQconninfoFree")
        freeMemory = try function("PQfreemem")
        execute = try function("PQexec")
        prepare = try function("PQprepare")
        executePrepared = try function("PQexecPrepared")
        resultStatus = try function("PQresultStatus")
        resultErrorField = try function("PQresultErrorField")
        rowCount = try function("PQntuples")
        columnType = try function("PQftype")
        isNull = try function("PQgetisnull")
        length = try function("PQgetlength")
        value = try function("PQgetvalue")
        affectedRows = try function("PQcmdTuples")
        clear = try function("PQclear")
        consumeInput = try function("PQconsumeInput")
        notifies = try function("PQnotifies")
    }
}
