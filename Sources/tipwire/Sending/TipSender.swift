import TipwireCore

/// The body of a tip, as `POST /pages/{slug}/tips` takes it.
struct TipBody: Encodable, Sendable {
    var displayName: String?
    let grossAmountInCents: Int
    var message: String?
    var isAnonymous: Bool?
    var id: String?
}

/// Sends one tip until it is acknowledged, refused, or `RetryRule` gives up.
struct TipSender: Sendable {
    struct Acknowledgement: Sendable {
        let answer: APIAnswer
        /// Time from the last attempt's request to its answer.
        let answerTime: Duration
        let retries: Int

        /// 200 is the answer to a tip that the server had before; a new one is 201.
        var isRepeat: Bool { answer.status == 200 }
    }

    let client: ManagementClient
    let page: Slug
    /// Whether each wait for another attempt is told on standard error: a burst counts them instead.
    let announcesRetries: Bool

    /// - Parameter idempotencyKey: For tips without an id of their own.
    func send(_ tip: TipBody, idempotencyKey: TipIdentifier?) async throws -> Acknowledgement {
        var request = try APIRequest(.post, "pages", page.text, "tips").about(.page(page)).sending(tip)
        request.idempotencyKey = idempotencyKey
        let clock = ContinuousClock()
        var attempt = 1
        while true {
            let start = clock.now
            let outcome: RetryRule.Outcome
            let failure: Failure
            do {
                let answer = try await client.answer(request)
                if answer.isSuccess {
                    return Acknowledgement(answer: answer, answerTime: clock.now - start, retries: attempt - 1)
                }
                outcome = .answered(status: answer.status, retryAfterSeconds: answer.retryAfterSeconds)
                failure = await client.refusal(of: request, answer)
            } catch {
                outcome = .fault(error)
                failure = Failure(error.message(client.address))
            }
            guard let wait = RetryRule.wait(after: attempt, outcome) else { throw failure }
            if announcesRetries {
                TextOutput.notes.note(
                    "not acknowledged (attempt \(attempt) of \(RetryRule.attempts)); again in \(Wording.seconds(wait))"
                )
            }
            try await Task.sleep(for: wait)
            attempt += 1
        }
    }
}
