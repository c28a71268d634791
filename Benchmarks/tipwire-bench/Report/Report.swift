import Foundation
import Glibc

/// One measurement: a server, a setting, a round.
struct Sample: Codable {
    /// In the order in which they are told.
    enum Suite: String, Codable, CaseIterable {
        case intake
        case intakeWithGoals = "intake-goals"
        case intakeWithChains = "intake-chains"
        case webSockets = "fanout"
        case eventSub = "fanout-eventsub"
        case eventStreams = "fanout-sse"
        case webhooks
        case pending = "webhooks-pending"
        case onePage = "pages-one"
        case manyPages = "pages-many"
        case fullHouse = "full"
        case withoutIdle = "idle-none"
        case amongIdle = "idle-others"
        case heap
        case heapBesideStalled = "heap-stalled"
        case intakeAlone = "intake-alone"
        case intakeBeside = "intake-beside"
        case intakeShared = "intake-shared"
        case sustained
        case storm
        case start
    }

    var suite: Suite
    /// Orders the settings of a suite: the number of sockets, or a place in the list of ways to post.
    var setting: Int
    var label: String
    var server: String
    var round: Int
    var values: [Metric: Double] = [:]
    /// What went wrong. Its figures then don't count.
    var fault: String?
}

/// Everything that was measured, and the three ways in which it is told: progress, tables, JSON.
struct Report {
    private(set) var samples: [Sample] = []
    private(set) var notes: [String] = []
    private(set) var facts: [(name: String, value: String)] = []
    private let start = nanoseconds()

    /// Servers in the order in which they stand in tables; the first is what ratios are of.
    var subject: String? = "tipwire"

    mutating func add(_ sample: Sample) {
        samples.append(sample)
        if let fault = sample.fault { progress("  FAULT: \(fault)") }
    }

    /// Measures and adds what came of it, figures or fault.
    mutating func add(_ sample: Sample, _ figures: () throws -> [Metric: Double]) {
        var sample = sample
        do { sample.values = try figures() } catch { sample.fault = "\(error)" }
        add(sample)
    }

    mutating func note(_ text: String) { if !notes.contains(text) { notes.append(text) } }

    mutating func fact(_ name: String, _ value: String) { facts.append((name, value)) }

    /// A line for whoever waits, on the standard error.
    func progress(_ text: String) {
        let elapsed = String(Int(seconds(nanoseconds() - start)))
        writeLine("[\(String(repeating: " ", count: max(0, 3 - elapsed.count)))\(elapsed) s] \(text)", to: 2)
    }

    var hasFaults: Bool { samples.contains { $0.fault != nil } }

    /// The values of one figure, by round.
    func values(_ metric: Metric, _ suite: Sample.Suite, _ setting: Int, _ server: String) -> [Int: Double] {
        var values: [Int: Double] = [:]
        for sample in samples
        where sample.suite == suite && sample.setting == setting && sample.server == server && sample.fault == nil {
            values[sample.round] = sample.values[metric]
        }
        return values
    }

    func spread(_ metric: Metric, _ suite: Sample.Suite, _ setting: Int, _ server: String) -> Spread? {
        Spread(Array(values(metric, suite, setting, server).values))
    }

    /// The subject's figure divided by another, round by round: both had the same machine at the same time.
    func ratio(_ metric: Metric, _ suite: Sample.Suite, _ setting: Int, to yardstick: Yardstick) -> Spread? {
        subject.flatMap { ratio(metric, suite, setting, of: $0, to: yardstick) }
    }

    func ratio(
        _ metric: Metric, _ suite: Sample.Suite, _ setting: Int, of server: String, to yardstick: Yardstick
    ) -> Spread? {
        let others = values(metric, yardstick.suite, setting, yardstick.server)
        return Spread(
            values(metric, suite, setting, server).compactMap { round, value in
                guard let other = others[round], other > 0 else { return nil }
                return value / other
            })
    }

    func settings(_ suite: Sample.Suite) -> [(setting: Int, label: String)] {
        var seen: [(setting: Int, label: String)] = []
        for sample in samples where sample.suite == suite && !seen.contains(where: { $0.setting == sample.setting }) {
            seen.append((sample.setting, sample.label))
        }
        return seen
    }

    func servers(_ suite: Sample.Suite) -> [String] {
        var seen: [String] = []
        for sample in samples where sample.suite == suite && !seen.contains(sample.server) {
            seen.append(sample.server)
        }
        return seen
    }
}
