import HTTPTypes
import Hummingbird
import NIOCore
import TipwireCore
import TipwireHub
import TipwireStore

/// `/p/{slug}`: what a page shows to everyone, its title and its goals. No names, no messages. Whole without a script; one of ours
/// keeps it true while it is looked at.
struct PublicPageController: Sendable {
    let directory: Directory
    let store: any GoalStore

    private static let contentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        + "form-action 'none'; frame-ancestors 'none'"

    func addRoutes(to router: APIRouter) {
        router.open(.get, "/p/{slug}", show)
    }

    @Sendable func show(_ request: Request, _ context: AppContext) async throws -> Response {
        let text = try context.parameters.require("slug")
        guard let page = Slug(text).flatMap({ slug in directory.look { $0.page(slug: slug) } }) else {
            return answer(
                .notFound, title: "No such page",
                content: """
                    <h1>There is no such page</h1>
                    <p class="muted">Its address may be mistyped, or whoever made it has taken it down.</p>
                    """)
        }
        let goals = try await store.goals(page: page.id).listed
        // What is to come first; what was reached, the latest first.
        let open = goals.filter { $0.state != .completed }
        let reached = goals.filter { $0.state == .completed }.reversed()
        return answer(.ok, title: page.title, content: Self.content(page, open + reached))
    }

    private func answer(_ status: HTTPResponse.Status, title: String, content: String) -> Response {
        let body = ByteBuffer(
            string: """
                <!doctype html>
                <html lang="en">
                <head>
                <meta charset="utf-8">
                <meta name="viewport" content="width=device-width, initial-scale=1">
                <meta name="color-scheme" content="light dark">
                <title>\(HTML.escaped(title))</title>
                <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
                <link rel="stylesheet" href="/assets/style.css">
                <link rel="stylesheet" href="/assets/public.css">
                <script type="module" src="/assets/public.js"></script>
                </head>
                <body class="public">
                <main>
                \(content)
                </main>
                </body>
                </html>

                """)
        return Response(
            status: status,
            headers: [
                .contentType: "text/html; charset=utf-8", .cacheControl: "no-store",
                .contentLength: "\(body.readableBytes)", .contentSecurityPolicy: Self.contentSecurityPolicy,
                .referrerPolicy: "no-referrer",
            ], body: .init(byteBuffer: body))
    }

    private static func content(_ page: Page, _ goals: [ListedGoal]) -> String {
        var content = "<h1>\(HTML.escaped(page.title))</h1>\n"
        if goals.isEmpty {
            content += "<p class=\"muted\">There are no goals at the moment.</p>\n"
        } else {
            content += "<ul class=\"goals\">\n"
            for goal in goals { content += item(goal, currency: page.currency) }
            content += "</ul>\n"
        }
        if let url = page.customURL {
            content += "<p><a href=\"\(HTML.escaped(url))\" rel=\"noreferrer\">\(HTML.escaped(url))</a></p>\n"
        }
        return content
    }

    private static func item(_ listed: ListedGoal, currency: Currency) -> String {
        let goal = listed.goal
        let state =
            switch listed.state {
            case .active: "Now"
            case .queued: "Next"
            case .completed: "Reached"
            }
        let amounts =
            "\(currency.decimal(goal.progressInCents)) of \(currency.decimal(goal.amountInCents)) \(currency.code)"
        return """
            <li class="card goal is-\(listed.state.rawValue)">
            <p class="label">\(state)</p>
            <h2>\(HTML.escaped(goal.description))</h2>
            <progress value="\(goal.progressInCents)" max="\(goal.amountInCents)">\(amounts)</progress>
            <p class="muted">\(amounts)</p>
            </li>

            """
    }
}

/// Text on its way into a document.
enum HTML {
    /// Fit for the inside of an element and of a quoted attribute.
    static func escaped(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { escaped, scalar in
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
    }
}
