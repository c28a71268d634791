import Crypto
import NIOCore
import TipwireCore

/// A file of the dashboard or of an overlay, embedded in the program.
struct Asset: Sendable {
    let name: String
    let mediaType: String
    let bytes: ByteBuffer
    /// A strong entity tag: the start of the content's SHA-256.
    let tag: String

    private init(_ name: String, _ mediaType: String, _ content: [UInt8]) {
        self.name = name
        self.mediaType = mediaType
        bytes = ByteBuffer(bytes: content)
        tag = "\"\(SecretHash.hex(SHA256.hash(data: content).prefix(12)))\""
    }

    private static func document(_ name: String, _ content: [UInt8]) -> Asset {
        Asset(name, "text/html; charset=utf-8", content)
    }

    private static func script(_ name: String, _ content: [UInt8]) -> Asset {
        Asset(name, "text/javascript; charset=utf-8", content)
    }

    private static func style(_ name: String, _ content: [UInt8]) -> Asset {
        Asset(name, "text/css; charset=utf-8", content)
    }

    static let signIn = document("signin.html", PackageResources.signin_html)
    static let confirmSignIn = document("login.html", PackageResources.login_html)

    /// The dashboard's documents, by their paths.
    static let views: KeyValuePairs<String, Asset> = [
        "/": document("live.html", PackageResources.live_html),
        "/goals": document("goals.html", PackageResources.goals_html),
        "/charts": document("charts.html", PackageResources.charts_html),
        "/overlays": document("overlays.html", PackageResources.overlays_html),
        "/keys": document("keys.html", PackageResources.keys_html),
        "/webhooks": document("webhooks.html", PackageResources.webhooks_html),
        "/listeners": document("listeners.html", PackageResources.listeners_html),
        "/try": document("try.html", PackageResources.try_html),
        "/settings": document("settings.html", PackageResources.settings_html),
    ]

    /// The overlays', which need no session: the key in their address opens the socket.
    static let overlays: KeyValuePairs<String, Asset> = [
        "/overlay/alerts": document("overlay-alerts.html", PackageResources.overlay_alerts_html),
        "/overlay/goal": document("overlay-goal.html", PackageResources.overlay_goal_html),
        "/overlay/recent": document("overlay-recent.html", PackageResources.overlay_recent_html),
    ]

    /// What the documents load, under `/assets/`.
    static let parts = [
        script("alert-queue.js", PackageResources.alert_queue_js),
        script("alert-sound.js", PackageResources.alert_sound_js),
        script("alerts.js", PackageResources.alerts_js),
        script("announce.js", PackageResources.announce_js),
        script("api.js", PackageResources.api_js),
        script("chart-time.js", PackageResources.chart_time_js),
        script("charts.js", PackageResources.charts_js),
        script("connect.js", PackageResources.connect_js),
        script("console.js", PackageResources.console_js),
        script("csv.js", PackageResources.csv_js),
        script("details.js", PackageResources.details_js),
        script("document.js", PackageResources.document_js),
        script("feed.js", PackageResources.feed_js),
        script("filter.js", PackageResources.filter_js),
        script("first.js", PackageResources.first_js),
        script("forms.js", PackageResources.forms_js),
        script("goal-forms.js", PackageResources.goal_forms_js),
        script("goal-list.js", PackageResources.goal_list_js),
        script("goal-order.js", PackageResources.goal_order_js),
        script("goal-removal.js", PackageResources.goal_removal_js),
        script("goal-rows.js", PackageResources.goal_rows_js),
        script("goal-story.js", PackageResources.goal_story_js),
        script("goal-voice.js", PackageResources.goal_voice_js),
        script("goals.js", PackageResources.goals_js),
        script("keys.js", PackageResources.keys_js),
        script("listeners.js", PackageResources.listeners_js),
        script("live.js", PackageResources.live_js),
        script("money.js", PackageResources.money_js),
        script("nodes.js", PackageResources.nodes_js),
        script("overlay-alerts.js", PackageResources.overlay_alerts_js),
        script("overlay-goal.js", PackageResources.overlay_goal_js),
        script("overlay-look.js", PackageResources.overlay_look_js),
        script("overlay-recent.js", PackageResources.overlay_recent_js),
        script("overlay-socket.js", PackageResources.overlay_socket_js),
        script("overlays.js", PackageResources.overlays_js),
        script("page-form.js", PackageResources.page_form_js),
        script("plot.js", PackageResources.plot_js),
        script("public.js", PackageResources.public_js),
        script("receipts.js", PackageResources.receipts_js),
        script("roll.js", PackageResources.roll_js),
        script("row.js", PackageResources.row_js),
        script("settings.js", PackageResources.settings_js),
        script("shell.js", PackageResources.shell_js),
        script("signin.js", PackageResources.signin_js),
        script("tips.js", PackageResources.tips_js),
        script("trail.js", PackageResources.trail_js),
        script("try.js", PackageResources.try_js),
        script("virtual.js", PackageResources.virtual_js),
        script("watch.js", PackageResources.watch_js),
        script("webhook-deliveries.js", PackageResources.webhook_deliveries_js),
        script("webhook-making.js", PackageResources.webhook_making_js),
        script("webhook.js", PackageResources.webhook_js),
        script("webhooks.js", PackageResources.webhooks_js),
        style("charts.css", PackageResources.charts_css),
        style("goals.css", PackageResources.goals_css),
        style("keys.css", PackageResources.keys_css),
        style("live.css", PackageResources.live_css),
        style("overlay.css", PackageResources.overlay_css),
        style("overlays.css", PackageResources.overlays_css),
        style("public.css", PackageResources.public_css),
        style("settings.css", PackageResources.settings_css),
        style("style.css", PackageResources.style_css),
        style("table.css", PackageResources.table_css),
        style("try.css", PackageResources.try_css),
        style("webhooks.css", PackageResources.webhooks_css),
        Asset("icon.svg", "image/svg+xml", PackageResources.icon_svg),
    ]

    /// Stands for what overlays are made of: one that was loaded from another build loads itself again.
    static let build: String = {
        var hash = SHA256()
        for asset in overlays.map(\.value) + parts { hash.update(data: Array(asset.tag.utf8)) }
        return SecretHash.hex(hash.finalize().prefix(8))
    }()
}
