import NIOConcurrencyHelpers
import TipwireCore

/// Follows a source for ever: connects, prints, reconnects, and goes on where it was.
struct Listener: Sendable {
    let client: ManagementClient
    let source: any ListeningSource
    /// The page that was asked for, if one was.
    let page: Slug?
    /// A cursor, or `now`.
    let since: String
    let printsJSON: Bool
    var answers = TextOutput.answers
    var notes = TextOutput.notes

    /// Ends only by throwing: a `Failure` when another attempt would be refused too.
    func run() async throws -> Never {
        let pages = ListenedPages(client: client, notes: notes)
        let position = ListeningPosition(since: since)
        var reconnection = Reconnection()
        while true {
            let opened = NIOLockedValueBox<ContinuousClock.Instant?>(nil)
            let ending = try await source.connect(after: position.cursor) {
                opened.withLockedValue { $0 = .now }
            } show: { message in
                try await show(message, pages, position)
            }
            // Whoever ends the listener wants no word about its connection.
            try Task.checkCancellation()
            let lived = opened.withLockedValue { $0 }.map { .now - $0 } ?? .zero
            let decision = reconnection.decide(
                after: ending, at: .now, lived: lived, random: .random(in: 0..<1),
                asked: .init(address: client.address, source: client.key.source, page: page))
            switch decision {
            case .final(let words): throw Failure(words)
            case .again(let wait):
                notes.note("\(ending.message(client.address)), again in \(Wording.seconds(wait))")
                try await Task.sleep(for: wait)
            }
        }
    }

    private func show(_ message: HeardMessage, _ pages: ListenedPages, _ position: ListeningPosition) async throws {
        switch message.content {
        case .beginning(let status):
            notes.note(Self.words(status: status, isFirst: position.isFirst))
            await pages.forget()
        case .renewal:
            notes.note("a new subscription; what came since the one before ended may be missing")
            await pages.forget()
        case .event(let event):
            if printsJSON {
                try printJSON(message.json)
            } else {
                let page = await pages.page(event.pageSlug ?? page?.text, needsCurrency: event.needsCurrency)
                try answers.line(event.line(on: page))
            }
        case .unknown(let type):
            // Without words for it, a person is told its name only; a program gets all of it.
            if printsJSON { try printJSON(message.json) } else { notes.note("event: \(VisibleText(type))") }
        }
        position.advance(to: message.cursor)
    }

    /// One line, as promised: line ends between JSON values mean nothing, and inside a string they can't stand raw.
    private func printJSON(_ json: String) throws {
        let line = String(json.map { $0.isNewline ? " " : $0 })
        try answers.line(VisibleText.harmlessJSON(line))
    }

    /// What the server said to the position that was asked for.
    static func words(status: String?, isFirst: Bool) -> String {
        switch status {
        case "gap": "gap: some events are older than what the server keeps; going on with the oldest kept"
        case "reset" where isFirst:
            "reset: the cursor means nothing to this server's log; going on from now"
        case "reset": "reset: the server's log is another one than before; going on from now"
        case nil where !isFirst: "connected again; the server keeps no position, so what came meanwhile is missing"
        default: isFirst ? "connected" : "resumed"
        }
    }
}
