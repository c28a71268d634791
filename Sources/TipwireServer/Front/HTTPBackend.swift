import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOSSL

/// Hummingbird's side of a connection: everything that is a plain request and response.
struct HTTPBackend: HTTPChannelHandler {
    typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let responder: HTTPChannelHandler.Responder

    /// Answers with the routes of `routes`; what they throw has been turned into answers by then.
    init(answering routes: some HTTPResponder<AppContext>, logger: Logger) {
        responder = { request, writer, channel in
            var request = request
            let body = WholeBody(
                body: request.body, channel: channel, isAwaited: request.headers[.expect] != nil)
            request.body = RequestBody(asyncSequence: body)
            let context = AppContext(source: ApplicationRequestContextSource(channel: channel, logger: logger))
            let response = try await routes.respond(to: request, context: context)
            try await writer.write(response: response.head, body: response.body)
        }
    }

    /// Completes the pipeline around a gate that is already in it. Runs on the channel's event loop, and is done when it
    /// returns.
    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            let isSecure = (try? pipeline.context(handlerType: NIOSSLServerHandler.self)) != nil
            // In front of the decoder and not of everything: TLS stays below it.
            let decoder = try pipeline.handler(type: ByteToMessageHandler<RequestDecoder>.self)
            try pipeline.addHandler(HTTPResponseEncoder(), position: .before(decoder))
            try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: isSecure))
            return try NIOAsyncChannel(
                wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
    }

    /// The same for a stream of HTTP/2, whose end is the end of the answer.
    func wrap(stream: any Channel) throws -> Value { try NIOAsyncChannel(wrappingChannelSynchronously: stream) }

    func handle(value: Value, logger: Logger) async {
        // Hummingbird answers a cancellation by closing the input and waiting for the peer; at the end of a drain there is
        // no time left for that.
        await withTaskCancellationHandler {
            await handleHTTP(asyncChannel: value, logger: logger)
        } onCancel: {
            value.channel.close(promise: nil)
        }
    }
}
