import NIOCore

/// A statement's parameter.
enum PostgresValue: Sendable {
    case null
    case int(Int64)
    case bool(Bool)
    case text(String)
    case bytes(ByteBuffer)
    // Arrays, for `unnest($1::bigint[], …)` and `= ANY($1)`.
    case ints([Int64?])
    case texts([String?])
    case bools([Bool])
    case blobs([ByteBuffer?])
    /// Texts that are UTF-8 in buffers already.
    case documents([ByteBuffer])
}

/// What can be a statement's parameter.
protocol PostgresEncodable {
    var postgresValue: PostgresValue { get }
}

extension PostgresValue: PostgresEncodable {
    var postgresValue: PostgresValue { self }
}

extension Int: PostgresEncodable {
    var postgresValue: PostgresValue { .int(Int64(self)) }
}

extension Int64: PostgresEncodable {
    var postgresValue: PostgresValue { .int(self) }
}

extension Bool: PostgresEncodable {
    var postgresValue: PostgresValue { .bool(self) }
}

extension String: PostgresEncodable {
    var postgresValue: PostgresValue { .text(self) }
}

extension ByteBuffer: PostgresEncodable {
    var postgresValue: PostgresValue { .bytes(self) }
}

extension Optional: PostgresEncodable where Wrapped: PostgresEncodable {
    var postgresValue: PostgresValue { self?.postgresValue ?? .null }
}

/// What lists of it can be parameters.
protocol PostgresArrayElement: PostgresEncodable {
    static func postgresValue(of list: [Self]) -> PostgresValue
}

extension Int64: PostgresArrayElement {
    static func postgresValue(of list: [Int64]) -> PostgresValue { .ints(list) }
}

extension Int: PostgresArrayElement {
    static func postgresValue(of list: [Int]) -> PostgresValue { .ints(list.map(Int64.init)) }
}

extension String: PostgresArrayElement {
    static func postgresValue(of list: [String]) -> PostgresValue { .texts(list) }
}

extension Bool: PostgresArrayElement {
    static func postgresValue(of list: [Bool]) -> PostgresValue { .bools(list) }
}

extension Array: PostgresEncodable where Element: PostgresArrayElement {
    var postgresValue: PostgresValue { Element.postgresValue(of: self) }
}
