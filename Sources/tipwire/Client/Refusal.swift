import Foundation
import TipwireCore

/// A refusal of the server, put in words: the one place where a status becomes a sentence.
struct Refusal {
    /// What a call is about.
    enum Subject: Hashable, Sendable {
        case page(Slug)
        case tip(TipIdentifier, on: Slug)
        case goal(String, on: Slug)
        /// A goal whose amount or progress shall change.
        case goalAmount(GoalAmountChange)
        /// The order of a page's goals, made up from an earlier look at them.
        case goalOrder(of: Slug)
        case member(Slug, of: Slug)
        case key(String)
        case account(Slug)
        case subscription(String)
        case delivery(String, of: String)
        /// Nothing that has a name in the address; the server's own words must do.
        case other

        /// What it is part of and whose absence would look the same, with the request that tells whether it is there.
        var enclosing: (subject: Subject, request: APIRequest)? {
            switch self {
            case .tip(_, let page), .goal(_, let page), .member(_, let page):
                (.page(page), APIRequest(.get, "pages", page.text))
            case .goalAmount(let change): (.page(change.page), APIRequest(.get, "pages", change.page.text))
            case .delivery(_, let id): (.subscription(id), APIRequest(.get, "subscriptions", id))
            case .page, .goalOrder, .key, .account, .subscription, .other: nil
            }
        }
    }

    let answer: APIAnswer
    let subject: Subject
    /// The goal as it is now, if its amount is what was refused.
    var goal: GoalObject?
    let source: PresentedKey.Source
    let address: ServerAddress

    var failure: Failure {
        switch answer.status {
        case 300..<400:
            let target = answer.location.map { " to \(VisibleText($0))" } ?? ""
            return Failure("\(address) redirects\(target); give the server's own address with --server")
        case 401: return Failure(unknownKey)
        case 403:
            let detail = problem?.sentence ?? "the key may not do this"
            return Failure("\(detail) (403; the key is from \(source))")
        case 404: return Failure(missing)
        case 429, 503:
            let reason = problem?.sentence ?? (answer.status == 429 ? "too many requests" : "the server is not ready")
            let wait = answer.retryAfterSeconds.map { "; try again in \($0) s" } ?? "; try again later"
            return Failure("\(reason) (\(answer.status))\(wait)")
        case 409: return Failure(problem.map { "\($0.sentence ?? "this clashes with what is there") (409)" } ?? foreign)
        case 422: return Failure(staleOrder ?? goalAmount ?? problem?.lines ?? foreign)
        default: return Failure(problem?.lines ?? foreign)
        }
    }

    private var unknownKey: String {
        let refused = "the server at \(address) does not accept the key from \(source) (401): "
        let reason = "it is wrong, expired or revoked"
        return switch source {
        case .option, .environment:
            refused + reason + ". Make another with 'tipwire key create' where the admin key is"
        case .file:
            refused + reason + ", or of another server. Set TIPWIRE_DATA to that server's data folder, or give a key "
                + "with --key or in TIPWIRE_KEY"
        }
    }

    private var missing: String {
        guard let problem else { return foreign }
        return switch subject {
        case .page(let slug), .goalOrder(let slug):
            "page '\(slug)' does not exist, or the key is for other pages; create it with: tipwire page create \(slug)"
        case .tip(let id, let page): "page '\(page)' has no tip '\(id)'; list its tips with: tipwire tips \(page)"
        case .goal(let id, let page): Self.noGoal(id, on: page)
        case .goalAmount(let change): Self.noGoal(change.goalID, on: change.page)
        case .member(let account, _), .account(let account):
            "account '\(account)' does not exist; create it with: tipwire account create \(account)"
        case .key(let id): "there is no key '\(VisibleText(id))'; list them with: tipwire key list"
        case .subscription(let id):
            "there is no webhook '\(VisibleText(id))'; list them with: tipwire subscription list"
        case .delivery(let id, let subscription):
            "webhook '\(VisibleText(subscription))' has no delivery '\(VisibleText(id))'; list its deliveries with: "
                + "tipwire subscription deliveries \(VisibleText(subscription))"
        case .other: problem.lines
        }
    }

    private static func noGoal(_ id: String, on page: Slug) -> String {
        "page '\(page)' has no goal '\(VisibleText(id))'; list its goals with: tipwire goal list \(page)"
    }

    /// Why a goal doesn't take an amount, in money. The server's own words stand where the goal doesn't explain it.
    private var goalAmount: String? {
        guard case .goalAmount(let change) = subject, let goal, let problem,
            problem.errors?.map(\.field) == ["amountInCents"]
        else { return nil }
        return change.reason(goal)
    }

    /// Somebody else changed the queue between our look at it and our order: what they did, and that nothing is lost.
    private var staleOrder: String? {
        guard case .goalOrder(let page) = subject, let problem, problem.isStaleOrder else { return nil }
        let changes = (problem.errors ?? []).map { "\nthe order \(VisibleText($0.detail))" }.joined()
        return "the goals of '\(page)' have changed since they were listed, so none was moved; try again" + changes
    }

    private var foreign: String {
        "\(address) answered \(answer.status), but not in Tipwire's way; is --server right?"
    }

    private var problem: Problem? { try? JSONDecoder().decode(Problem.self, from: answer.body) }
}

/// RFC 9457's problem, as far as it is shown. All of it is the server's text, so none of it is trusted.
struct Problem: Decodable {
    struct Field: Decodable {
        let field: String
        let detail: String
    }

    let title: String?
    let status: Int
    let detail: String?
    let errors: [Field]?
    /// Goals that an order doesn't fit any more, by what became of them.
    let added: [String]?
    let removed: [String]?
    let completed: [String]?

    var isStaleOrder: Bool { [added, removed, completed].contains { $0?.isEmpty == false } }

    /// Without its full stop: a status or advice follows.
    var sentence: String? {
        (detail ?? title).map { text in
            let visible = VisibleText(text).description
            return visible.hasSuffix(".") ? String(visible.dropLast()) : visible
        }
    }

    /// The bad fields, one a line; without any the sentence.
    ///
    /// The sentence is left out when fields are named: it only says that they are bad.
    var lines: String {
        let fields = (errors ?? []).map { "\(VisibleText($0.field)): \(VisibleText($0.detail))" }
        return fields.isEmpty ? "\(sentence ?? "the server refused this") (\(status))" : fields.joined(separator: "\n")
    }
}
