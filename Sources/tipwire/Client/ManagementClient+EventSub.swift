import Foundation
import TipwireCore

/// The page that a subscription is for.
struct EventSubPage: Equatable, Sendable {
    /// Its number, which is all that EventSub calls it.
    let profile: Int
    /// Nil when the key may not learn it.
    let slug: String?
}

extension APIRequest {
    /// Of the key's profiles; any key may ask.
    fileprivate static let profiles = APIRequest(.get, "user", "profiles", "get")

    fileprivate static func createEventSub(_ page: EventSubPage, type: String?) -> APIRequest {
        var request = APIRequest(.post, "create")
        request.root = eventSubRoot
        request.query = [("transport[method]", "websocket")] + (type.map { [("type", $0)] } ?? [])
        request.profile = page.profile
        return request
    }

    static func endEventSub(_ id: String) -> APIRequest {
        var request = APIRequest(.delete, "delete")
        request.root = eventSubRoot
        request.query = [("connection_id", id)]
        return request
    }

    private static let eventSubRoot = ["api", "eventsub"]
}

/// The calls of EventSub. What a later attempt may change is thrown as a `ListeningEnding`, all else as a `Failure`.
extension ManagementClient {
    private struct Envelope<Value: Decodable>: Decodable {
        let data: Value
    }

    private struct Profile: Decodable {
        let funprofileID: Int

        private enum CodingKeys: String, CodingKey { case funprofileID = "funprofile_id" }
    }

    private struct Created: Decodable {
        let connectionID: String

        private enum CodingKeys: String, CodingKey { case connectionID = "connection_id" }
    }

    /// Finds the page to subscribe to.
    ///
    /// EventSub knows pages by their numbers, and only the management API says which number is which page. A key without
    /// the scope `manage` may not ask it; if it reaches one page only, and sees the tips of the one that was asked for,
    /// that is the one. In every other case a guess might subscribe to the wrong page.
    func eventSubPage(_ slug: Slug?) async throws -> EventSubPage {
        let profiles = try await profiles()
        guard let slug else {
            guard profiles.count == 1 else {
                throw Failure(
                    profiles.isEmpty
                        ? "the key from \(key.source) reaches no page; create one with: tipwire page create SLUG"
                        : "the key from \(key.source) reaches \(profiles.count) pages; say which one with --page")
            }
            return await EventSubPage(profile: profiles[0], slug: self.slug(ofProfile: profiles[0]))
        }
        let request = APIRequest(.get, "pages", slug.text).about(.page(slug))
        let answer = try await settled(request)
        if answer.status == 403 {
            guard profiles.count == 1, try await seesTips(of: slug) else { throw Failure(unknownNumber(of: slug)) }
            return EventSubPage(profile: profiles[0], slug: slug.text)
        }
        guard answer.isSuccess else { throw await refusal(of: request, answer) }
        guard let number = try answer.decoded(as: PageObject.self).profileId, profiles.contains(number) else {
            throw Failure(
                "page '\(slug)' is of another account than the key from \(key.source); EventSub tells an account only "
                    + "of its own pages and of those that it is a member of")
        }
        return EventSubPage(profile: number, slug: slug.text)
    }

    /// Subscribes, and returns the id to connect with.
    func subscribe(to page: EventSubPage, type: String?) async throws -> String {
        let answer = try await settled(.createEventSub(page, type: type))
        switch answer.status {
        case 400:
            throw Failure(
                "the server does not take the subscription (400): "
                    + "\(VisibleText(Self.detail(of: answer) ?? "no reason given"))")
        case 401:
            // It says no more than that. The profiles, which any good key may see, tell what it is.
            let isThere = try await profiles().contains(page.profile)
            throw Failure(
                isThere ? missingScope(page) : "the page is no longer open to the key from \(key.source) (401)")
        default: return try succeeded(answer).decoded(as: Envelope<Created>.self).data.connectionID
        }
    }

    private func profiles() async throws -> [Int] {
        let request = APIRequest.profiles
        let answer = try await settled(request)
        if answer.status == 401 { throw await refusal(of: request, answer) }
        return try succeeded(answer).decoded(as: Envelope<[Profile]>.self).data.map(\.funprofileID)
    }

    /// For the lines only, so that not to know it is no failure.
    private func slug(ofProfile number: Int) async -> String? {
        var request = APIRequest(.get, "pages")
        request.query = [("limit", String(Limits.listRows.upperBound))]
        guard let answer = try? await self.answer(request), answer.isSuccess else { return nil }
        let pages = try? answer.decoded(as: ListAnswer<PageObject>.self).data
        return pages?.first { $0.profileId == number }?.slug
    }

    private func seesTips(of slug: Slug) async throws -> Bool {
        var request = APIRequest(.get, "pages", slug.text, "tips")
        request.query = [("limit", "1")]
        return try await settled(request).isSuccess
    }

    /// The answer, if it isn't one that another attempt may change.
    private func settled(_ request: APIRequest) async throws -> APIAnswer {
        let answer: APIAnswer
        do {
            answer = try await self.answer(request)
        } catch {
            throw ListeningEnding.unreachable(error)
        }
        guard answer.status != 429, answer.status < 500 else { throw refused(answer) }
        return answer
    }

    private func succeeded(_ answer: APIAnswer) throws -> APIAnswer {
        guard answer.isSuccess else { throw refused(answer) }
        return answer
    }

    private func refused(_ answer: APIAnswer) -> ListeningEnding {
        .refused(
            status: answer.status, detail: Self.detail(of: answer), retryAfterSeconds: answer.retryAfterSeconds)
    }

    /// The sentence of a refused call, if it has one.
    private static func detail(of answer: APIAnswer) -> String? {
        struct Reason: Decodable {
            let sentence: String

            private enum CodingKeys: String, CodingKey { case sentence = "error_data" }
        }
        return try? answer.decoded(as: Reason.self).sentence
    }

    private func unknownNumber(of slug: Slug) -> String {
        "the key from \(key.source) may not look up which number page '\(slug)' has (it lacks the scope manage), and "
            + "that is how EventSub names pages; a key for that page alone needs no --page: "
            + Self.keyAdvice(slug.text)
    }

    private func missingScope(_ page: EventSubPage) -> String {
        "the key from \(key.source) may not subscribe (401): it lacks the scope \(Scope.eventsub.rawValue); "
            + "make one with: \(Self.keyAdvice(page.slug ?? "SLUG"))"
    }

    private static func keyAdvice(_ slug: String) -> String {
        "tipwire key create --name listen --scope \(Scope.eventsub.rawValue) --page \(VisibleText(slug))"
    }
}
