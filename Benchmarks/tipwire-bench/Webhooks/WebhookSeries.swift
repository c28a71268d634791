/// Webhooks in all rounds: how fast they are delivered, and what those cost that can't be. Each on a new server; there
/// are no peers.
struct WebhookSeries {
    var tipwire: Tipwire
    /// Nil for each that was not asked for.
    var deliveries: WebhookLoad?
    var pending: PendingLoad?
    var rounds: Int

    func run(_ launcher: Launcher, into report: inout Report) {
        for round in 1...rounds {
            if let deliveries { measure(deliveries, round, launcher, &report) }
            if let pending { measure(pending, round, launcher, &report) }
        }
    }

    private func measure(_ load: WebhookLoad, _ round: Int, _ launcher: Launcher, _ report: inout Report) {
        let sample = Sample(
            suite: .webhooks, setting: load.subscriptions, label: load.label, server: tipwire.name, round: round)
        add(sample, "webhooks", &report) { report in
            let (process, api) = try tipwire.serve(launcher, options: Tipwire.localWebhooks)
            defer { process.stop() }
            let run = try WebhookRun(load, process: process, api: api)
            let values = try run.measure()
            if run.repeats > 0 { report.note("\(load.label): \(run.repeats) deliveries came once more") }
            return values
        }
    }

    private func measure(_ load: PendingLoad, _ round: Int, _ launcher: Launcher, _ report: inout Report) {
        let sample = Sample(
            suite: .pending, setting: load.deliveries, label: load.label, server: tipwire.name, round: round)
        add(sample, "pending", &report) { _ in
            try PendingRun(load, tipwire: tipwire, launcher: launcher).measure()
        }
    }

    private func add(
        _ sample: Sample, _ what: String, _ report: inout Report,
        _ measure: (inout Report) throws -> [Metric: Double]
    ) {
        report.progress("\(what), round \(sample.round)/\(rounds): \(tipwire.name), \(sample.label)")
        var sample = sample
        do {
            sample.values = try measure(&report)
        } catch {
            sample.fault = "\(error)"
        }
        report.add(sample)
    }
}
