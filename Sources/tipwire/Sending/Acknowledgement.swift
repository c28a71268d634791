/// The answer to a call that was carried out, once, however often it had to be sent.
struct Acknowledgement: Sendable {
    let answer: APIAnswer
    /// Time from the last attempt's request to its answer.
    let answerTime: Duration
    let retries: Int

    /// 200 is the answer to a tip that the server had before; a new one is 201.
    var isRepeat: Bool { answer.status == 200 }
}

extension ManagementClient {
    /// Sends `request` until it is acknowledged, refused, or `RetryRule` gives up.
    ///
    /// Only for calls that the server carries out once however often they arrive: with an id or an `Idempotency-Key`, or
    /// a refund.
    ///
    /// - Parameters:
    ///   - announcesRetries: Whether each wait for another attempt is told on standard error.
    ///   - advice: What to do when no answer says whether the call was carried out, for the end of the failure's words.
    func acknowledged(
        _ request: APIRequest, announcesRetries: Bool = true, advice: String? = nil
    ) async throws -> Acknowledgement {
        let clock = ContinuousClock()
        var attempt = 1
        var isInDoubt = false
        while true {
            let start = clock.now
            let outcome: RetryRule.Outcome
            let failure: Failure
            do {
                let answer = try await self.answer(request)
                if answer.isSuccess {
                    return Acknowledgement(answer: answer, answerTime: clock.now - start, retries: attempt - 1)
                }
                outcome = .answered(status: answer.status, retryAfterSeconds: answer.retryAfterSeconds)
                failure = await refusal(of: request, answer)
            } catch {
                outcome = .fault(error)
                failure = Failure(error.message(address))
            }
            isInDoubt = RetryRule.isInDoubt(after: outcome, before: isInDoubt)
            guard let wait = RetryRule.wait(after: attempt, outcome) else {
                guard isInDoubt, let advice else { throw failure }
                throw Failure("\(failure.message)\n\(advice)")
            }
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
