import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import TipwireCore

extension ManagementClient {
    /// Seconds without a byte after which a download is given up. The server copies its database before it sends the first.
    static let downloadSeconds: Int64 = 600
    /// Largest refusal of a download that is read, in bytes.
    private static let refusalBytes = 64 * 1024

    /// The body of the answer, piece by piece as it comes, if the server does what was asked, else a `Failure`.
    ///
    /// Returns only when the whole of what was announced has arrived.
    func download(_ request: APIRequest, _ take: (ByteBuffer) throws -> Void) async throws {
        var configuration = Self.configuration
        configuration.timeout.read = .seconds(Self.downloadSeconds)
        let http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        let ended: Result<Void, any Error>
        do {
            ended = .success(try await download(request, by: http, take))
        } catch let failure as Failure {
            ended = .failure(failure)
        } catch {
            ended = .failure(Failure(TransportFault(error).message(address)))
        }
        try? await http.shutdown()
        try ended.get()
    }

    private func download(
        _ request: APIRequest, by http: HTTPClient, _ take: (ByteBuffer) throws -> Void
    ) async throws {
        // No limit to the whole: how long it takes is for the size and the line to say.
        let response = try await http.execute(clientRequest(request), deadline: .distantFuture)
        guard response.status == .ok else {
            let body = try await response.body.collect(upTo: Self.refusalBytes)
            throw await refusal(of: request, APIAnswer(response, body: body))
        }
        guard let announced = response.headers.first(name: "Content-Length").flatMap({ Int($0) }) else {
            throw Failure("\(address) doesn't say how long its answer is; is --server right?")
        }
        var arrived = 0
        for try await piece in response.body {
            try take(piece)
            arrived += piece.readableBytes
        }
        guard arrived == announced else { throw TransportFault.lost }
    }
}
