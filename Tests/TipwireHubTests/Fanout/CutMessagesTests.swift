import NIOCore
import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub

@Suite("Messages that a socket takes a part of", .timeLimit(.minutes(2)))
struct CutMessagesTests {
    /// What the kernel takes of each message, and the messages that it was sent.
    private struct Kernel: Sendable {
        var cut = Int.max
        var sizes: [Int] = []
    }

    /// The kernel's own ways to cut are few and the machine's, so it is played here: it takes just as many bytes of a turn's
    /// messages, in each turn one more, up to all of them.
    @Test("Wherever a turn's messages are cut, what is left goes on there, and what follows comes behind")
    func everyByte() async throws {
        let kernel = Watched(Kernel())
        let makeSender: @Sendable () -> KernelDouble = {
            KernelDouble { size in
                kernel.change { kernel in
                    kernel.sizes.append(size)
                    return min(size, kernel.cut)
                }
            }
        }
        try await withHub(makeSender: makeSender) { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            func listen(own beginning: ByteBuffer?, hasSocket: Bool) async throws -> Listener {
                try await hub.listen(
                    .page(page.id), as: principal(account), in: beginning == nil ? .pally : .eventSub(.alerts, nil),
                    hasSocket: hasSocket, beginning: beginning, keeping: hasSocket ? .always : .never)
            }
            let words = ByteBuffer(string: "{\"words\":\"of its own\",\"data\":")
            let cut = [try await listen(own: nil, hasSocket: true), try await listen(own: words, hasSocket: true)]
            // The same bytes, which never were in parts.
            let whole = [try await listen(own: nil, hasSocket: false), try await listen(own: words, hasSocket: false)]
            /// Returns the sizes of what went to sockets in the turn.
            func turn(cut: Int, tips: Int) async throws -> [Int] {
                kernel.change { $0 = Kernel(cut: cut) }
                let last = try await hub.tips(page, tips).last!.lastSequence
                for listener in whole { try await listener.received(through: last) }
                await hub.settle()
                return kernel.value.sizes.sorted()
            }
            var position = 0
            var longest = 0
            repeat {
                let sizes = try await turn(cut: position, tips: 2)
                #expect(sizes.count == 2, "one of them went another way than to its socket, cut at \(position)")
                #expect(
                    cut.map { $0.sink.heard.value.keptBytes }.sorted() == sizes.map { max($0 - position, 0) },
                    "cut at \(position)")
                // To a socket goes only what has nothing before it.
                let direct = try await turn(cut: .max, tips: 1)
                #expect(direct.count == sizes.count { $0 <= position }, "cut at \(position)")
                for (cut, whole) in zip(cut, whole) {
                    try await cut.take(.max)
                    let (had, due) = (cut.sink.heard.value, whole.sink.heard.value)
                    #expect(had.frames.suffix(3) == due.frames.suffix(3), "cut at \(position)")
                    #expect(had.arrived == due.arrived && had.overtakes == 0, "cut at \(position)")
                }
                longest = sizes.last ?? 0
                position += 1
            } while position <= longest
            for listener in cut + whole {
                #expect(listener.sequences == Array(1...Int64(3 * position)))
                #expect(!listener.sink.heard.value.isGarbled)
            }
            let own = cut[1].sink.heard.value.frames
            #expect(own.allSatisfy { $0.readableBytesView.starts(with: words.readableBytesView) })
            #expect(longest > 2 * words.readableBytes)
        }
    }
}
