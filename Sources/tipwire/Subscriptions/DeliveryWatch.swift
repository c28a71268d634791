/// Looks at a delivery until its first attempt has ended.
struct DeliveryWatch {
    /// Longest wait for the end of the attempt. Twice as long as the endpoint may take to answer, since the attempt may
    /// have to wait for another one.
    static let patience: Duration = .seconds(30)
    /// Time between two looks: short enough to seem at once to whoever waits.
    static let pause: Duration = .milliseconds(250)

    let client: ManagementClient
    /// Asks for the delivery.
    let request: APIRequest
    var patience = Self.patience
    var pause = Self.pause

    /// The delivery as it was last seen, and the answer that told so; of one that isn't tried even then, patience is
    /// over.
    func end() async throws -> (delivery: DeliveryObject, answer: APIAnswer) {
        let clock = ContinuousClock()
        let deadline = clock.now + patience
        while true {
            let answer = try await client.call(request)
            let delivery = try answer.decoded(as: DeliveryObject.self)
            if delivery.isTried || clock.now >= deadline { return (delivery, answer) }
            try await Task.sleep(for: pause)
        }
    }
}
