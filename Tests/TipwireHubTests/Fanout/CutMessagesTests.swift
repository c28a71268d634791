import NIOCore
import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub

@Suite("Messages that a socket takes a part of", .timeLimit(.minutes(1)))
struct CutMessagesTests {
    /// A listener whose socket takes just so many bytes of a message, and one with the same audience and dialect that is written
    /// to.
    private struct Cut: Sendable {
        let listener: Listener
        /// What its messages begin with.
        let beginning: ByteBuffer
        let whole: Listener
        /// The same of the other one's.
        let wholeBeginning: ByteBuffer

        /// Whether it has had the last messages of the other.
        func isLevel(in count: Int) -> Bool {
            let (had, due) = (listener.sink.heard.value, whole.sink.heard.value)
            return had.frames.count == due.frames.count
                && zip(had.frames.suffix(count), due.frames.suffix(count)).allSatisfy { had, due in
                    had.readableBytesView.elementsEqual(
                        beginning.readableBytesView + due.readableBytesView.dropFirst(wholeBeginning.readableBytes))
                }
        }
    }

    /// Where a real kernel cuts is its own affair, and these are few places. So it is played here: of a turn's messages each
    /// socket takes just as many bytes as it is told, and each number of bytes, up to all, has its turn.
    @Test("Wherever a turn's messages are cut, what is left goes on there, and what follows comes behind")
    func everyByte() async throws {
        try await withHub { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            func listen(_ beginning: ByteBuffer, hasSocket: Bool) async throws -> Listener {
                let isOwn = beginning.readableBytes > 0
                return try await hub.listen(
                    .page(page.id), as: principal(account), in: isOwn ? .eventSub(.alerts, nil) : .pally,
                    hasSocket: hasSocket, beginning: isOwn ? beginning : nil, keeping: hasSocket ? .always : .never)
            }
            let nothing = ByteBuffer()
            let words = ByteBuffer(string: "{\"of\":\"nobody\",\"data\":")
            let wholes = [try await listen(nothing, hasSocket: false), try await listen(words, hasSocket: false)]
            // Several a turn, each at a place of its own: of those who get the same bytes, and of those who each have words of
            // their own before them.
            let width = 12
            var cuts: [Cut] = []
            for place in 0..<width {
                let own = ByteBuffer(string: "{\"of\":\"\(place)\(String(repeating: ".", count: place))\",\"data\":")
                for (beginning, (whole, wholeBeginning)) in zip([nothing, own], zip(wholes, [nothing, words])) {
                    let listener = try await listen(beginning, hasSocket: true)
                    cuts.append(
                        Cut(listener: listener, beginning: beginning, whole: whole, wholeBeginning: wholeBeginning))
                }
            }
            func turn(tips: Int) async throws {
                let last = try await hub.tips(page, tips).last!.lastSequence
                for whole in wholes { try await whole.received(through: last) }
                await hub.settle()
            }
            var position = 0
            var longest = 0
            repeat {
                for (index, cut) in cuts.enumerated() {
                    cut.listener.sink.heard.change { [position] in $0.cut = position + index / 2 }
                }
                try await turn(tips: 2)
                var sent: [Int] = []
                for (index, cut) in cuts.enumerated() {
                    let heard = cut.listener.sink.heard.value
                    let size = try #require(heard.direct.last)
                    #expect(heard.keptBytes == max(size - position - index / 2, 0), "\(index) at \(position)")
                    longest = max(longest, size)
                    sent.append(heard.direct.count)
                    cut.listener.sink.heard.change { $0.cut = .max }
                }
                try await turn(tips: 1)
                for (cut, sent) in zip(cuts, sent) {
                    let heard = cut.listener.sink.heard.value
                    // To a socket goes only what has nothing before it.
                    #expect(heard.direct.count == sent + (heard.isHolding ? 0 : 1), "from \(position)")
                    try await cut.listener.take(.max)
                    #expect(cut.isLevel(in: 3), "from \(position)")
                }
                position += width
            } while position <= longest
            #expect(longest > 2 * words.readableBytes)
            let turns = position / width
            for cut in cuts {
                let heard = cut.listener.sink.heard.value
                #expect(heard.sequences == Array(1...Int64(3 * turns)))
                #expect(heard.overtakes == 0 && !heard.isGarbled)
            }
            // Two a turn where nothing was left of the first: of each kind some came to their ends.
            #expect(cuts.count { $0.listener.sink.heard.value.direct.count > turns } > width)
        }
    }
}
