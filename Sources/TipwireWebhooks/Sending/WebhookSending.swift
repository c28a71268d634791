/// Makes attempts. `WebhookSender` is the one that reaches the network.
public protocol WebhookSending: Sendable {
    /// Makes an attempt, and ends within a time limit of its own.
    ///
    /// - Throws: when the task was cancelled before the endpoint took the message.
    func send(_ request: WebhookRequest) async throws(CancellationError) -> AttemptReport
    /// Lets go of every connection.
    func shutdown() async
}

extension WebhookSender: WebhookSending {}
