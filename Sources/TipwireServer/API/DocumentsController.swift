import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization
import TipwireCore

/// What programs can read about the server: OpenAPI for its calls, AsyncAPI for its streams and webhooks.
///
/// Open to all: they say nothing that the documentation doesn't.
final class DocumentsController: Sendable {
    private let publicURL: @Sendable () -> String
    private let openAPI = Document(PackageResources.openapi_json)
    /// With the address that was the public one when it was last asked for.
    private let asyncAPI = Mutex<(url: String, document: Document)?>(nil)

    init(publicURL: @escaping @Sendable () -> String) { self.publicURL = publicURL }

    func addRoutes(to router: APIRouter) {
        // OpenAPI's servers are relative to where the document was got; AsyncAPI has only whole addresses.
        router.open(.get, "/openapi.json") { request, _ in self.openAPI.response(to: request) }
        router.open(.get, "/asyncapi.json") { request, _ in self.addressed().response(to: request) }
    }

    private func addressed() -> Document {
        let url = publicURL()
        return asyncAPI.withLock { known in
            if let known, known.url == url { return known.document }
            let document = Document(Self.address(PackageResources.asyncapi_json, by: url))
            known = (url, document)
            return document
        }
    }

    /// The document with this server's address in place of the one that it was written with.
    private static func address(_ document: [UInt8], by url: String) -> [UInt8] {
        let scheme = url.prefix { $0 != ":" }
        let rest = url.dropFirst(scheme.count + "://".count)
        let host = rest.prefix { $0 != "/" }
        let path = rest.dropFirst(host.count)
        var text = String(decoding: document, as: UTF8.self)
        let pathname = path.isEmpty ? "" : ", \"pathname\": \"\(path)\""
        text = text.replacingOccurrences(
            of: "\"host\": \"127.0.0.1:8080\"", with: "\"host\": \"\(host)\"\(pathname)")
        if scheme == "https" {
            text = text.replacingOccurrences(of: "\"protocol\": \"ws\"", with: "\"protocol\": \"wss\"")
                .replacingOccurrences(of: "\"protocol\": \"http\"", with: "\"protocol\": \"https\"")
        }
        return Array(text.utf8)
    }
}

/// A JSON document with a strong entity tag, so that who has it is spared it.
private struct Document: Sendable {
    let bytes: ByteBuffer
    let tag: String

    init(_ content: [UInt8]) {
        bytes = ByteBuffer(bytes: content)
        tag = "\"\(SecretHash.hex(SHA256.hash(data: content).prefix(12)))\""
    }

    func response(to request: Request) -> Response {
        var headers: HTTPFields = [.cacheControl: "no-cache", .eTag: tag, .accessControlAllowOrigin: "*"]
        if request.headers[values: .ifNoneMatch].contains(tag) {
            return Response(status: .notModified, headers: headers)
        }
        headers[.contentType] = "application/json"
        headers[.contentLength] = "\(bytes.readableBytes)"
        return Response(status: .ok, headers: headers, body: .init(byteBuffer: bytes))
    }
}
