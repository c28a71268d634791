/// The report as text, 80 to 160 columns wide.
extension Report {
    func printTables() {
        writeLine("")
        for fact in facts { writeLine("\(fact.name): \(fact.value)") }
        printIntake()
        printIntake(.intakeWithGoals, "intake, three goals")
        printIntake(.intakeWithChains, "each tip completes \(IntakePage.chainLength)")
        for suite in Self.fanoutSuites { printFigures(Metric.fanout, suite) }
        printFigures(Metric.webhooks, .webhooks)
        printFigures(Metric.pending, .pending)
        printAims()
        printNotes()
    }

    private static let fanoutSuites = [Sample.Suite.webSockets, .eventSub, .eventStreams]

    /// A table for each setting of a suite, with a row for each figure.
    private func printFigures(_ metrics: [Metric], _ suite: Sample.Suite) {
        let servers = servers(suite)
        let yardsticks = yardsticks(suite)
        for (setting, label) in settings(suite) {
            var rows = [[label] + servers + yardsticks.map { "÷ \($0.name)" }]
            for metric in metrics {
                let figures = servers.map { text(spread(metric, suite, setting, $0), metric) }
                let ratios = yardsticks.map { metric.isComparable ? text(ratio(metric, suite, setting, to: $0)) : "" }
                rows.append([metric.label] + figures + ratios)
            }
            printTable(rows)
        }
    }

    private func printIntake() {
        let servers = servers(.intake)
        guard !servers.isEmpty else { return }
        let yardsticks = yardsticks(.intake)
        var rows: [[String]] = []
        if let subject, servers.contains(subject) {
            rows.append(["intake"] + Metric.intake.map(\.label) + yardsticks.map { "÷ \($0.name)" })
            for (setting, label) in settings(.intake) {
                let figures = Metric.intake.map { text(spread($0, .intake, setting, subject), $0) }
                let ratios = yardsticks.map { text(ratio(.tipsPerSecond, .intake, setting, to: $0)) }
                rows.append([label] + figures + ratios)
            }
        } else {
            rows.append(["intake, tips/s"] + servers)
            for (setting, label) in settings(.intake) {
                let figures = servers.map { text(spread(.tipsPerSecond, .intake, setting, $0), .tipsPerSecond) }
                rows.append([label] + figures)
            }
        }
        printTable(rows)
    }

    /// Only the subject has goals: each figure stands beside its ratio to the same without them.
    private func printIntake(_ suite: Sample.Suite, _ title: String) {
        guard let subject, let without = yardsticks(suite).first else { return }
        var rows = [[title] + Metric.intake.flatMap { [$0.label, "÷ \(without.name)"] }]
        for (setting, label) in settings(suite) {
            let cells = Metric.intake.flatMap { metric in
                [
                    text(spread(metric, suite, setting, subject), metric),
                    text(ratio(metric, suite, setting, to: without)),
                ]
            }
            rows.append([label] + cells)
        }
        printTable(rows)
    }

    private func printNotes() {
        writeLine("")
        for note in notes { writeLine("note: \(note)") }
        let faulty = samples.filter { $0.fault != nil }
        for sample in faulty {
            writeLine("FAULT: \(sample.server), \(sample.label), round \(sample.round): \(sample.fault ?? "")")
        }
        guard faulty.isEmpty else { return }
        printVerified()
    }

    private func printVerified() {
        if Self.fanoutSuites.contains(where: { !servers($0).isEmpty }) {
            writeLine("Verified: every socket got every event, once and in order.")
        }
        if let subject, servers(.intake).contains(subject) {
            writeLine(
                "Verified: the log holds as many tips as were acknowledged, in one unbroken sequence, and the goals the "
                    + "money of them.")
        }
        if !servers(.webhooks).isEmpty { writeLine("Verified: every webhook got every tip, in order.") }
        if !servers(.pending).isEmpty { writeLine("Verified: every delivery that waited still did after a new start.") }
    }

    private func text(_ spread: Spread?, _ metric: Metric) -> String { text(spread) { metric.text($0) } }

    private func text(_ spread: Spread?, _ number: (Double) -> String = { Metric.decimal($0, 2) }) -> String {
        guard let spread else { return "–" }
        let median = number(spread.median)
        guard spread.least != spread.greatest else { return median }
        return "\(median) (\(number(spread.least))–\(number(spread.greatest)))"
    }

    /// The first column to the left, all others to the right.
    private func printTable(_ rows: [[String]]) {
        writeLine("")
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        for (number, row) in rows.enumerated() {
            let cells = row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + padding : padding + cell
            }
            writeLine(cells.joined(separator: "  "))
            if number == 0 { writeLine(widths.map { String(repeating: "─", count: $0) }.joined(separator: "  ")) }
        }
    }
}
