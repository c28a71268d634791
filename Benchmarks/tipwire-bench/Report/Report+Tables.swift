/// The report as text, 80 to 160 columns wide.
extension Report {
    func printTables() {
        writeLine("")
        for fact in facts { writeLine("\(fact.name): \(fact.value)") }
        if servers(.intake).isEmpty == false { printIntake() }
        for (setting, label) in settings(.fanout) { printFanout(setting, label) }
        printAims()
        printNotes()
    }

    private func printFanout(_ setting: Int, _ label: String) {
        let servers = servers(.fanout)
        let peers = servers.filter { $0 != subject && servers.contains(subject ?? "") }
        var rows = [[label] + servers + peers.map { "÷ \($0)" }]
        for metric in Metric.fanout {
            let figures = servers.map { text(spread(metric, .fanout, setting, $0), metric) }
            let ratios = peers.map { metric.isComparable ? text(ratio(metric, .fanout, setting, to: $0)) : "" }
            rows.append([metric.label] + figures + ratios)
        }
        printTable(rows)
    }

    private func printIntake() {
        let servers = servers(.intake)
        let peers = servers.filter { $0 != subject }
        var rows: [[String]] = []
        if let subject, servers.contains(subject) {
            rows.append(["intake"] + Metric.intake.map(\.label) + peers.map { "÷ \($0)" })
            for (setting, label) in settings(.intake) {
                let figures = Metric.intake.map { text(spread($0, .intake, setting, subject), $0) }
                rows.append([label] + figures + peers.map { text(ratio(.tipsPerSecond, .intake, setting, to: $0)) })
            }
        } else {
            rows.append(["intake, tips/s"] + peers)
            for (setting, label) in settings(.intake) {
                rows.append([label] + peers.map { text(spread(.tipsPerSecond, .intake, setting, $0), .tipsPerSecond) })
            }
        }
        printTable(rows)
    }

    /// The aims of the first performance issue. They are aims for a quiet machine: a miss is told, not punished.
    private func printAims() {
        guard let subject, servers(.fanout).contains(subject) || servers(.intake).contains(subject) else { return }
        writeLine("\nAims (medians)")
        for (setting, label) in settings(.fanout) {
            aim("server CPU µs/delivery, one at a time, \(label)", "under 10", .lockstepCPU, .fanout, setting) {
                $0 < 10
            }
            guard setting >= 1_000 else { continue }
            aim("idle bytes/socket, \(label)", "under 8,192", .idleBytes, .fanout, setting) { $0 < 8_192 }
        }
        for (setting, label) in settings(.intake) where IntakeSetting.all[setting].tips > 1 {
            aim("durable tips/s, \(label)", "20,000", .tipsPerSecond, .intake, setting) { $0 >= 20_000 }
        }
    }

    private func aim(
        _ what: String, _ limit: String, _ metric: Metric, _ suite: Sample.Suite, _ setting: Int,
        _ isMet: (Double) -> Bool
    ) {
        guard let subject, let median = spread(metric, suite, setting, subject)?.median else { return }
        writeLine("  \(isMet(median) ? "met   " : "missed")  \(what): \(metric.text(median)) (\(limit))")
    }

    private func printNotes() {
        writeLine("")
        for note in notes { writeLine("note: \(note)") }
        let faulty = samples.filter { $0.fault != nil }
        for sample in faulty {
            writeLine("FAULT: \(sample.server), \(sample.label), round \(sample.round): \(sample.fault ?? "")")
        }
        guard faulty.isEmpty else { return }
        if !servers(.fanout).isEmpty { writeLine("Verified: every socket got every event, once and in order.") }
        if let subject, servers(.intake).contains(subject) {
            writeLine("Verified: the log holds as many tips as were acknowledged, in one unbroken sequence.")
        }
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
