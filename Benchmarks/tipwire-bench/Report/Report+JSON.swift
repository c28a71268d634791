import Foundation

/// The report as a file for programs: every single measurement, and the medians and ratios of the tables.
extension Report {
    private struct Document: Encodable {
        struct Figure: Encodable {
            var suite: String
            var setting: String
            var server: String
            var metric: String
            var value: Spread
            var ratioTo: String?
        }

        struct Run: Encodable {
            var suite: String
            var setting: String
            var server: String
            var round: Int
            var values: [String: Double]
            var fault: String?
        }

        var facts: [String: String]
        var notes: [String]
        var figures: [Figure]
        var runs: [Run]
    }

    func writeJSON(to path: String) throws {
        let runs = samples.map { sample in
            Document.Run(
                suite: sample.suite.rawValue, setting: sample.label, server: sample.server, round: sample.round,
                values: Dictionary(uniqueKeysWithValues: sample.values.map { ($0.key.rawValue, $0.value) }),
                fault: sample.fault)
        }
        let document = Document(
            facts: Dictionary(facts.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 }), notes: notes,
            figures: figures(), runs: runs)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(document).write(to: URL(fileURLWithPath: path))
    }

    private func figures() -> [Document.Figure] {
        var figures: [Document.Figure] = []
        for suite in [Sample.Suite.intake, .fanout] {
            for (setting, label) in settings(suite) {
                for server in servers(suite) {
                    for metric in Metric.allCases {
                        func add(_ spread: Spread?, ratioTo peer: String?) {
                            guard let spread else { return }
                            figures.append(
                                Document.Figure(
                                    suite: suite.rawValue, setting: label, server: peer == nil ? server : subject ?? "",
                                    metric: metric.rawValue, value: spread, ratioTo: peer))
                        }
                        add(spread(metric, suite, setting, server), ratioTo: nil)
                        guard server != subject, metric.isComparable else { continue }
                        add(ratio(metric, suite, setting, to: server), ratioTo: server)
                    }
                }
            }
        }
        return figures
    }
}
