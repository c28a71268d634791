import Foundation
import TipwireCore
import TipwireHub
import TipwireNATS
import TipwireStore
import TipwireWebhooks

/// What is measured, in Prometheus' text format. Names and units follow its conventions; every label has a fixed set of
/// values.
struct MetricsExposition: Sendable {
    let metrics: HubMetrics
    let intake: TipIntake
    let exchange: EventExchange?
    let fanout: Fanout
    let isRingUsed: @Sendable () -> Bool
    let sockets: SocketSubscriptions
    let webhooks: WebhookEngine
    let subscriptionQuota: SubscriptionQuota
    let store: any Store
    let directory: Directory
    let position: LogPosition
    let refusals: RefusalCounts
    let responses: ResponseCounts
    let quota: StreamQuota
    let openSockets: StreamQuota
    let certificate: ServerCertificate?
    let drain: DrainState
    let maxPending: Int
    let dataFolder: String
    let startedAt: Timestamp
    /// The name of this server among several; nil where it is alone.
    let node: String?

    func text() async -> String {
        var page = MetricsPage(common: node.map { ["node": $0] } ?? [:])
        page.gauge("tipwire_build_info", "The version that runs.", labels: ["version": TipwireVersion.text], 1)
        page.gauge("tipwire_draining", "1 once the server has been told to stop.", drain.hasBegun ? 1 : 0)
        httpMetrics(&page)
        intakeMetrics(&page)
        await fanoutMetrics(&page)
        webhookMetrics(&page)
        if let exchange { exchangeMetrics(of: exchange, &page) }
        await logMetrics(&page)
        page.gauge("tipwire_pages", "Pages.", directory.look(\.pageCount))
        page.gauge("tipwire_keys", "API keys.", directory.look(\.keyCount))
        processMetrics(&page)
        return page.text
    }

    private func httpMetrics(_ page: inout MetricsPage) {
        page.gauge("tipwire_sockets", "Open sockets of the main port, of every kind.", openSockets.count)
        page.gauge("tipwire_sockets_limit", "Most sockets of the main port at a time.", openSockets.maximum)
        page.counter(
            "tipwire_sockets_refused_total", "Sockets that were closed as they came, because the limit was reached.",
            openSockets.refused)
        if let certificate {
            page.gauge(
                "tipwire_tls_certificate_expiry_timestamp_seconds",
                "When the certificate that is shown ends, in Unix time.",
                Int(certificate.expiresAt.timeIntervalSince1970))
        }
        page.counters(
            "tipwire_http_responses_total", "Requests that were answered, streams left out.", label: "status",
            responses.reading)
        page.histogram(
            "tipwire_http_response_duration_seconds", "From a request's head to the beginning of its answer.",
            responses.seconds.reading)
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
        page.gauge("tipwire_intake_pending_limit", "Most tips that may wait for their commit.", maxPending)
        page.histogram(
            "tipwire_commit_duration_seconds",
            "From when a commit was asked for to the end of its sync to disk.",
            metrics.commitSeconds.reading)
    }

    private func fanoutMetrics(_ page: inout MetricsPage) async {
        // Read before the shards are asked: what is committed meanwhile is no lag.
        let head = position.bounds.head
        let statistics = await fanout.statistics()
        func byKind(_ value: (ShardStatistics.Share) -> Int) -> [(String, Int)] {
            Dialect.Kind.allCases.map { ($0.rawValue, value(statistics[$0])) }
        }
        page.gauges(
            "tipwire_connections", "Listeners that are connected.", label: "kind", byKind(\.connections))
        page.gauges(
            "tipwire_connection_states",
            "Listeners that have all, that are given what they missed, and that take nothing.",
            labels: ("kind", "state"),
            Dialect.Kind.allCases.flatMap { kind in
                let share = statistics[kind]
                return [
                    (kind.rawValue, "live", share.connections - share.catchingUp - share.stalled),
                    (kind.rawValue, "catching_up", share.catchingUp), (kind.rawValue, "stalled", share.stalled),
                ]
            })
        page.gauges(
            "tipwire_connection_lag_events", "Events of the log between its head and the listener furthest behind.",
            label: "kind", byKind(\.lagEvents))
        page.gauges(
            "tipwire_connection_lag_bytes", "Bytes published to the listener furthest behind and not taken by it.",
            label: "kind", byKind(\.lagBytes))
        page.gauge(
            "tipwire_relay_lag_events", "Events that were committed and not yet offered to all listeners.",
            Int(max(0, head - min(head, statistics.relayed))))
        page.histogram(
            "tipwire_commit_to_socket_seconds",
            "From a commit to the last write of its batch; one observation a batch and event loop with listeners.",
            statistics.latency)
        page.counter(
            "tipwire_catch_up_reads_total", "Reads of the log for listeners that were behind.",
            metrics.catchUpReads.value)
        page.counter(
            "tipwire_log_reads_total", "Reads of the log for those who have all that came before.",
            metrics.logReads.value)
        page.gauge(
            "tipwire_io_uring_active", "1 if events go to many sockets in one system call, by io_uring, on all loops.",
            isRingUsed() ? 1 : 0)
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
            "tipwire_webhooks_sending", "Whether this node sends the webhooks: 1 or 0.",
            webhooks.isSending ? 1 : 0)
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

    private func exchangeMetrics(of exchange: EventExchange, _ page: inout MetricsPage) {
        let metrics = exchange.metrics
        page.gauge(
            "tipwire_exchange_connected", "1 while nodes hand each other their events by NATS.",
            exchange.isConnected ? 1 : 0)
        page.counters(
            "tipwire_exchange_messages_total", "Messages to and from other nodes.", label: "direction",
            [("sent", metrics.messagesSent.value), ("received", metrics.messagesReceived.value)])
        page.counters(
            "tipwire_exchange_events_total", "Events in these messages.", label: "direction",
            [("sent", metrics.eventsSent.value), ("received", metrics.eventsReceived.value)])
        page.counter(
            "tipwire_exchange_unsent_events_total", "Events that other nodes had to read from the log.",
            metrics.eventsUnsent.value)
        page.counter(
            "tipwire_exchange_holes_total", "Times that events of others didn't come in time, and the log was read.",
            metrics.holes.value)
        page.counter(
            "tipwire_exchange_unreadable_messages_total", "Messages that were passed over.", metrics.unreadable.value)
        page.counter(
            "tipwire_exchange_overruns_total", "Times that messages came faster than they were taken.",
            metrics.overruns.value)
    }

    private func logMetrics(_ page: inout MetricsPage) async {
        page.gauge(
            "tipwire_log_head_sequence", "Sequence of the last committed event.", Int(position.bounds.head))
        page.counter(
            "tipwire_log_pruned_events_total", "Events that retention removed.", metrics.eventsPruned.value)
        page.gauges(
            "tipwire_database_file_bytes", "Size of the database's files.", label: "file",
            [("main", ""), ("wal", "-wal")].compactMap { name, suffix in
                ProcessReading.fileBytes("\(dataFolder)/tipwire.db\(suffix)").map { (name, $0) }
            })
        if let free = ProcessReading.freeBytes(at: dataFolder) {
            page.gauge("tipwire_disk_free_bytes", "What may still be written where the data folder is.", free)
        }
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
        if let seconds = ProcessReading.cpuSeconds() {
            page.counter(
                "process_cpu_seconds_total", "Processor time, the kernel's for this process included.", seconds)
        }
        if let memory = ProcessReading.memory() {
            page.gauge("process_resident_memory_bytes", "Resident memory.", memory.residentBytes)
            page.gauge("process_virtual_memory_bytes", "Virtual memory.", memory.virtualBytes)
        }
        if let descriptors = ProcessReading.openDescriptors() {
            page.gauge("process_open_fds", "Open file descriptors.", descriptors)
        }
        if let most = ProcessReading.mostDescriptors() {
            page.gauge("process_max_fds", "Most file descriptors that the process may open.", most)
        }
    }
}

/// The version of this program.
public enum TipwireVersion {
    public static let text = "0.1.0"
}
