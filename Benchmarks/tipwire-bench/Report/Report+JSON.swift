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
        for suite in Sample.Suite.allCases {
            for (setting, label) in settings(suite) {
                func add(_ spread: Spread?, _ metric: Metric, of server: String, ratioTo yardstick: String? = nil) {
                    guard let spread else { return }
                    figures.append(
                        Document.Figure(
                            suite: suite.rawValue, setting: label, server: server, metric: metric.rawValue,
                            value: spread, ratioTo: yardstick))
                }
                for metric in Metric.allCases {
                    for server in servers(suite) { add(spread(metric, suite, setting, server), metric, of: server) }
                    guard let subject, metric.isComparable else { continue }
                    for yardstick in yardsticks(suite) {
                        let ratio = ratio(metric, suite, setting, to: yardstick)
                        add(ratio, metric, of: subject, ratioTo: yardstick.name)
                    }
                }
            }
        }
        return figures
    }
}
