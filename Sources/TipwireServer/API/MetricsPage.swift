import TipwireHub

/// Writes families of metrics, each with its help and type.
struct MetricsPage {
    private(set) var text = ""
    /// Labels of every sample.
    private let common: [String: String]

    init(common: [String: String] = [:]) { self.common = common }

    mutating func counter(_ name: String, _ help: String, labels: [String: String] = [:], _ value: Int) {
        family(name, help, "counter")
        sample(name, labels, "\(value)")
    }

    mutating func counter(_ name: String, _ help: String, _ value: Double) {
        family(name, help, "counter")
        sample(name, [:], "\(value)")
    }

    /// Gauges with two labels each.
    mutating func gauges(
        _ name: String, _ help: String, labels: (String, String), _ values: [(String, String, Int)]
    ) {
        family(name, help, "gauge")
        for (first, second, value) in values {
            sample(name, [labels.0: first, labels.1: second], "\(value)")
        }
    }

    mutating func counters(_ name: String, _ help: String, label: String, _ values: [(String, Int)]) {
        family(name, help, "counter")
        samples(name, label, values)
    }

    mutating func gauges(_ name: String, _ help: String, label: String, _ values: [(String, Int)]) {
        family(name, help, "gauge")
        samples(name, label, values)
    }

    private mutating func samples(_ name: String, _ label: String, _ values: [(String, Int)]) {
        for (key, value) in values { sample(name, [label: key], "\(value)") }
    }

    mutating func gauge(_ name: String, _ help: String, labels: [String: String] = [:], _ value: Int) {
        family(name, help, "gauge")
        sample(name, labels, "\(value)")
    }

    mutating func histogram(_ name: String, _ help: String, _ reading: DurationHistogram.Reading) {
        family(name, help, "histogram")
        for (bound, count) in zip(DurationHistogram.bounds.map { "\($0)" } + ["+Inf"], reading.buckets) {
            sample("\(name)_bucket", ["le": bound], "\(count)")
        }
        sample("\(name)_sum", [:], "\(reading.sum)")
        sample("\(name)_count", [:], "\(reading.buckets.last ?? 0)")
    }

    private mutating func family(_ name: String, _ help: String, _ type: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    private mutating func sample(_ name: String, _ labels: [String: String], _ value: String) {
        let list = labels.merging(common) { own, _ in own }.sorted { $0.key < $1.key }
            .map { "\($0.key)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",")
        text += list.isEmpty ? "\(name) \(value)\n" : "\(name){\(list)} \(value)\n"
    }

    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { escaped, character in
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.append(character)
            }
        }
    }
}
