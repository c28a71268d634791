import TipwireCore

/// The currencies of the pages that were heard of, asked for once each: the feed names amounts without one.
actor PageCurrencies {
    /// Most pages that are remembered; a firehose of more asks again.
    static let capacity = 10_000

    private let client: ManagementClient
    private var codes: [String: String] = [:]

    init(client: ManagementClient) {
        self.client = client
    }

    /// The code, or nil if it couldn't be learnt now; a failure isn't remembered.
    func code(ofPage text: String) async -> String? {
        if let code = codes[text] { return code }
        guard let slug = Slug(text), let currency = try? await client.currency(of: slug) else { return nil }
        if codes.count >= Self.capacity { codes.removeAll() }
        codes[text] = currency.code
        return currency.code
    }
}
