/// The part of a page that is written into its events: what `page` and `currency` of a tip say.
public struct PageLabel: Hashable, Sendable {
    public let slug: Slug
    public let currency: Currency

    public init(slug: Slug, currency: Currency) {
        self.slug = slug
        self.currency = currency
    }
}

extension Page {
    public var label: PageLabel { PageLabel(slug: slug, currency: currency) }
}
