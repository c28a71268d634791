import Foundation
import TipwireStore

/// PostgreSQL's own client library, as far as it is used here.
///
/// Loaded when the first database is opened, and not linked: the one binary also serves those who keep to SQLite, and
/// have no libpq. Its functions and constants have been the same since version 14 of 2021 and before; a library says by
/// its name that it keeps them.
///
/// `@unchecked`: addresses of functions, which libpq allows to be called on any thread, on one connection by one at a
/// time.
struct LibPQ: @unchecked Sendable {
    typealias Connection = OpaquePointer
    typealias Outcome = OpaquePointer
    typealias Text = UnsafePointer<CChar>

    let connect: @convention(c) (UnsafePointer<Text?>, UnsafePointer<Text?>, CInt) -> Connection?
    let finish: @convention(c) (Connection?) -> Void
    let status: @convention(c) (Connection) -> CInt
    let errorMessage: @convention(c) (Connection) -> Text?
    let serverVersion: @convention(c) (Connection) -> CInt
    let parameterStatus: @convention(c) (Connection, Text) -> Text?
    let consumeInput: @convention(c) (Connection) -> CInt
    let socket: @convention(c) (Connection) -> CInt
    let backendID: @convention(c) (Connection) -> CInt
    let notifications: @convention(c) (Connection) -> UnsafeMutableRawPointer?
    let setNoticeProcessor:
        @convention(c) (
            Connection, (@convention(c) (UnsafeMutableRawPointer?, Text?) -> Void)?, UnsafeMutableRawPointer?
        ) -> OpaquePointer?

    let execute: @convention(c) (Connection, Text) -> Outcome?
    let prepare: @convention(c) (Connection, Text, Text, CInt, UnsafePointer<UInt32>?) -> Outcome?
    let executePrepared:
        @convention(c) (
            Connection, Text, CInt, UnsafePointer<Text?>?, UnsafePointer<CInt>?, UnsafePointer<CInt>?, CInt
        ) -> Outcome?

    let resultStatus: @convention(c) (Outcome?) -> CInt
    let resultErrorField: @convention(c) (Outcome?, CInt) -> Text?
    let commandStatus: @convention(c) (Outcome) -> Text?
    let affectedRows: @convention(c) (Outcome) -> Text?
    let rowCount: @convention(c) (Outcome) -> CInt
    let columnCount: @convention(c) (Outcome) -> CInt
    let isNull: @convention(c) (Outcome, CInt, CInt) -> CInt
    let length: @convention(c) (Outcome, CInt, CInt) -> CInt
    let value: @convention(c) (Outcome, CInt, CInt) -> Text?
    let clear: @convention(c) (Outcome?) -> Void

    let parseSettings:
        @convention(c) (Text, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> UnsafeMutableRawPointer?
    let freeSettings: @convention(c) (UnsafeMutableRawPointer?) -> Void
    let freeMemory: @convention(c) (UnsafeMutableRawPointer?) -> Void

    /// `PQconninfoOption`: one setting of a connection string. A list of them ends with one without a keyword.
    struct Setting {
        let keyword: Text?
        let environment: Text?
        let compiled: Text?
        let value: Text?
        let label: Text?
        let displayed: Text?
        let size: CInt
    }

    /// `PGnotify`: what another session, or this one, has told by NOTIFY.
    struct Notification {
        let channel: Text
        /// Of the session that told it.
        let backendID: CInt
        let payload: Text
    }

    /// `CONNECTION_OK`
    static let connected: CInt = 0
    /// `PGRES_COMMAND_OK`
    static let commandDone: CInt = 1
    /// `PGRES_TUPLES_OK`
    static let rowsCame: CInt = 2
    /// `PG_DIAG_SQLSTATE` and `PG_DIAG_MESSAGE_PRIMARY`
    static let stateField = CInt(UInt8(ascii: "C"))
    static let messageField = CInt(UInt8(ascii: "M"))

    private static let loaded = Result<LibPQ, any Error> { try LibPQ() }

    /// Throws `StoreUnusable` when the library isn't there.
    static func load() throws -> LibPQ { try loaded.get() }

    #if os(macOS)
    private static let names = [
        "libpq.5.dylib", "/opt/homebrew/opt/libpq/lib/libpq.5.dylib", "/usr/local/opt/libpq/lib/libpq.5.dylib",
    ]
    private static let remedy = "with Homebrew: brew install libpq"
    #else
    private static let names = ["libpq.so.5"]
    private static let remedy = "on Debian and Ubuntu: apt-get install libpq5"
    #endif

    private init() throws {
        guard let library = Self.names.lazy.compactMap({ dlopen($0, RTLD_NOW | RTLD_LOCAL) }).first else {
            throw StoreUnusable("PostgreSQL needs libpq, which isn't installed; \(Self.remedy)")
        }
        func function<T>(_ name: String) throws -> T {
            guard let address = dlsym(library, name) else {
                throw StoreUnusable("the libpq that is installed has no \(name): it is too old; \(Self.remedy)")
            }
            return unsafeBitCast(address, to: T.self)
        }
        connect = try function("PQconnectdbParams")
        finish = try function("PQfinish")
        status = try function("PQstatus")
        errorMessage = try function("PQerrorMessage")
        serverVersion = try function("PQserverVersion")
        parameterStatus = try function("PQparameterStatus")
        consumeInput = try function("PQconsumeInput")
        socket = try function("PQsocket")
        backendID = try function("PQbackendPID")
        notifications = try function("PQnotifies")
        setNoticeProcessor = try function("PQsetNoticeProcessor")
        execute = try function("PQexec")
        prepare = try function("PQprepare")
        executePrepared = try function("PQexecPrepared")
        resultStatus = try function("PQresultStatus")
        resultErrorField = try function("PQresultErrorField")
        commandStatus = try function("PQcmdStatus")
        affectedRows = try function("PQcmdTuples")
        rowCount = try function("PQntuples")
        columnCount = try function("PQnfields")
        isNull = try function("PQgetisnull")
        length = try function("PQgetlength")
        value = try function("PQgetvalue")
        clear = try function("PQclear")
        parseSettings = try function("PQconninfoParse")
        freeSettings = try function("PQconninfoFree")
        freeMemory = try function("PQfreemem")
    }
}
