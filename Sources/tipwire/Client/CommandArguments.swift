import ArgumentParser
import TipwireCore

/// Reading of arguments whose rule is the wire's: a typo is told before a request is made, with the rule.
enum CommandArguments {
    @Sendable static func slug(_ text: String) throws -> Slug {
        guard let slug = Slug(text) else { throw ValidationError(Slug.rule) }
        return slug
    }

    @Sendable static func tipIdentifier(_ text: String) throws -> TipIdentifier {
        guard let identifier = TipIdentifier(text) else { throw ValidationError(TipIdentifier.rule) }
        return identifier
    }
}
