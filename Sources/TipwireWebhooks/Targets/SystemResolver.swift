import NIOCore
import NIOPosix
import Synchronization
import TipwireCore

/// Asks the system (`getaddrinfo`), so that `/etc/hosts` and the machine's own resolver apply.
///
/// That call blocks and can't be cut short, so it runs on threads of its own: neither an event loop nor Swift's few
/// cooperative threads wait for a name server. A look-up that takes too long is given up by its callers, but holds its
/// thread until the system lets go; how many may hang or wait is bounded.
///
/// Deliveries to one endpoint come in bursts, so callers share a look-up that is under way, and its answer for a moment
/// after. Failures aren't kept.
public final class SystemResolver: Resolver {
    /// Its limits, each with its reason.
    public struct Limits: Sendable {
        /// Threads that look up. As many names can hang at the same time without holding up the others.
        public var threads = 16
        /// Names that may be under way or wait for a thread; past that a look-up fails with `busy`.
        public var pending = 512
        /// How long a caller waits. Twice the usual patience of a name server's client wouldn't fit in an attempt.
        public var patience = TimeAmount.seconds(5)
        /// How long an answer is shared. Much shorter than any name's own lifetime, which `getaddrinfo` doesn't tell.
        public var freshness = TimeAmount.seconds(2)
        /// Answers that are kept; past that the stale ones are dropped, and then all of them.
        public var kept = 4_096

        public init() {}
    }

    /// A blocking look-up of all addresses of a name.
    typealias LookUp = @Sendable (String) throws -> [IPAddress]

    private struct State {
        var underWay: [String: EventLoopFuture<[IPAddress]>] = [:]
        var answers: [String: (addresses: [IPAddress], until: NIODeadline)] = [:]
    }

    private enum Step {
        case answer([IPAddress])
        case wait(EventLoopFuture<[IPAddress]>)
        case begin(EventLoopPromise<[IPAddress]>)
    }

    private let state = Mutex(State())
    private let limits: Limits
    private let threads: NIOThreadPool
    private let group: any EventLoopGroup
    private let lookUp: LookUp
    private let now: @Sendable () -> NIODeadline

    /// - Parameter group: Where time limits are kept.
    public convenience init(group: any EventLoopGroup, limits: Limits = Limits()) {
        self.init(group: group, limits: limits, now: { .now() }, lookUp: Self.systemLookUp)
    }

    init(
        group: any EventLoopGroup, limits: Limits, now: @escaping @Sendable () -> NIODeadline,
        lookUp: @escaping LookUp
    ) {
        self.group = group
        self.limits = limits
        self.now = now
        self.lookUp = lookUp
        threads = NIOThreadPool(numberOfThreads: limits.threads)
        threads.start()
    }

    /// Ends the threads, each after the look-up that it is at; look-ups that wait for one fail. To be called once,
    /// before the resolver is let go of.
    public func shutdown() async {
        try? await threads.shutdownGracefully()
    }

    public func addresses(of name: String) async throws(ResolutionFailure) -> [IPAddress] {
        let answer: EventLoopFuture<[IPAddress]>
        switch try step(for: name) {
        case .answer(let addresses):
            return addresses
        case .wait(let future):
            answer = future
        case .begin(let promise):
            begin(name, promise)
            answer = promise.futureResult
        }
        do {
            return try await Self.within(limits.patience, answer).get()
        } catch {
            throw error as? ResolutionFailure ?? .failed
        }
    }

    private func step(for name: String) throws(ResolutionFailure) -> Step {
        let time = now()
        let step: Step? = state.withLock { state in
            if let known = state.answers[name], time < known.until { return .answer(known.addresses) }
            if let future = state.underWay[name] { return .wait(future) }
            guard state.underWay.count < limits.pending else { return nil }
            let promise = group.any().makePromise(of: [IPAddress].self)
            state.underWay[name] = promise.futureResult
            return .begin(promise)
        }
        guard let step else { throw .busy }
        return step
    }

    private func begin(_ name: String, _ promise: EventLoopPromise<[IPAddress]>) {
        threads.submit { [lookUp] workState in
            guard case .active = workState else {
                self.ended(name, nil)
                return promise.fail(ResolutionFailure.failed)
            }
            do {
                let addresses = try lookUp(name)
                guard !addresses.isEmpty else { throw ResolutionFailure.noSuchName }
                self.ended(name, addresses)
                promise.succeed(addresses)
            } catch {
                self.ended(name, nil)
                promise.fail(error)
            }
        }
    }

    private func ended(_ name: String, _ addresses: [IPAddress]?) {
        let time = now()
        state.withLock { state in
            state.underWay[name] = nil
            state.answers[name] = nil
            guard let addresses else { return }
            if state.answers.count >= limits.kept {
                state.answers = state.answers.filter { time < $0.value.until }
                if state.answers.count >= limits.kept { state.answers.removeAll() }
            }
            state.answers[name] = (addresses, time + limits.freshness)
        }
    }

    /// `future`, or a failure once `limit` has passed.
    private static func within(
        _ limit: TimeAmount, _ future: EventLoopFuture<[IPAddress]>
    ) -> EventLoopFuture<[IPAddress]> {
        let promise = future.eventLoop.makePromise(of: [IPAddress].self)
        let timer = future.eventLoop.scheduleTask(in: limit) { promise.fail(ResolutionFailure.timedOut) }
        future.whenComplete { result in
            timer.cancel()
            // What comes too late changes nothing: a promise keeps the first of its results.
            promise.completeWith(result)
        }
        return promise.futureResult
    }
}
