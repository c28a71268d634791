import NIOCore
import NIOPosix
import Testing
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

@testable import TipwireServer

@Suite("OverlayVoice", .timeLimit(.minutes(1)))
struct OverlayVoiceTests {
    @Test("An alert box may speak of what it was given before this node was told of it, and of nothing later")
    func ahead() async throws {
        let world = try await World()
        let desk = OverlayDesk(store: world.store, clock: world.clock.wall, logger: World.quiet)
        let place = OverlayPlace(page: world.main.id, kind: .alerts, screen: try #require(ScreenName("obs")))
        let presence = try #require(desk.arrive(place, key: nil, try await desk.open(page: place.page, tips: 1)))
        let position = LogPosition(try await world.store.bounds())
        let voice = OverlayVoice(
            presence: presence, position: position, eventLoop: MultiThreadedEventLoopGroup.singleton.any())

        func claim(_ sequence: Int64) throws -> (answer: ByteBuffer, granted: ByteBuffer, held: ByteBuffer) {
            let cursor = Cursor(epoch: position.epoch, sequence: sequence).description
            let answer = voice.answer(to: ByteBuffer(string: #"{"type":"claim","cursor":"\#(cursor)"}"#))
            guard case .now(let bytes)? = answer else { throw NoAnswer() }
            return (
                bytes, OverlayMessage.lease(.granted, cursor: cursor), OverlayMessage.lease(.held, cursor: cursor)
            )
        }

        let before = try claim(2)
        #expect(before.answer == before.held)
        position.saw(LogBounds(epoch: position.epoch, head: 2, prunedThrough: 0))
        let after = try claim(2)
        #expect(after.answer == after.granted)
        let later = try claim(3)
        #expect(later.answer == later.held)
    }

    private struct NoAnswer: Error {}
}
