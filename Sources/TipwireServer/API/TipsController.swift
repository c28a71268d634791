import HTTPTypes
import Hummingbird
import NIOCore
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// Tips in, tips shown again, and the log.
struct TipsController: Sendable {
    let directory: Directory
    let intake: TipIntake
    let store: any Store
    let overlays: OverlaysController
    let position: LogPosition
    let clock: WallClock
    let bodies = BodyBudget()
    /// Searches at a time.
    let searches = StreamQuota(maximum: 2)

    func addRoutes(to router: APIRouter) {
        router.on(.post, "/api/v1/pages/{slug}/tips", scope: .tipsWrite, receive)
        router.on(.post, "/api/v1/pages/{slug}/tips:batch", scope: .tipsWrite, receiveBatch)
        router.on(.get, "/api/v1/pages/{slug}/tips", scope: .eventsRead, list)
        router.on(.get, "/api/v1/pages/{slug}/tips/{id}", scope: .eventsRead, show)
        router.on(.post, "/api/v1/pages/{slug}/tips/{id}/replay", scope: .manage, replay)
        router.on(.post, "/api/v1/pages/{slug}/tips/{id}/refund", scope: .manage, refund)
        router.on(.get, "/api/v1/pages/{slug}/events", scope: .eventsRead, events)
    }

    /// 201 for a new tip, 200 for a repeat. Sent only once the tip is on disk.
    @Sendable func receive(_ call: Call) async throws -> Response {
        _ = try call.page(in: directory)
        let draft = try TipInput.draft(try await call.json(), now: clock.now())
        // The page as it is now that the body is here; before, it only saved reading one for nothing.
        let page = try call.page(in: directory)
        let key = try call.idempotencyKey()
        let answers: [LogAnswer]
        do {
            answers = try await intake.submit(.receive(page: page.id, drafts: [draft], idempotencyKey: key))
        } catch {
            throw Self.problem(ofSingleTip: error)
        }
        let (status, fields, body) = Self.answer(answers[0], epoch: position.epoch)
        return Response(status: status, headers: fields, body: .init(byteBuffer: body))
    }

    /// What a single tip is answered with when it is kept.
    static func answer(
        _ answer: LogAnswer, epoch: String
    ) -> (status: HTTPResponse.Status, fields: HTTPFields, body: ByteBuffer) {
        let (fields, body) = Answer.json(capacity: 1_024) { writer in
            LogAnswerObject.write(answer, epoch: epoch, to: &writer)
        }
        return (answer.isRepeat ? .ok : .created, fields, body)
    }

    /// An error of the intake as the sender of one tip is told it: their tip is no item of a list.
    static func problem(ofSingleTip error: any Error) -> any Error {
        guard case LogRefusal.conflict(_, .tipID) = error else { return error }
        return Problem(
            .conflict, "This id was used before, for a tip with other content.",
            errors: [FieldError(field: "id", detail: "stands for a tip with other content")])
    }

    /// All of the batch or nothing.
    @Sendable func receiveBatch(_ call: Call) async throws -> Response {
        _ = try call.page(in: directory)
        if call.request.headers[.idempotencyKey] != nil {
            throw InvalidInput(
                field: "Idempotency-Key", "doesn't go with a batch; give each tip an 'id' of its own")
        }
        let drafts = try await readBatch(call)
        let page = try call.page(in: directory)
        let answers = try await intake.submit(
            .receive(page: page.id, drafts: drafts, idempotencyKey: nil))
        let isRepeat = answers.allSatisfy(\.isRepeat)
        return Answer.json(isRepeat ? .ok : .created, capacity: 1_024 * answers.count) { writer in
            writer.beginObject()
            writer.key("results")
            writer.beginArray()
            for answer in answers { LogAnswerObject.write(answer, epoch: position.epoch, to: &writer) }
            writer.endArray()
            writer.endObject()
        }
    }

    /// Reading and parsing are bounded together: a parsed body takes several times its bytes.
    private func readBatch(_ call: Call) async throws -> [TipDraft] {
        let reservation = try bodies.reserve(call.announcedBytes(upTo: Limits.batchRequestBytes))
        let json = try await call.json(upTo: Limits.batchRequestBytes)
        let drafts = try TipInput.batch(json, now: clock.now())
        withExtendedLifetime(reservation) {}
        return drafts
    }

    /// The activity feed, newest first.
    @Sendable func list(_ call: Call) async throws -> Response {
        let page = try call.page(in: directory)
        let limit = try call.rowLimit()
        var before: Int64?
        if let after = call.query.nonEmpty("after") {
            before = Int64(after)
            if before == nil { throw InvalidInput(field: "after", "must be the 'next' of an earlier answer") }
        }
        let (filter, hasReceipts) = try Self.filter(call.query)
        guard !hasReceipts || limit <= Limits.receiptRows else {
            throw InvalidInput(field: "limit", "must be at most \(Limits.receiptRows) with include=receipts")
        }
        let tips: [StoredTip]
        var next: Int64?
        if filter == .all {
            tips = try await store.tips(page: page.id, before: before, limit: limit)
            next = tips.count == limit ? tips.last?.sequence : nil
        } else {
            // Searches take long and wait for nothing: a few at a time, so that other readers have their turn.
            guard let turn = searches.take() else {
                throw Problem(
                    .serviceUnavailable, "The server is searching already; try again in a moment.",
                    headers: [.retryAfter: "1"])
            }
            let found = try await store.search(page: page.id, before: before, limit: limit, for: filter)
            withExtendedLifetime(turn) {}
            (tips, next) = (found.tips, found.next)
        }
        let shown = tips.prefix(bytes: Limits.listAnswerBytes)
        if shown.count < tips.count { next = shown.last?.sequence }
        let position = next.map { String($0) }
        guard hasReceipts else {
            return Answer.list(shown, next: position) { TipObject.write($0.tip, page: page.label, to: &$1) }
        }
        await overlays.desk.flush()
        let receipts = try await store.receipts(page: page.id, tips: shown.map(\.tip.id))
        return Answer.list(shown, next: position) { stored, writer in
            TipObject.write(stored.tip, page: page.label, to: &writer) { writer in
                writer.key("receipts")
                ReceiptObject.write(receipts[stored.tip.id] ?? [], to: &writer)
            }
        }
    }

    /// Which tips are wanted, and whether with their receipts.
    private static func filter(_ query: QueryString) throws(InvalidInput) -> (TipFilter, hasReceipts: Bool) {
        var filter = TipFilter()
        if let text = query.nonEmpty("q") {
            guard text.unicodeScalars.count <= Limits.searchScalars else {
                throw InvalidInput(field: "q", "must be at most \(Limits.searchScalars) characters long")
            }
            filter.text = text
        }
        if let text = query.nonEmpty("minAmountInCents") {
            guard let amount = Int(text), Limits.grossAmountInCents.contains(amount) else {
                throw InvalidInput(field: "minAmountInCents", "must be an amount in minor units, 1 or more")
            }
            filter.minimumAmountInCents = amount
        }
        let include = query.nonEmpty("include")
        guard include == nil || include == "receipts" else {
            throw InvalidInput(field: "include", "must be 'receipts'")
        }
        return (filter, include != nil)
    }

    @Sendable func show(_ call: Call) async throws -> Response {
        let page = try call.page(in: directory)
        guard let id = TipIdentifier(try call.parameter("id")),
            let stored = try await store.tip(page: page.id, id: id)
        else { throw LogRefusal.unknownTip }
        await overlays.desk.flush()
        let receipts = try await store.receipts(page: page.id, tips: [id])[id] ?? []
        let deliveries = call.principal.has(.manage) ? try await store.deliveries(ofTip: id, page: page.id) : []
        let credits = try await store.credits(page: page.id, tip: id)
        let goals = credits.isEmpty ? GoalQueue() : try await store.goals(page: page.id)
        return Answer.json(capacity: 1_024) { writer in
            TipObject.write(stored.tip, page: page.label, to: &writer) { writer in
                writer.key("goals")
                writer.beginArray()
                for credit in credits {
                    writer.beginObject()
                    writer.member("id", credit.goal)
                    // A goal that was removed since has no words left.
                    writer.member("description", goals.goals.first { $0.id == credit.goal }?.description)
                    writer.member("amountInCents", credit.amountInCents)
                    writer.endObject()
                }
                writer.endArray()
                writer.key("receipts")
                ReceiptObject.write(receipts, to: &writer)
                writer.key("deliveries")
                writer.beginArray()
                for delivery in deliveries {
                    writer.beginObject()
                    writer.member("id", Cursor(epoch: position.epoch, sequence: delivery.sequence))
                    writer.member("subscription", delivery.subscription)
                    writer.member("callback", delivery.callback)
                    writer.member("state", delivery.state)
                    writer.member("attempts", delivery.attempts)
                    writer.member("createdAt", delivery.createdAt)
                    writer.endObject()
                }
                writer.endArray()
            }
        }
    }

    @Sendable func replay(_ call: Call) async throws -> Response {
        try await call.requireNoBody()
        let page = try call.page(in: directory)
        guard let id = TipIdentifier(try call.parameter("id")) else { throw LogRefusal.unknownTip }
        switch call.query.nonEmpty("missed") {
        case nil, "false"?: break
        case "true"?: return try await overlays.showMissed(call, page: page, tip: id)
        default: throw InvalidInput(field: "missed", "must be 'true' or 'false'")
        }
        let answers = try await intake.submit(.replay(page: page.id, tip: id))
        return Answer.json(.accepted) { LogAnswerObject.write(answers[0], epoch: position.epoch, to: &$0) }
    }

    /// Takes the tip back out of the goals. A repeat is answered as the first time.
    @Sendable func refund(_ call: Call) async throws -> Response {
        // Nobody shall ask for a part of it and get the whole taken back.
        try await call.requireNoBody()
        let page = try call.page(in: directory)
        guard let id = TipIdentifier(try call.parameter("id")) else { throw LogRefusal.unknownTip }
        let answers = try await intake.submit(
            .refund(page: page.id, tip: id, idempotencyKey: try call.idempotencyKey()))
        return Answer.json { LogAnswerObject.write(answers[0], epoch: position.epoch, to: &$0) }
    }

    /// The log itself, oldest first. `next` is where the next call goes on, even when there is nothing yet.
    @Sendable func events(_ call: Call) async throws -> Response {
        let page = try call.page(in: directory)
        let limit = try call.rowLimit()
        let since = call.query.nonEmpty("since")
        // Judged by the bounds of the very snapshot that was read: retention may pass in between.
        let start = since == nil ? 0 : since.flatMap { Cursor($0) }?.sequence ?? position.bounds.head
        var slice = try await store.events(after: start, pages: .some([page.id]), limit: limit)
        position.saw(slice.bounds)
        let resumption =
            switch since {
            case nil: Resumption(status: .resumed, start: slice.bounds.prunedThrough)
            case "now"?: Resumption(status: .resumed, start: slice.bounds.head)
            case let since?: Resumption(position: since, log: slice.bounds)
            }
        if resumption.status == .reset || since == "now" {
            slice = EventSlice(events: [], through: resumption.start, bounds: slice.bounds)
        }
        slice = slice.prefix(bytes: Limits.listAnswerBytes)
        return Answer.json(capacity: 512 * (slice.events.count + 1)) { writer in
            writer.beginObject()
            writer.key("data")
            writer.beginArray()
            for event in slice.events {
                EventObject.write(event, page: page.label, epoch: position.epoch, to: &writer)
            }
            writer.endArray()
            writer.member("next", Cursor(epoch: position.epoch, sequence: slice.through))
            writer.member("status", resumption.status.rawValue)
            writer.endObject()
        }
    }
}

extension EventSlice {
    /// As much of it as an answer may hold; the rest is the next call's.
    fileprivate func prefix(bytes limit: Int) -> EventSlice {
        let kept = events.prefix(bytes: limit, size: \.body.textBytes)
        guard kept.count < events.count, let last = kept.last else { return self }
        return EventSlice(events: kept, through: last.sequence, bounds: bounds)
    }
}

extension [StoredTip] {
    fileprivate func prefix(bytes limit: Int) -> [StoredTip] { prefix(bytes: limit) { $0.tip.textBytes } }
}

extension Array {
    /// The first elements whose sizes together stay within `limit`, at least one.
    fileprivate func prefix(bytes limit: Int, size: (Element) -> Int) -> [Element] {
        var left = limit
        let end = firstIndex { element in
            left -= size(element)
            return left < 0
        }
        return Array(prefix(Swift.max(end ?? count, 1)))
    }
}

extension EventBody {
    /// About what the event takes in an answer.
    fileprivate var textBytes: Int {
        switch self {
        case .tipReceived(let tip, _), .tipReplayed(let tip), .tipRefunded(let tip): tip.textBytes
        case .goalCompleted(let completion):
            512 + 2 * (completion.name.utf8.count + (completion.next?.description.utf8.count ?? 0))
        case .goalsChained(let chain): 256 + 32 * chain.goals.count
        case .goalQueueChanged(let status, let change):
            512 + 2 * (status.active?.description.utf8.count ?? 0) + change.textBytes
        }
    }
}

extension GoalChange {
    fileprivate var textBytes: Int {
        switch self {
        case .tip, .removed: 64
        case .added(_, let text, _), .adjusted(_, _, let text): 128 + 2 * text.utf8.count
        case .edited(_, let text, _, _): 128 + 2 * (text?.utf8.count ?? 0)
        case .reordered(let order): 32 * order.count
        case .refunded(_, let taken): 80 * taken.count
        }
    }
}

extension Tip {
    /// What the tip takes in an answer: its own text, at most doubled by escapes, and the rest of its object.
    fileprivate var textBytes: Int { 2 * (displayName.utf8.count + message.utf8.count) + 512 }
}
