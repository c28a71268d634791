import HTTPTypes
import Hummingbird
import TipwireHub
import TipwireWire

/// A refused EventSub call, in that dialect's own form: `{"error":"…","error_data":…}`.
struct EventSubProblem: Error {
    let status: HTTPResponse.Status
    let error: String
    /// What to do about it; nil is `{}`.
    let detail: String?
    var headers: HTTPFields = [:]

    static func badRequest(_ detail: String) -> EventSubProblem {
        EventSubProblem(status: .badRequest, error: "bad request", detail: detail)
    }

    static let unauthorized = EventSubProblem(status: .unauthorized, error: "unauthorized", detail: nil)
    static let notFound = EventSubProblem(status: .notFound, error: "not found", detail: nil)

    static func tooMany(retryAfter: Int) -> EventSubProblem {
        var problem = EventSubProblem(status: .tooManyRequests, error: "too many requests", detail: nil)
        problem.headers[.retryAfter] = "\(retryAfter)"
        return problem
    }

    /// Whether a path is answered in this dialect, errors included.
    static func speaks(at path: String) -> Bool {
        path.hasPrefix("/api/eventsub/") || path == "/api/v1/user/profiles/get"
    }

    /// What went wrong before a call of this dialect was understood.
    init(_ problem: Problem) {
        switch problem.status {
        case .notFound: self = .notFound
        case .unauthorized: self = .unauthorized
        default:
            self.init(
                status: problem.status, error: problem.status.reasonPhrase.lowercased(), detail: problem.detail)
        }
        headers = problem.headers
    }

    private init(status: HTTPResponse.Status, error: String, detail: String?) {
        self.status = status
        self.error = error
        self.detail = detail
    }

    var response: Response {
        Answer.json(status, headers: headers) { writer in
            writer.beginObject()
            writer.member("error", error)
            writer.key("error_data")
            if let detail {
                writer.value(detail)
            } else {
                writer.beginObject()
                writer.endObject()
            }
            writer.endObject()
        }
    }
}

extension Answer {
    /// `{"success":"ok","data":…}`.
    static func eventSub(_ write: (inout JSONWriter) -> Void) -> Response {
        json(capacity: 1_024) { writer in
            writer.beginObject()
            writer.member("success", "ok")
            writer.key("data")
            write(&writer)
            writer.endObject()
        }
    }
}
