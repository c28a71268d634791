import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// Hummingbird's side of a connection: everything that is a plain request and response.
struct HTTPBackend: HTTPChannelHandler {
    typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let responder: HTTPChannelHandler.Responder

    /// Answers with the routes of `routes`; what they throw has been turned into answers by then.
    init(answering routes: some HTTPResponder<AppContext>, logger: Logger) {
        responder = { request, writer, channel in
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
            try pipeline.addHandler(HTTPResponseEncoder(), position: .first)
            try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: false))
            return try NIOAsyncChannel(
                wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
    }

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
