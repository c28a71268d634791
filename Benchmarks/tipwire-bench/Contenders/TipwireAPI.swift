import Foundation

/// The calls of Tipwire's management API that prepare and check a measurement.
///
/// Nothing is measured by them: each has a connection of its own, so that none lies idle beside those that are.
struct TipwireAPI {
    let port: UInt16
    let key: String

    func makePage(_ slug: String) throws {
        _ = try call("POST", "/pages", #"{"slug":"\#(slug)","title":"\#(EventMessage.title)"}"#, expecting: 201)
    }

    func addGoal(_ description: String, amountInCents: Int, to slug: String) throws {
        let goal = #"{"description":"\#(description)","amountInCents":\#(amountInCents)}"#
        _ = try call("POST", "/pages/\(slug)/goals", goal, expecting: 201)
    }

    /// Tips a page once; returns the event's cursor.
    func tip(_ slug: String) throws -> String {
        let answer = try call("POST", "/pages/\(slug)/tips", EventMessage.tip, expecting: 201)
        guard let cursor = EventMessage.lastCursorText(in: answer) else { throw BenchError("no cursor in an answer") }
        return cursor
    }

    /// What a page's goals hold, in their order.
    func goalProgress(of slug: String) throws -> [Int] {
        struct Goals: Decodable {
            struct Goal: Decodable { var progressInCents: Int }
            var data: [Goal]
        }
        let answer = try get("/pages/\(slug)/goals")
        return try JSONDecoder().decode(Goals.self, from: Data(answer)).data.map(\.progressInCents)
    }

    /// What a listener of a page's feed asks for.
    func feed(of slug: String) -> String { "/?auth=\(key)&channel=activity-feed&room=\(slug)" }

    /// The server as one whose feeds are listened to while requests are posted.
    ///
    /// - Parameter request: the whole request with this number.
    func running(_ process: ChildProcess, request: @escaping (Int64) -> [UInt8]) -> RunningServer {
        RunningServer(
            process: process,
            endpoint: Endpoint(
                publishPort: port, subscribePort: port,
                subscribePaths: { Array(repeating: feed(of: EventMessage.slug), count: $0) }, request: request,
                numbering: .server))
    }

    /// The numbers of a page's events, as the log has them.
    func sequences(of slug: String) throws -> [Int64] {
        var sequences: [Int64] = []
        var log = LogReader(self, slug: slug)
        try log.readOn { sequences += try LogReader.sequences(in: $0) }
        return sequences
    }

    func get(_ path: String) throws -> [UInt8] { try call("GET", path, "", expecting: 200) }

    func call(_ method: String, _ path: String, _ body: String, expecting status: Int) throws -> [UInt8] {
        let answer = try HTTPConnection(port: port).call(
            HTTPText.request(method, "/api/v1" + path, key: key, body: Array(body.utf8)))
        guard answer.status == status else {
            throw BenchError(
                "\(method) \(path) was answered \(answer.status) \(String(decoding: answer.body, as: UTF8.self))")
        }
        return answer.body
    }
}
