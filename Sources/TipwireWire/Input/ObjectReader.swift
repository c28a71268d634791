import TipwireCore

/// Reads the members of a JSON object that a caller sent, and collects everything that is wrong with them.
///
/// A caller gets one answer that names every bad field: wrong types, missing members and unknown ones together, so that
/// nobody has to find their mistakes one request at a time. `null` counts as absent.
public struct ObjectReader {
    private let object: JSONObject
    /// Of each member whether somebody asked for it.
    private var isRead: [Bool]
    private var errors: [FieldError] = []
    private var unnamed = 0

    /// Most errors that one answer names. The rest is counted: an answer must not grow with the nonsense it answers.
    static let maximumErrors = 100

    /// Whether more errors would only be counted.
    var isFull: Bool { errors.count >= Self.maximumErrors }

    /// Throws when `value` is not an object.
    public init(_ value: JSONValue) throws(InvalidInput) {
        guard case .object(let object) = value else {
            throw InvalidInput(field: "", "must be a JSON object")
        }
        self.object = object
        isRead = Array(repeating: false, count: object.members.count)
    }

    /// The member, nil when absent or `null`.
    public mutating func value(_ name: String) -> JSONValue? {
        guard let index = object.index(of: name) else { return nil }
        isRead[index] = true
        let value = object.members[index].value
        if case .null = value { return nil }
        return value
    }

    public mutating func string(_ name: String) -> String? {
        guard let value = value(name) else { return nil }
        if case .string(let text) = value { return text }
        fail(name, "must be a string")
        return nil
    }

    public mutating func integer(_ name: String) -> Int? {
        guard let value = value(name) else { return nil }
        if case .number(let number) = value, let integer = number.integer { return integer }
        fail(name, "must be a whole number")
        return nil
    }

    public mutating func bool(_ name: String) -> Bool? {
        guard let value = value(name) else { return nil }
        if case .bool(let flag) = value { return flag }
        fail(name, "must be true or false")
        return nil
    }

    public mutating func strings(_ name: String) -> [String]? {
        guard let value = value(name) else { return nil }
        if case .array(let values) = value {
            let texts = values.compactMap { if case .string(let text) = $0 { text } else { nil } }
            if texts.count == values.count { return texts }
        }
        fail(name, "must be a list of strings")
        return nil
    }

    public mutating func timestamp(_ name: String) -> Timestamp? {
        guard let text = string(name) else { return nil }
        if let time = Timestamp(rfc3339: text) { return time }
        fail(name, "must be a time like 2024-03-13T18:02:33.743Z (RFC 3339)")
        return nil
    }

    /// Records that a member is needed, unless something is wrong with it already.
    public mutating func require(_ name: String, _ isPresent: Bool) {
        guard !isPresent, !errors.contains(where: { $0.field == name }) else { return }
        fail(name, "is missing")
    }

    public mutating func fail(_ name: String, _ detail: String) {
        if isFull { unnamed += 1 } else { errors.append(FieldError(field: name, detail: detail)) }
    }

    public mutating func merge(_ invalid: InvalidInput) {
        for error in invalid.errors { fail(error.field, error.detail) }
    }

    /// Throws everything that was found, members that nobody read included.
    public mutating func finish() throws(InvalidInput) {
        for (member, isRead) in zip(object.members, isRead) where !isRead {
            fail(String(member.name.prefix(64)), "is not known here")
        }
        if unnamed > 0 { errors.append(FieldError(field: "", detail: "and \(unnamed) more")) }
        if !errors.isEmpty { throw InvalidInput(errors) }
    }
}
