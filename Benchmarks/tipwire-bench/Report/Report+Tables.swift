/// The first row is the head. The first column stands to the left, all others to the right.
typealias Table = [[String]]

/// The report as text, 80 to 200 columns wide.
extension Report {
    func printTables() {
        writeLine("")
        for fact in facts { writeLine("\(fact.name): \(fact.value)") }
        for table in tables { print(table) }
        printAims()
        writeLine("")
        for line in remarks { writeLine(line) }
    }

    var tables: [Table] {
        [intake(), intake(.intakeWithGoals, "intake, three goals")].compactMap { $0 }
            + [intake(.intakeWithChains, "each tip completes \(IntakePage.chainLength)")].compactMap { $0 }
            + [intake(.intakeBeside, "intake, idle listeners of other pages")].compactMap { $0 }
            + [intake(.intakeShared, "the same, server and client on all processors")].compactMap { $0 }
            + figures(Metric.sustained, .sustained)
            + Self.fanoutSuites.flatMap { figures(Metric.fanout, $0) }
            + [.onePage, .manyPages, .fullHouse, .withoutIdle, .amongIdle].flatMap { figures(Metric.pages, $0) }
            + [.heap, .heapBesideStalled].flatMap { figures(Metric.heap, $0) } + figures(Metric.webhooks, .webhooks)
            + figures(Metric.pending, .pending) + figures(Metric.storm, .storm) + figures(Metric.start, .start)
    }

    private static let fanoutSuites = [Sample.Suite.webSockets, .eventSub, .eventStreams]

    /// A table for each setting of a suite, with a row for each figure.
    private func figures(_ metrics: [Metric], _ suite: Sample.Suite) -> [Table] {
        let servers = servers(suite)
        let yardsticks = yardsticks(suite)
        return settings(suite).map { setting, label in
            var rows = [[label] + servers + yardsticks.map { "÷ \($0.name)" }]
            for metric in metrics {
                let figures = servers.map { text(spread(metric, suite, setting, $0), metric) }
                let ratios = yardsticks.map { metric.isComparable ? text(ratio(metric, suite, setting, to: $0)) : "" }
                rows.append([metric.label] + figures + ratios)
            }
            return rows
        }
    }

    private func intake() -> Table? {
        let servers = servers(.intake)
        guard !servers.isEmpty else { return nil }
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
        return rows
    }

    /// Only the subject has goals: each figure stands beside its ratio to the same without them.
    private func intake(_ suite: Sample.Suite, _ title: String) -> Table? {
        guard let subject, let without = yardsticks(suite).first else { return nil }
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
        return rows
    }

    /// What has to be known beside the figures: what was left out, what went wrong, what was verified.
    var remarks: [String] {
        let faults = samples.filter { $0.fault != nil }.map { sample in
            "FAULT: \(sample.server), \(sample.label), round \(sample.round): \(sample.fault ?? "")"
        }
        return notes.map { "note: \($0)" } + (faults.isEmpty ? verified : faults)
    }

    private var verified: [String] {
        var lines: [String] = []
        if Self.fanoutSuites.contains(where: { !servers($0).isEmpty }) {
            lines.append("Verified: every socket got every event, once and in order.")
        }
        if let subject, servers(.intake).contains(subject) {
            lines.append(
                "Verified: the log holds as many tips as were acknowledged, in one unbroken sequence, and the goals the "
                    + "money of them.")
        }
        if [.manyPages, .fullHouse, .amongIdle].contains(where: { !servers($0).isEmpty }) {
            lines.append(
                "Verified: the listeners of each page got that page's events, once and in the order of its log.")
        }
        if !servers(.heap).isEmpty {
            lines.append(
                "Verified: every socket got every event of each heap, once and in order, the one that stalled, too.")
        }
        if !servers(.intakeBeside).isEmpty || !servers(.sustained).isEmpty {
            lines.append(
                "Verified: beside listeners nothing was lost either; those of the page got what its log has, those of "
                    + "other pages nothing.")
        }
        if !servers(.webhooks).isEmpty { lines.append("Verified: every webhook got every tip, in order.") }
        if !servers(.pending).isEmpty {
            lines.append("Verified: every delivery that waited still did after a new start.")
        }
        if !servers(.storm).isEmpty {
            lines.append("Verified: everyone who came back got what was missed and what came next, once and in order.")
        }
        return lines
    }

    private func text(_ spread: Spread?, _ metric: Metric) -> String { text(spread) { metric.text($0) } }

    private func text(_ spread: Spread?, _ number: (Double) -> String = { Metric.decimal($0, 2) }) -> String {
        guard let spread else { return "–" }
        let median = number(spread.median)
        guard spread.least != spread.greatest else { return median }
        return "\(median) (\(number(spread.least))–\(number(spread.greatest)))"
    }

    private func print(_ rows: Table) {
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
