import TipwireCore

extension ManagementClient {
    /// The currency of a page, as far as the key may know it; nil if it may not.
    ///
    /// Asked of the page itself (`manage`), else of its newest tip (`events:read`): a key that listens may not see the
    /// page's settings, but it sees tips. A key that only sends sees neither.
    func currency(of page: Slug) async throws -> Currency? {
        let request = APIRequest(.get, "pages", page.text).about(.page(page))
        let answer: APIAnswer
        do {
            answer = try await self.answer(request)
        } catch {
            throw Failure(error.message(address))
        }
        if answer.isSuccess { return try known(answer.decoded(as: PageObject.self).currency, of: page) }
        guard answer.status == 403 else { throw await refusal(of: request, answer) }
        var newest = APIRequest(.get, "pages", page.text, "tips")
        newest.query = [("limit", "1")]
        guard let tips = try? await self.answer(newest), tips.isSuccess,
            let tip = try tips.decoded(as: ListAnswer<TipObject>.self).data.first
        else { return nil }
        return try known(tip.currency, of: page)
    }

    /// The currency of a page that the key manages; a key that doesn't is told so.
    func managedCurrency(of page: Slug) async throws -> Currency {
        let answer = try await call(APIRequest(.get, "pages", page.text).about(.page(page)))
        return try known(answer.decoded(as: PageObject.self).currency, of: page)
    }

    private func known(_ code: String, of page: Slug) throws -> Currency {
        guard let currency = Currency(code: code) else {
            throw Failure("page '\(page)' has the currency '\(VisibleText(code))', which this version does not know")
        }
        return currency
    }
}
