/// A page, as far as it is known to a line about it.
struct ListenedPage: Hashable, Sendable {
    /// Nil when neither the message nor the command named it, and it couldn't be learnt.
    let slug: String?
    /// Its currency's code; nil when it couldn't be learnt.
    let currency: String?

    /// An amount of this page. Without a currency it has no sign, since a wrong one would be worse than none.
    func money(_ cents: Int) -> String {
        currency.map { Wording.money(cents, code: $0) } ?? "\(cents) cents"
    }

    /// `$16.20 of $50.00 (32%)`.
    func progress(_ cents: Int, of target: Int) -> String {
        "\(money(cents)) of \(money(target)) (\(ProgressBar(progress: cents, amount: target).percent))"
    }

    /// `15:04:05Z  demo  ` and the parts, two spaces between each and the next.
    ///
    /// - Parameter time: RFC 3339. Without one the line begins with as many blanks: it belongs to what stands above.
    func line(at time: String?, _ parts: [String]) -> String {
        let clock = time.map { Wording.timeOfDay($0).description } ?? Self.noTime
        return ([clock] + (slug.map { [VisibleText($0).description] } ?? []) + parts).joined(separator: "  ")
    }

    /// `Ada`, `$5.00`, `"hello"`; nothing for no message.
    func tip(from displayName: String, cents: Int, message: String) -> [String] {
        Self.tip(from: displayName, money: money(cents), message: message)
    }

    /// The same of an amount that is in words.
    static func tip(from displayName: String, money: String, message: String) -> [String] {
        [Wording.tipper(displayName).description, money] + (message.isEmpty ? [] : [quoted(message)])
    }

    static func quoted(_ text: String) -> String { "\"\(VisibleText(text))\"" }

    /// As wide as `15:04:05Z`.
    private static let noTime = String(repeating: " ", count: 9)
}
