import TipwireStore

/// Ends the streams of browsers that have signed out, or were signed out, on another node.
public struct SessionWatch: SharedPart {
    private let store: any DirectoryStore
    private let fanout: Fanout
    private let clock: WallClock

    public init(store: any DirectoryStore, fanout: Fanout, clock: WallClock) {
        self.store = store
        self.fanout = fanout
        self.clock = clock
    }

    public var subject: StoreChanges { .sessions }

    public func refresh() async throws {
        for session in await fanout.sessions() where try await store.session(session, at: clock.now()) == nil {
            await fanout.enforce(.sessionEnded(session))
        }
    }
}
