/// The calls that make subscriptions.
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
}
