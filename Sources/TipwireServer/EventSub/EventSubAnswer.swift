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
    var retryAfter: Int?

    static func badRequest(_ detail: String) -> EventSubProblem {
        EventSubProblem(status: .badRequest, error: "bad request", detail: detail)
    }

    static let unauthorized = EventSubProblem(status: .unauthorized, error: "unauthorized", detail: nil)
    static let notFound = EventSubProblem(status: .notFound, error: "not found", detail: nil)

    static func tooMany(retryAfter: Int) -> EventSubProblem {
        EventSubProblem(status: .tooManyRequests, error: "too many requests", detail: nil, retryAfter: retryAfter)
    }

    var response: Response {
        var headers: HTTPFields = [:]
        if let retryAfter { headers[.retryAfter] = "\(retryAfter)" }
        return Answer.json(status, headers: headers) { writer in
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
