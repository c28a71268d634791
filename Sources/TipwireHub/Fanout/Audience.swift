import TipwireCore

/// Which events a listener gets, fixed when it subscribes. Listeners with the same audience share their bytes.
public enum Audience: Hashable, Sendable {
    /// One page's.
    case page(Page.ID)
    /// Those of every page that an account owns at the time of each event, or of those among `limit`.
    case owner(Account.ID, limit: Set<Page.ID>?)

    /// The pages to look for in the log.
    func pages(in directory: borrowing DirectoryView) -> Set<Page.ID> {
        switch self {
        case .page(let page): return [page]
        case .owner(let account, let limit):
            let owned = directory.pages(ownedBy: account)
            return limit.map(owned.intersection) ?? owned
        }
    }
}
