/// How much is asked of a server's webhooks.
struct WebhookLoad {
    /// Webhooks of one page. Each is delivered in order, one at a time: how many there are is how many can be under way.
    var subscriptions = 64
    var tips: Int
    /// Tips of one request. Taking tips in must not be what is waited for.
    var batch = 100
    /// Tips that open the connections and warm the path.
    var warmUpTips = 10

    var label: String { "\(subscriptions) webhooks, \(Metric.grouped(Double(tips))) tips" }
}

/// One server and the receiver of its webhooks, on one thread: from the first post to the last delivery.
final class WebhookRun {
    private let load: WebhookLoad
    private let process: ChildProcess
    private let api: TipwireAPI
    private let poller: Poller
    private let receiver: WebhookReceiver
    private let publisher: HTTPConnection
    private var posted = 0
    private var answered = 0

    /// A server that makes no progress for this long has failed, in nanoseconds.
    private static let patience: Int64 = 20_000_000_000

    init(_ load: WebhookLoad, process: ChildProcess, api: TipwireAPI) throws {
        self.load = load
        self.process = process
        self.api = api
        poller = try Poller()
        receiver = try WebhookReceiver(subscriptions: load.subscriptions, poller: poller)
        publisher = try HTTPConnection(port: api.port)
        try poller.add(publisher.descriptor, token: Publishers.tokens)
    }

    /// Deliveries that came once more.
    var repeats: Int { receiver.repeats }

    /// All figures; throws if a tip didn't come to a subscription, or not in its place.
    func measure() throws -> [Metric: Double] {
        let base = try api.post(tips: 1, to: EventMessage.slug)
        try api.subscribe(receiver.callbacks, to: EventMessage.slug)
        try deliver(load.warmUpTips)
        let cost = try Cost(of: process) { try deliver(load.tips) }
        // What was answered is only done when the server has noted it.
        try waitUntil("the server notes its deliveries") { try api.metric(TipwireAPI.pendingDeliveries) == 0 }
        try receiver.audit(after: base, to: base + Int64(load.warmUpTips + load.tips))
        let deliveries = Double(load.tips * load.subscriptions)
        return [
            .webhookRate: deliveries / cost.seconds, .webhookCPU: cost.serverMicroseconds / deliveries,
            .webhookConnections: Double(receiver.connections), .clientCPU: cost.clientMicroseconds / deliveries,
            .messageBytes: Double(receiver.log.bytes) / Double(receiver.log.deliveries),
        ]
    }

    /// Posts so many tips, as fast as they are answered, and waits until each was delivered to all.
    private func deliver(_ tips: Int) throws {
        let wanted = receiver.log.completed + tips
        var left = tips
        try waitUntil("webhooks come") {
            if publisher.isIdle, left > 0 {
                let batch = min(load.batch, left)
                try publisher.start(
                    setting(batch).request(page: EventMessage.slug, key: api.key), watchedBy: poller,
                    token: Publishers.tokens)
                left -= batch
                posted += 1
            }
            return receiver.log.completed == wanted && answered == posted
        }
    }

    private func setting(_ tips: Int) -> IntakeSetting { IntakeSetting(connections: 1, tips: tips) }

    private func turn() throws {
        for index in 0..<(try poller.wait(milliseconds: 1)) {
            let token = poller.token(at: index)
            if token & WebhookReceiver.tokens != 0 {
                try receiver.handle(token)
            } else if let status = try publisher.proceed(watchedBy: poller, token: token) {
                guard status == 201 else { throw BenchError("a batch was answered \(status)") }
                answered += 1
            }
        }
    }

    private func waitUntil(_ what: String, _ isDone: () throws -> Bool) throws {
        var seen = -1
        var since = nanoseconds()
        while try !isDone() {
            try turn()
            if let fault = receiver.log.firstFault { throw BenchError(fault) }
            let progress = receiver.log.deliveries + answered
            if progress != seen {
                seen = progress
                since = nanoseconds()
            } else if nanoseconds() - since > Self.patience {
                throw BenchError(
                    "nothing happened for \(Self.patience / 1_000_000_000) s while \(what): "
                        + "\(receiver.log.deliveries) deliveries came, \(posted - answered) posts not answered")
            }
        }
    }
}
