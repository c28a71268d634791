import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWebhooks
import TipwireWire

/// Reads what callers send about webhooks.
enum SubscriptionInput {
    /// `{page,callback,type?,version?,condition?,secret?}`.
    ///
    /// - Parameter page: finds a page that the caller may see.
    static func wish(
        _ value: JSONValue, of principal: Principal, page find: (Slug) -> Page?
    ) throws(InvalidInput) -> WebhookWish {
        var reader = try ObjectReader(value)
        let page = readPage(&reader, find)
        let callback = reader.string("callback")
        reader.require("callback", callback != nil)
        let type = readType(&reader)
        let condition = readCondition(&reader, of: type ?? .alerts, currency: page?.currency ?? .usd)
        let secret = readSecret(&reader)
        try reader.finish()
        guard let page, let callback, let type else { preconditionFailure("what is missing has been refused") }
        // Who administers the server acts for the page's owner: a webhook belongs to someone whose page it is.
        let account = page.role(of: principal.account) == nil ? page.owner : principal.account
        return WebhookWish(
            page: page, account: account, key: principal.keyID, type: type, condition: condition, callback: callback,
            secret: secret)
    }

    /// `{secret?,expire_previous?}`; nil for no secret.
    static func rotation(
        _ value: JSONValue?
    ) throws(InvalidInput) -> (secret: WebhookSecret?, endsOthers: Bool) {
        guard let value else { return (nil, false) }
        var reader = try ObjectReader(value)
        let secret = readSecret(&reader)
        let endsOthers = reader.bool("expire_previous") ?? false
        try reader.finish()
        return (secret, endsOthers)
    }

    private static func readPage(_ reader: inout ObjectReader, _ find: (Slug) -> Page?) -> Page? {
        let text = reader.string("page")
        reader.require("page", text != nil)
        guard let text else { return nil }
        guard let page = Slug(text).flatMap(find) else {
            reader.fail("page", "'\(text.prefix(Limits.slugCharacters))' is no page that your key may use")
            return nil
        }
        return page
    }

    private static func readType(_ reader: inout ObjectReader) -> EventSubType? {
        if let version = reader.string("version"), version != EventSubType.version {
            reader.fail("version", "must be \"\(EventSubType.version)\"")
        }
        guard let name = reader.string("type") else { return .alerts }
        guard let type = EventSubType(rawValue: name) else {
            let names = EventSubType.allCases.map(\.rawValue).joined(separator: ", ")
            reader.fail("type", "must be one of \(names)")
            return nil
        }
        return type
    }

    private static func readCondition(
        _ reader: inout ObjectReader, of type: EventSubType, currency: Currency
    ) -> EventSubCondition? {
        guard let value = reader.value("condition") else { return nil }
        guard case .object(let object) = value else {
            reader.fail("condition", "must be an object")
            return nil
        }
        var values: [(name: String, value: String)] = []
        for member in object.members where member.value != .null {
            guard case .string(let text) = member.value else {
                reader.fail("condition/\(member.name.prefix(64))", "must be a string")
                return nil
            }
            values.append((member.name, text))
        }
        do {
            return try EventSubDefinition.of(type).condition(values, currency: currency)
        } catch {
            reader.fail("condition/\(error.name)", error.detail)
            return nil
        }
    }

    private static func readSecret(_ reader: inout ObjectReader) -> WebhookSecret? {
        guard let text = reader.string("secret") else { return nil }
        guard let secret = WebhookSecret(text) else {
            reader.fail("secret", WebhookSecret.rule)
            return nil
        }
        return secret
    }
}

/// Reads which deliveries a caller means.
enum DeliveryQuery {
    /// `state` of a list; nil for all.
    static func kind(_ text: String?) throws(InvalidInput) -> DeliveryKind? {
        guard let text else { return nil }
        guard let kind = DeliveryKind(rawValue: text) else {
            throw InvalidInput(field: "state", "must be one of \(kinds)")
        }
        return kind
    }

    /// `from`, `to` and `status` of a retry; without `status` it is of the dead letters.
    static func selection(_ query: QueryString) throws(InvalidInput) -> RetrySelection {
        try requireOnly(["from", "to", "status"], in: query)
        var selection = RetrySelection(kind: .dead)
        selection.from = try time("from", query)
        selection.to = try time("to", query)
        guard let text = query.nonEmpty("status") else { return selection }
        if let kind = DeliveryKind(rawValue: text) {
            selection.kind = kind
        } else if let status = Int(text), (100...599).contains(status) {
            selection.kind = nil
            selection.status = status
        } else if text == "all" {
            selection.kind = nil
        } else if text != "failed" {
            throw InvalidInput(
                field: "status", "must be failed, all, one of \(kinds), or the HTTP status of the last answer")
        }
        return selection
    }

    /// An unknown parameter is a misspelt limit, an empty one a variable that wasn't set: without it more would be listed, or
    /// sent again, than was meant.
    static func requireOnly(_ known: [String], in query: QueryString) throws(InvalidInput) {
        for name in query.names.sorted() {
            let field = String(name.prefix(64))
            guard known.contains(name) else {
                throw InvalidInput(field: field, "is unknown here: there are \(known.joined(separator: ", "))")
            }
            guard query.nonEmpty(name) != nil else { throw InvalidInput(field: field, "must not be empty") }
            guard !query.repeated.contains(name) else { throw InvalidInput(field: field, "must be given once") }
        }
    }

    private static let kinds = DeliveryKind.allCases.map(\.rawValue).joined(separator: ", ")

    /// RFC 3339, or Unix seconds as deliveries show them.
    private static func time(_ name: String, _ query: QueryString) throws(InvalidInput) -> Timestamp? {
        guard let text = query.nonEmpty(name) else { return nil }
        if let time = Timestamp(rfc3339: text) { return time }
        guard text.utf8.count <= 11, let seconds = Int64(text), seconds >= 0 else {
            throw InvalidInput(
                field: name, "must be a time like 2024-03-13T18:02:33.743Z (RFC 3339), or Unix seconds")
        }
        return Timestamp(milliseconds: seconds * 1_000)
    }
}

extension Principal {
    /// The key that calls; nil for a signed-in browser.
    var keyID: String? {
        if case .key(let id) = credential { id } else { nil }
    }
}
