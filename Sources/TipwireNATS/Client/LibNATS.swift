import Foundation
import TipwireStore

/// NATS' own client library, as far as it is used here.
///
/// Loaded when a server is told of a NATS, and not linked, for the reasons that libpq isn't (`docs/decisions/0017`). Its
/// functions have had their form since version 3.0 of 2021. The name of its file has the minor version, since other parts of
/// it do change; so several names are tried.
///
/// `@unchecked`: addresses of functions, which the library allows to be called on any thread.
struct LibNATS: @unchecked Sendable {
    typealias Options = OpaquePointer
    typealias Connection = OpaquePointer
    typealias Subscription = OpaquePointer
    typealias Message = OpaquePointer
    typealias Text = UnsafePointer<CChar>
    /// `natsStatus`, an enumeration.
    typealias Status = CInt
    typealias Context = UnsafeMutableRawPointer
    typealias ConnectionHandler = @convention(c) (Connection?, Context?) -> Void
    typealias ErrorHandler = @convention(c) (Connection?, Subscription?, Status, Context?) -> Void
    typealias MessageHandler = @convention(c) (Connection?, Subscription?, Message?, Context?) -> Void

    let version: @convention(c) () -> Text?
    let statusText: @convention(c) (Status) -> Text?
    let lastError: @convention(c) (UnsafeMutablePointer<Status>?) -> Text?

    let makeOptions: @convention(c) (UnsafeMutablePointer<Options?>) -> Status
    let freeOptions: @convention(c) (Options?) -> Void
    let setURL: @convention(c) (Options, Text) -> Status
    let setUser: @convention(c) (Options, Text, Text) -> Status
    let setToken: @convention(c) (Options, Text) -> Status
    let setSecure: @convention(c) (Options, Bool) -> Status
    let setExpectedHost: @convention(c) (Options, Text) -> Status
    let setName: @convention(c) (Options, Text) -> Status
    let setTimeout: @convention(c) (Options, Int64) -> Status
    let setWriteDeadline: @convention(c) (Options, Int64) -> Status
    let setPingInterval: @convention(c) (Options, Int64) -> Status
    let setMaxPingsOut: @convention(c) (Options, CInt) -> Status
    let setSendAsap: @convention(c) (Options, Bool) -> Status
    let setMaxReconnect: @convention(c) (Options, CInt) -> Status
    let setReconnectWait: @convention(c) (Options, Int64) -> Status
    let setReconnectBuffer: @convention(c) (Options, CInt) -> Status
    let setRetry: @convention(c) (Options, Bool, ConnectionHandler?, Context?) -> Status
    let setDisconnected: @convention(c) (Options, ConnectionHandler?, Context?) -> Status
    let setReconnected: @convention(c) (Options, ConnectionHandler?, Context?) -> Status
    let setClosed: @convention(c) (Options, ConnectionHandler?, Context?) -> Status
    let setErrorHandler: @convention(c) (Options, ErrorHandler?, Context?) -> Status

    let connect: @convention(c) (UnsafeMutablePointer<Connection?>, Options) -> Status
    let destroy: @convention(c) (Connection?) -> Void
    let connectionState: @convention(c) (Connection) -> CInt
    let connectionError: @convention(c) (Connection, UnsafeMutablePointer<Text?>) -> Status
    let maxPayload: @convention(c) (Connection) -> Int64
    let flush: @convention(c) (Connection, Int64) -> Status
    let publish: @convention(c) (Connection, Text, UnsafeRawPointer?, CInt) -> Status
    let subscribe:
        @convention(c) (UnsafeMutablePointer<Subscription?>, Connection, Text, MessageHandler?, Context?) -> Status
    let setPendingLimits: @convention(c) (Subscription, CInt, CInt) -> Status
    let destroySubscription: @convention(c) (Subscription?) -> Void
    let data: @convention(c) (Message) -> UnsafeRawPointer?
    let dataLength: @convention(c) (Message) -> CInt
    let destroyMessage: @convention(c) (Message?) -> Void

    /// `NATS_OK`
    static let ok: Status = 0
    /// `NATS_SLOW_CONSUMER`
    static let slowConsumer: Status = 20
    /// `NATS_NOT_YET_CONNECTED`
    static let notYetConnected: Status = 31
    /// `NATS_CONN_STATUS_CONNECTED` and `NATS_CONN_STATUS_CLOSED`
    static let connected: CInt = 2
    static let closed: CInt = 3

    private static let loaded = Result<LibNATS, any Error> { try LibNATS() }

    /// Throws `StoreUnusable` when the library isn't there.
    static func load() throws -> LibNATS { try loaded.get() }

    #if os(macOS)
    private static let names = [
        "libnats.dylib", "/opt/homebrew/opt/cnats/lib/libnats.dylib", "/usr/local/opt/cnats/lib/libnats.dylib",
    ]
    private static let remedy = "with Homebrew: brew install cnats"
    #else
    private static let names = (0...20).reversed().map { "libnats.so.3.\($0)" } + ["libnats.so"]
    private static let remedy = "on Debian 12: apt-get install libnats3.4"
    #endif

    private init() throws {
        guard let library = Self.names.lazy.compactMap({ dlopen($0, RTLD_NOW | RTLD_LOCAL) }).first else {
            throw StoreUnusable("wakeup needs NATS' C library, libnats, which isn't installed; \(Self.remedy)")
        }
        func function<T>(_ name: String) throws -> T {
            guard let address = dlsym(library, name) else {
                throw StoreUnusable("the libnats that is installed has no \(name): it is too old; \(Self.remedy)")
            }
            return unsafeBitCast(address, to: T.self)
        }
        version = try function("nats_GetVersion")
        statusText = try function("natsStatus_GetText")
        lastError = try function("nats_GetLastError")
        makeOptions = try function("natsOptions_Create")
        freeOptions = try function("natsOptions_Destroy")
        setURL = try function("natsOptions_SetURL")
        setUser = try function("natsOptions_SetUserInfo")
        setToken = try function("natsOptions_SetToken")
        setSecure = try function("natsOptions_SetSecure")
        setExpectedHost = try function("natsOptions_SetExpectedHostname")
        setName = try function("natsOptions_SetName")
        setTimeout = try function("natsOptions_SetTimeout")
        setWriteDeadline = try function("natsOptions_SetWriteDeadline")
        setPingInterval = try function("natsOptions_SetPingInterval")
        setMaxPingsOut = try function("natsOptions_SetMaxPingsOut")
        setSendAsap = try function("natsOptions_SetSendAsap")
        setMaxReconnect = try function("natsOptions_SetMaxReconnect")
        setReconnectWait = try function("natsOptions_SetReconnectWait")
        setReconnectBuffer = try function("natsOptions_SetReconnectBufSize")
        setRetry = try function("natsOptions_SetRetryOnFailedConnect")
        setDisconnected = try function("natsOptions_SetDisconnectedCB")
        setReconnected = try function("natsOptions_SetReconnectedCB")
        setClosed = try function("natsOptions_SetClosedCB")
        setErrorHandler = try function("natsOptions_SetErrorHandler")
        connect = try function("natsConnection_Connect")
        destroy = try function("natsConnection_Destroy")
        connectionState = try function("natsConnection_Status")
        connectionError = try function("natsConnection_GetLastError")
        maxPayload = try function("natsConnection_GetMaxPayload")
        flush = try function("natsConnection_FlushTimeout")
        publish = try function("natsConnection_Publish")
        subscribe = try function("natsConnection_Subscribe")
        setPendingLimits = try function("natsSubscription_SetPendingLimits")
        destroySubscription = try function("natsSubscription_Destroy")
        data = try function("natsMsg_GetData")
        dataLength = try function("natsMsg_GetDataLength")
        destroyMessage = try function("natsMsg_Destroy")
    }

    /// What a status says, in the library's words.
    func text(_ status: Status) -> String { statusText(status).map { String(cString: $0) } ?? "status \(status)" }
}
