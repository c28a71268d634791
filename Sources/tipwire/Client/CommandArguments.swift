import ArgumentParser
import TipwireCore

/// Reading of names that go into an address: a typo is told before a request is made, with the rule.
///
/// Only of names of things that exist. A new one is judged where it is made, by the server.
enum CommandArguments {
    @Sendable static func slug(_ text: String) throws -> Slug {
        guard let slug = Slug(text) else { throw ValidationError(Slug.rule) }
        return slug
    }

    @Sendable static func tipIdentifier(_ text: String) throws -> TipIdentifier {
        guard let identifier = TipIdentifier(text) else { throw ValidationError(TipIdentifier.rule) }
        return identifier
    }

    /// A goal's id. The server chooses them, so there is no rule to hold one against but that it must be there.
    @Sendable static func goalID(_ text: String) throws -> String {
        guard !text.isEmpty else { throw ValidationError("a goal's id must not be empty") }
        return text
    }

    /// A webhook's id, which the server chooses too.
    @Sendable static func subscriptionID(_ text: String) throws -> String {
        guard !text.isEmpty else { throw ValidationError("a webhook's id must not be empty") }
        return text
    }

    @Sendable static func deliveryID(_ text: String) throws -> String {
        guard !text.isEmpty else { throw ValidationError("a delivery's id must not be empty") }
        return text
    }
}
