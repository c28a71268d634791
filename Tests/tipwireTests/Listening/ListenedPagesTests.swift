import NIOConcurrencyHelpers
import Testing

@testable import tipwire

@Suite struct ListenedPagesTests {
    private static func page(_ slug: String, _ currency: String) -> PageObject {
        PageObject(
            slug: slug, title: nil, url: nil, currency: currency, profileId: nil, owner: nil,
            createdAt: "2026-07-01T15:04:05.123Z")
    }

    @Test("The one page there is, is the one listened to; of several only what they share is known")
    func onlyPage() {
        let (demo, yen) = (Self.page("demo", "USD"), Self.page("yen", "JPY"))
        func found(_ pages: [PageObject], next: String? = nil) -> ListenedPage {
            ListenedPages.onlyPage(among: ListAnswer(data: pages, next: next))
        }
        #expect(found([demo]) == ListenedPage(slug: "demo", currency: "USD"))
        #expect(found([demo, Self.page("b", "USD")]) == ListenedPage(slug: nil, currency: "USD"))
        #expect(found([demo, yen]) == ListenedPage(slug: nil, currency: nil))
        #expect(found([]) == ListenedPage(slug: nil, currency: nil))
        #expect(found([demo], next: "2") == ListenedPage(slug: nil, currency: nil))
    }

    @Test("A page is asked for once, until a new connection forgets it")
    func remembered() async throws {
        let currency = NIOLockedValueBox("USD")
        let server = try await ScriptedServer.start { _, request in
            #expect(request.hasPrefix("GET /api/v1/pages/demo HTTP/1.1\r\n"))
            let code = currency.withLockedValue { $0 }
            let body = #"{"slug":"demo","currency":"\#(code)","createdAt":"2026-07-01T15:04:05.123Z"}"#
            return .open("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        }
        let client = try ManagementClient(
            address: #require(ServerAddress("http://127.0.0.1:\(server.port)")),
            key: .find(option: "tw_" + String(repeating: "a", count: 64), environment: [:]))
        let pages = ListenedPages(client: client, notes: .notes)
        #expect(await pages.page("demo") == ListenedPage(slug: "demo", currency: "USD"))
        currency.withLockedValue { $0 = "JPY" }
        #expect(await pages.page("demo") == ListenedPage(slug: "demo", currency: "USD"))
        #expect(server.requests.count == 1)
        await pages.forget()
        #expect(await pages.page("demo", needsCurrency: false) == ListenedPage(slug: "demo", currency: nil))
        #expect(await pages.page(nil, needsCurrency: false) == ListenedPage(slug: nil, currency: nil))
        #expect(server.requests.count == 1)
        #expect(await pages.page("demo") == ListenedPage(slug: "demo", currency: "JPY"))
        await client.close()
        try await server.close()
    }
}
