/// What the subject is meant to reach. They are aims for a quiet machine: a miss is told, not punished.
extension Report {
    func printAims() {
        guard let subject, Sample.Suite.allCases.contains(where: { servers($0).contains(subject) }) else { return }
        writeLine("\nAims (medians)")
        printFanoutAims()
        printIntakeAims()
        printWebhookAims()
    }

    private func printFanoutAims() {
        for (setting, label) in settings(.webSockets) {
            aim("server CPU µs/delivery, one at a time, \(label)", "under 10", .lockstepCPU, .webSockets, setting) {
                $0 < 10
            }
            guard setting >= 1_000 else { continue }
            aim("idle bytes/socket, \(label)", "under 8,192", .idleBytes, .webSockets, setting) { $0 < 8_192 }
        }
        for feed in yardsticks(.eventSub) {
            for (setting, label) in settings(.eventSub) where setting >= 1_000 {
                for (metric, how) in [(Metric.lockstepCPU, "one at a time"), (.burstCPU, "16 in flight")] {
                    guard let share = ratio(metric, .eventSub, setting, to: feed)?.median else { continue }
                    let what = "server CPU µs/delivery ÷ \(feed.name), \(how), \(label)"
                    aim(share <= 1.25, "\(what): \(Metric.decimal(share, 2)) (at most 1.25)")
                }
            }
        }
    }

    private func printIntakeAims() {
        for (setting, label) in settings(.intake) where IntakeSetting.all[setting].tips > 1 {
            aim("durable tips/s, \(label)", "20,000", .tipsPerSecond, .intake, setting) { $0 >= 20_000 }
        }
        for without in yardsticks(.intakeWithGoals) {
            for (setting, label) in settings(.intakeWithGoals) {
                guard let share = ratio(.tipsPerSecond, .intakeWithGoals, setting, to: without)?.median else {
                    continue
                }
                aim(share >= 0.8, "durable tips/s ÷ \(without.name), \(label): \(Metric.decimal(share, 2)) (0.8)")
            }
        }
    }

    private func printWebhookAims() {
        for (setting, label) in settings(.webhooks) {
            aim("durable deliveries/s, \(label)", "5,000", .webhookRate, .webhooks, setting) { $0 >= 5_000 }
        }
        for (setting, label) in settings(.pending) {
            aim("start, s, \(label)", "under 1", .pendingStart, .pending, setting) { $0 < 1 }
            // A record of each in memory would take more than this. Of fewer deliveries the database's caches take more.
            guard setting >= 100_000 else { continue }
            aim("memory, bytes/delivery, \(label)", "under 100", .pendingBytes, .pending, setting) { $0 < 100 }
        }
    }

    private func aim(
        _ what: String, _ limit: String, _ metric: Metric, _ suite: Sample.Suite, _ setting: Int,
        _ isMet: (Double) -> Bool
    ) {
        guard let subject, let median = spread(metric, suite, setting, subject)?.median else { return }
        aim(isMet(median), "\(what): \(metric.text(median)) (\(limit))")
    }

    private func aim(_ isMet: Bool, _ text: String) { writeLine("  \(isMet ? "met   " : "missed")  \(text)") }
}
