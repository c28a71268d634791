/// The calls that make subscriptions, and those that tell what became of them.
extension TipwireAPI {
    private static let idMark = Array(#""connection_id":""#.utf8)
    private static let keyMark = Array(#""key":""#.utf8)

    /// Makes an EventSub subscription for each of so many sockets, with a key that can do nothing else; returns their
    /// ids. They come one after the other on one connection, which is kept: nothing is measured here, and a few
    /// thousand calls in a second are well within the two minutes in which the first must be connected.
    func subscribe(sockets: Int, to slug: String) throws -> [String] {
        let body = #"{"name":"bench","scopes":["Funplace::eventsub"],"pages":["\#(slug)"]}"#
        let made = try call("POST", "/keys", body, expecting: 201)
        guard let key = LogReader.values(after: Self.keyMark, in: made).first else { throw BenchError("no key came") }
        let request = HTTPText.request(
            "POST", "/api/eventsub/create", key: key, body: Array("transport[method]=websocket".utf8),
            type: "application/x-www-form-urlencoded")
        let connection = try HTTPConnection(port: port)
        return try (0..<sockets).map { _ in
            let answer = try connection.call(request)
            guard answer.status == 200, let id = LogReader.values(after: Self.idMark, in: answer.body).first else {
                throw BenchError(
                    "a subscription was answered \(answer.status) \(String(decoding: answer.body, as: UTF8.self))")
            }
            return id
        }
    }

    /// Makes a webhook for each of these callbacks.
    func subscribe(_ callbacks: [String], to slug: String) throws {
        for callback in callbacks {
            let body = #"{"page":"\#(slug)","callback":"\#(callback)"}"#
            _ = try call("POST", "/subscriptions", body, expecting: 201)
        }
    }

    /// Posts so many tips, at most 1,000 in a request; returns the sequence number that the log has come to.
    @discardableResult
    func post(tips: Int, to slug: String) throws -> Int64 {
        let connection = try HTTPConnection(port: port)
        var last: Int64?
        for start in stride(from: 0, to: tips, by: 1_000) {
            let setting = IntakeSetting(connections: 1, tips: min(1_000, tips - start))
            let answer = try connection.call(setting.request(page: slug, key: key))
            guard answer.status == 201 else { throw BenchError("tips were answered \(answer.status)") }
            last = EventMessage.lastCursor(in: answer.body)
        }
        guard let last else { throw BenchError("no cursor came with a tip") }
        return last
    }

    static let pendingDeliveries = "tipwire_webhook_pending_deliveries"

    /// A gauge of the server without labels.
    func metric(_ name: String) throws -> Double {
        let answer = try HTTPConnection(port: port).call(HTTPText.request("GET", "/metrics", key: key))
        for line in String(decoding: answer.body, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == name, let value = Double(words[1]) { return value }
        }
        throw BenchError("the server's metrics (status \(answer.status)) have no \(name)")
    }
}
