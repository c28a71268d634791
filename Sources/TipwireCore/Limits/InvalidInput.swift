/// One refused field: where it is, and what to do about it.
public struct FieldError: Hashable, Sendable {
    /// The member's name; inside a batch `tips/<index>/<name>`.
    public let field: String
    /// A sentence for the person who wrote the call. Never contains a secret.
    public let detail: String

    public init(field: String, detail: String) {
        self.field = field
        self.detail = detail
    }
}

/// Input that was understood but breaks a rule; names every bad field, not only the first.
public struct InvalidInput: Error, Hashable, Sendable {
    public let errors: [FieldError]

    public init(_ errors: [FieldError]) {
        precondition(!errors.isEmpty, "an InvalidInput names at least one field")
        self.errors = errors
    }

    public init(field: String, _ detail: String) {
        self.init([FieldError(field: field, detail: detail)])
    }

    /// The same errors, each field placed under `path`.
    public func under(_ path: String) -> InvalidInput {
        InvalidInput(
            errors.map { FieldError(field: $0.field.isEmpty ? path : "\(path)/\($0.field)", detail: $0.detail) })
    }
}
