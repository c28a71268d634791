import Glibc

/// How listeners are spread over pages.
struct PagesLoad {
    var pages: Int
    var listenersEach: Int
    /// How often each page is tipped.
    var laps: Int
    var suite: Sample.Suite
    /// Others, who are connected all the while and get nothing.
    var idle: IdleListeners?

    /// One page that has all listeners.
    static func onePage(isShort: Bool) -> PagesLoad {
        PagesLoad(pages: 1, listenersEach: isShort ? 1_000 : 10_000, laps: isShort ? 3 : 12, suite: .onePage)
    }

    /// The same number over many pages that have a few each.
    static func manyPages(isShort: Bool) -> PagesLoad {
        PagesLoad(pages: isShort ? 100 : 1_000, listenersEach: 10, laps: isShort ? 3 : 12, suite: .manyPages)
    }

    /// One page with as many as 20,000 descriptors have room for.
    static func fullHouse(isShort: Bool) -> PagesLoad {
        PagesLoad(pages: 1, listenersEach: isShort ? 1_900 : 19_000, laps: isShort ? 3 : 12, suite: .fullHouse)
    }

    /// One page with a tenth of them, alone and among nine times as many idle listeners of other pages.
    static func amongIdle(isShort: Bool) -> [PagesLoad] {
        let alone = PagesLoad(
            pages: 1, listenersEach: isShort ? 100 : 1_000, laps: isShort ? 30 : 120, suite: .withoutIdle)
        var among = alone
        among.suite = .amongIdle
        among.idle = IdleListeners(sockets: 9 * alone.sockets, pages: 10)
        return [alone, among]
    }

    /// Of those who get what is sent.
    var sockets: Int { pages * listenersEach }
    var descriptors: Int { sockets + (idle?.sockets ?? 0) }
    var label: String {
        let (pages, each) = (Metric.grouped(Double(pages)), Metric.grouped(Double(listenersEach)))
        let crowd = self.pages == 1 ? "one page with \(each) WebSockets" : "\(pages) pages with \(each) WebSockets each"
        return crowd + (idle.map { ", \($0.label)" } ?? "")
    }
}

/// Each page is tipped once, and once more when everyone has that: every delivery is a write of its own, whatever the
/// number of pages.
///
/// A thousand pages need a thousand tips for the deliveries that one page gets by one. What a tip costs that nobody
/// listens to is therefore measured before, under the same load, and told apart.
final class PagesRun {
    private let load: PagesLoad
    private let api: TipwireAPI
    private let slugs: [String]
    private let audience: Audience
    private var posted: Int64 = 0
    private var values: [Metric: Double] = [:]

    /// Tips that are under way at most; one page has one of each lap.
    private static let inFlight = 64
    private static let warmUpPosts = 40

    init(_ load: PagesLoad, server: ChildProcess, api: TipwireAPI) throws {
        self.load = load
        self.api = api
        // All of one length, so that all messages are.
        let slugs = (0..<load.pages).map { "\(EventMessage.slug)-\(1_000 + $0)" }
        for slug in slugs { try api.makePage(slug) }
        self.slugs = slugs
        let requests = slugs.map { IntakeSetting(connections: 1, tips: 1).request(page: $0, key: api.key) }
        let running = api.running(server) { requests[Int($0) % requests.count] }
        audience = try Audience(
            load.sockets, of: .webSocket, pages: load.pages, publishers: min(load.pages, Self.inFlight), server: running
        )
    }

    func measure() throws -> [Metric: Double] {
        try post(Self.warmUpPosts)
        let alone = max(2 * load.pages, Self.warmUpPosts)
        let unheard = try audience.stretch { try post(alone) }.serverMicroseconds / Double(alone)
        let before = try audience.settledMemory()
        let paths = slugs.flatMap { Array(repeating: api.feed(of: $0), count: load.listenersEach) }
        try audience.connect(to: paths)
        values[.idleBytes] = try Double(audience.settledMemory() - before) / Double(load.sockets)
        try lap()
        let cost = try audience.stretch { for _ in 0..<load.laps { try lap() } }
        let deliveries = Double(load.laps * load.sockets)
        let tips = Double(load.laps * load.pages)
        values[.publishCPU] = unheard
        values[.crowdCPU] = cost.serverMicroseconds / deliveries
        values[.heardCPU] = (cost.serverMicroseconds - unheard * tips) / deliveries
        values[.crowdRate] = deliveries / cost.seconds
        values[.clientCPU] = cost.clientMicroseconds / deliveries
        try audit()
        return values
    }

    /// One tip for each page; over when all have it.
    private func lap() throws {
        let wanted = audience.subscribers.deliveries + load.sockets
        try post(load.pages)
        try audience.waitUntil { audience.subscribers.deliveries == wanted }
    }

    /// The pages take turns.
    private func post(_ tips: Int) throws {
        let last = posted + Int64(tips)
        try audience.waitUntil {
            while posted < last, audience.publishers.canPost {
                posted += 1
                try audience.publishers.post(posted)
            }
            return posted == last && audience.allAnswered
        }
    }

    /// Each page's listeners must have the end of that page's log, and nothing else.
    private func audit() throws {
        for (slug, log) in zip(slugs, audience.subscribers.logs) {
            try log.audit(order: api.sequences(of: slug).suffix(load.laps + 1))
        }
    }
}
