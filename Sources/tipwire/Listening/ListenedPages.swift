import TipwireCore

/// What lines need to know of pages and messages don't tell: the currency, asked for once for each page.
actor ListenedPages {
    /// Most pages that are remembered; a firehose of more asks again.
    static let capacity = 10_000

    private let client: ManagementClient
    private let notes: TextOutput
    private var codes: [String: String] = [:]
    private var onlyPage: ListenedPage?

    init(client: ManagementClient, notes: TextOutput) {
        self.client = client
        self.notes = notes
    }

    /// The page that an event is about, with what could be learnt of it now; a failure isn't remembered.
    ///
    /// - Parameters:
    ///   - slug: Nil stands for the one page that the key listens to when it needs to name none.
    ///   - needsCurrency: Whether the line has to be told it. One that doesn't is worth no request.
    func page(_ slug: String?, needsCurrency: Bool = true) async -> ListenedPage {
        guard needsCurrency else { return ListenedPage(slug: slug, currency: nil) }
        guard let slug else { return await theOnlyPage() }
        return ListenedPage(slug: slug, currency: await code(ofPage: slug))
    }

    /// A new connection may be to other pages than the one before, or to pages that were made anew meanwhile.
    func forget() {
        codes.removeAll()
        onlyPage = nil
    }

    private func code(ofPage text: String) async -> String? {
        if let code = codes[text] { return code }
        guard let slug = Slug(text), let currency = try? await client.currency(of: slug) else { return nil }
        if codes.count >= Self.capacity { codes.removeAll() }
        codes[text] = currency.code
        return currency.code
    }

    private func theOnlyPage() async -> ListenedPage {
        if let onlyPage { return onlyPage }
        var request = APIRequest(.get, "pages")
        request.query = [("limit", String(Limits.listRows.upperBound))]
        var page = ListenedPage(slug: nil, currency: nil)
        guard let answer = try? await client.answer(request) else { return page }
        if answer.isSuccess, let list = try? answer.decoded(as: ListAnswer<PageObject>.self) {
            page = Self.onlyPage(among: list)
        }
        // Nor is a refusal asked for again: a key that may only read events never may list pages.
        if answer.isSuccess || answer.status == 403 {
            onlyPage = page
            if page.currency == nil {
                notes.note(
                    "the currency can't be learnt without the page; name it with --page, or use a key with the scope "
                        + "manage")
            }
        }
        return page
    }

    /// The page itself if there is one; of several, which one is listened to isn't known, but what they have in common
    /// is: a key with the scope `admin` sees the pages of others too.
    static func onlyPage(among list: ListAnswer<PageObject>) -> ListenedPage {
        let currencies = Set(list.data.map(\.currency))
        return ListenedPage(
            slug: list.data.count == 1 && list.next == nil ? list.data[0].slug : nil,
            currency: currencies.count == 1 && list.next == nil ? currencies.first : nil)
    }
}
