import NIOCore
import Testing
import TipwireSockets
import TipwireTestSupport
import TipwireWire

@testable import TipwireHub

@Suite("Messages that begin with a listener's own words")
struct OwnMessagesTests {
    @Test("Each entry is a frame whose payload begins with them", arguments: [0, 1, 90, 125, 126, 400, 65_535, 70_000])
    func frames(length: Int) {
        let beginning = ByteBuffer(repeating: UInt8(ascii: "b"), count: length)
        // With some of the beginnings just below and above where a frame's length takes more bytes.
        let entries = [35, 0, 36, 65_410, 1, 500].map { ByteBuffer(repeating: UInt8(ascii: "e"), count: $0) }
        let frames = entries.map { entry in
            var payload = beginning
            payload.writeImmutableBuffer(entry)
            return WebSocketFrame.text(payload)
        }
        let messages = OwnMessages(entries.map { Parcel($0) })
        withExtendedLifetime((beginning, entries)) {
            #expect(messages.message(beginning: Parcel(beginning)) == ByteBuffer(joining: frames))
            #expect(
                messages.size(beginning: Parcel(beginning)) == frames.reduce(0) { $0 + $1.readableBytes })
        }
    }
}
