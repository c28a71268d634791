import Foundation
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWebhooks

/// What is measured, in Prometheus' text format. Names and units follow its conventions; every label has a fixed set of
/// values.
struct MetricsExposition: Sendable {
    let metrics: HubMetrics
    let intake: TipIntake
    let fanout: Fanout
    let sockets: SocketSubscriptions
    let webhooks: WebhookEngine
    let subscriptionQuota: SubscriptionQuota
    let store: any Store
    let directory: Directory
    let position: LogPosition
    let refusals: RefusalCounts
    let quota: StreamQuota
    let startedAt: Timestamp

    func text() async -> String {
        var page = MetricsPage()
        page.gauge("tipwire_build_info", "The version that runs.", labels: ["version": TipwireVersion.text], 1)
        intakeMetrics(&page)
        await fanoutMetrics(&page)
        webhookMetrics(&page)
        await logMetrics(&page)
        page.gauge("tipwire_pages", "Pages.", directory.look(\.pageCount))
        page.gauge("tipwire_keys", "API keys.", directory.look(\.keyCount))
        processMetrics(&page)
        return page.text
    }

    private func intakeMetrics(_ page: inout MetricsPage) {
        page.counter("tipwire_tips_total", "Tips that were stored.", metrics.tipsAccepted.value)
        page.counter(
            "tipwire_tips_repeated_total", "Tips that were recognised as repeats.", metrics.tipsRepeated.value)
        page.counter("tipwire_tips_refunded_total", "Tips that were taken back.", metrics.tipsRefunded.value)
        page.counter(
            "tipwire_goals_completed_total", "Goals that tips completed.", metrics.goalsCompleted.value)
        page.counter(
            "tipwire_intake_refused_total", "Commands refused because too many waited.", metrics.intakeRefused.value)
        page.counter(
            "tipwire_commit_failures_total", "Commits that failed, a full disk for one.", metrics.commitFailures.value)
        page.gauge("tipwire_intake_pending_tips", "Tips that wait for their commit.", intake.pending)
        page.histogram(
            "tipwire_commit_duration_seconds", "Duration of a commit, the sync to disk included.",
            metrics.commitSeconds.reading)
    }

    private func fanoutMetrics(_ page: inout MetricsPage) async {
        let statistics = await fanout.statistics()
        func byKind(_ value: (ShardStatistics.Share) -> Int) -> [(String, Int)] {
            Dialect.Kind.allCases.map { ($0.rawValue, value(statistics[$0])) }
        }
        page.gauges(
            "tipwire_connections", "Listeners that are connected.", label: "kind", byKind(\.connections))
        page.gauge("tipwire_connections_limit", "Most listeners at a time.", quota.maximum)
        page.counters(
            "tipwire_deliveries_total", "Events written to listeners.", label: "kind", byKind(\.deliveries))
        page.counters(
            "tipwire_delivered_bytes_total", "Bytes of events written to listeners.", label: "kind", byKind(\.bytes))
        page.gauge(
            "tipwire_eventsub_socket_subscriptions", "EventSub subscriptions by WebSocket, connected or waiting.",
            sockets.count)
        page.counter(
            "tipwire_slow_consumers_cut_total", "Listeners closed because they took events too slowly.",
            statistics.slowConsumersCut)
        page.counters(
            "tipwire_stream_refusals_total", "Handshakes that were refused.", label: "reason",
            refusals.reading.map { ($0.reason, $0.count) })
    }

    private func webhookMetrics(_ page: inout MetricsPage) {
        let counts = webhooks.subscriptions.counts
        page.gauges(
            "tipwire_webhook_subscriptions", "EventSub subscriptions by webhook.", label: "state",
            [("enabled", counts.enabled), ("disabled", counts.disabled)])
        page.counters(
            "tipwire_eventsub_refused_total", "EventSub subscriptions that were refused for a limit.", label: "reason",
            subscriptionQuota.refused.map { ($0.kind.rawValue, $0.count) })
        let limits = subscriptionQuota.limits
        page.gauges(
            "tipwire_eventsub_limit", "Most EventSub subscriptions of one key and to one page, and made in a minute.",
            label: "of",
            [("key", limits.perKey), ("page", limits.perPage), ("minute", limits.creationsPerMinute)])
        page.gauge(
            "tipwire_webhook_pending_deliveries", "Deliveries that wait for their first or next attempt.",
            counts.pending)
        page.gauge(
            "tipwire_webhook_pending_limit", "Most deliveries that may wait for one webhook.", webhooks.maxPending)
        let activity = webhooks.activity
        page.gauge("tipwire_webhook_attempts_running", "Attempts under way.", activity.running)
        page.gauge("tipwire_webhook_attempts_limit", "Most attempts at a time.", webhooks.maxAttempts)
        page.gauge(
            "tipwire_webhook_breakers_open", "Webhooks that are left alone because their last attempts failed.",
            activity.paused)
        page.counters(
            "tipwire_webhook_attempts_total", "Attempts that ended.", label: "outcome",
            webhooks.metrics.attemptsByOutcome.map { ($0.outcome, $0.count) })
        page.histogram(
            "tipwire_webhook_attempt_duration_seconds", "Duration of an attempt, from look-up to answer.",
            webhooks.metrics.attemptSeconds.reading)
        let letters = webhooks.metrics.deadLettersByReason
        page.counters(
            "tipwire_webhook_deliveries_total", "Deliveries that ended.", label: "result",
            [("delivered", webhooks.metrics.delivered.value), ("dead", letters.reduce(0) { $0 + $1.count })])
        page.counters(
            "tipwire_webhook_dead_letters_total", "Deliveries that were given up.", label: "reason",
            letters.map { ($0.reason.code, $0.count) })
    }

    private func logMetrics(_ page: inout MetricsPage) async {
        page.counter(
            "tipwire_log_head_sequence", "Sequence of the last committed event.", Int(position.bounds.head))
        page.counter(
            "tipwire_log_pruned_events_total", "Events that retention removed.", metrics.eventsPruned.value)
        guard let log = try? await store.logStatistics() else { return }
        page.gauge("tipwire_log_events", "Events that the log holds.", Int(log.events))
        page.gauge("tipwire_log_size_bytes", "Size of the log as retention counts it.", Int(log.bytes))
        if let oldest = log.oldest {
            page.gauge(
                "tipwire_log_oldest_event_timestamp_seconds", "When the oldest kept event was committed.",
                Int(oldest.unixSeconds))
        }
    }

    private func processMetrics(_ page: inout MetricsPage) {
        page.gauge(
            "process_start_time_seconds", "Start of the process, in Unix time.", Int(startedAt.unixSeconds))
        if let resident = ProcessReading.residentBytes() {
            page.gauge("process_resident_memory_bytes", "Resident memory.", resident)
        }
        if let descriptors = ProcessReading.openDescriptors() {
            page.gauge("process_open_fds", "Open file descriptors.", descriptors)
        }
    }
}

/// Writes families of metrics, each with its help and type.
struct MetricsPage {
    private(set) var text = ""

    mutating func counter(_ name: String, _ help: String, labels: [String: String] = [:], _ value: Int) {
        family(name, help, "counter")
        sample(name, labels, "\(value)")
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
        let list = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\($0.value)\"" }.joined(separator: ",")
        text += list.isEmpty ? "\(name) \(value)\n" : "\(name){\(list)} \(value)\n"
    }
}

/// What the kernel says of this process.
enum ProcessReading {
    static func residentBytes() -> Int? {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return nil }
        return text.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map {
            $0 * Int(sysconf(Int32(_SC_PAGESIZE)))
        }
    }

    static func openDescriptors() -> Int? {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count
    }
}

/// The version of this program.
public enum TipwireVersion {
    public static let text = "0.1.0"
}
