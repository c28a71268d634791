import TipwireCore

/// A moment that the tables below call now: 2026-03-01T12:00:00.000Z.
let noon = Timestamp(milliseconds: 1_772_366_400_000)

let olivia = Account.ID(rawValue: 1)
let mia = Account.ID(rawValue: 2)
let frank = Account.ID(rawValue: 3)

/// A page of Olivia's with Mia as its member.
func page(_ id: Int64 = 10, customURL: String? = nil) -> Page {
    Page(
        id: Page.ID(rawValue: id), publicID: "1x1", slug: Slug("page-\(id)")!, title: "Page", customURL: customURL,
        currency: .usd, owner: olivia, members: [mia], createdAt: noon)
}

func principal(_ account: Account.ID, _ scopes: [Scope] = [.eventsRead], pages: Set<Int64>? = nil) -> Principal {
    Principal(
        account: account, credential: .key(id: "k"), scopes: scopes,
        pageLimit: pages.map { Set($0.map(Page.ID.init(rawValue:))) }, expiresAt: nil)
}

func draft(_ fields: TipFields) throws -> TipDraft { try TipDraft(validating: fields, now: noon) }
