/// Listeners of pages that nobody tips.
struct IdleListeners {
    var sockets: Int
    var pages: Int

    static func usual(isShort: Bool) -> IdleListeners { IdleListeners(sockets: isShort ? 100 : 1_000, pages: 10) }

    var label: String { "\(Metric.grouped(Double(sockets))) listeners of other pages" }

    func makePages(_ api: TipwireAPI) throws -> [String] {
        let slugs = (0..<pages).map { "\(EventMessage.slug)-idle-\($0)" }
        for slug in slugs { try api.makePage(slug) }
        return slugs
    }

    /// Has them connected while `body` runs. They must get nothing, and all must still be there afterwards.
    func beside<Result>(
        _ slugs: [String], _ process: ChildProcess, _ api: TipwireAPI, _ body: () throws -> Result
    ) throws -> Result {
        let server = api.running(process) { _ in [] }
        let audience = try Audience(sockets, of: .webSocket, pages: pages, publishers: 0, server: server)
        let paths = slugs.flatMap { Array(repeating: api.feed(of: $0), count: sockets / pages) }
        try audience.connect(to: paths)
        let result = try body()
        // What came meanwhile, if anything did, waits in their sockets.
        try audience.serve(seconds: 0.2)
        if let fault = audience.subscribers.firstFault { throw BenchError(fault) }
        guard audience.subscribers.deliveries == 0 else {
            throw BenchError("\(audience.subscribers.deliveries) messages came to listeners of other pages")
        }
        return result
    }
}
