import Hummingbird
import Logging
import NIOCore

/// What a controller knows of a request beside the request itself.
struct AppContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let peer: SocketAddress?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peer = source.channel.remoteAddress
    }
}
