/// One copy of an overlay, as its link names it: OBS's browser source, the preview, a phone. `[A-Za-z0-9_.:-]{1,64}`.
public struct ScreenName: Hashable, Sendable, CustomStringConvertible {
    public let text: String

    /// Names follow the rule of tips' identifiers.
    public init?(_ text: String) {
        guard let identifier = TipIdentifier(text) else { return nil }
        self.text = identifier.text
    }

    public var description: String { text }

    /// The rule as a sentence's end, for error messages.
    public static var rule: String { TipIdentifier.rule }
}

/// What an overlay shows.
public enum OverlayKind: String, Hashable, Sendable, CaseIterable {
    /// One alert for each tip.
    case alerts
    /// The active goal and the next.
    case goal
    /// The newest tips.
    case recent
}

/// An overlay of a page, on one screen.
public struct OverlayPlace: Hashable, Sendable {
    public let page: Page.ID
    public let kind: OverlayKind
    public let screen: ScreenName

    public init(page: Page.ID, kind: OverlayKind, screen: ScreenName) {
        self.page = page
        self.kind = kind
        self.screen = screen
    }
}

/// An alert of a page: what the event of this sequence has an alert box show.
public struct Alert: Hashable, Sendable {
    public let page: Page.ID
    public let sequence: Int64

    public init(page: Page.ID, sequence: Int64) {
        self.page = page
        self.sequence = sequence
    }
}

/// Who may show an alert of which one copy is wanted.
public enum AlertLease: String, Sendable {
    /// The one who asks.
    case granted
    /// Another screen, which is at it.
    case held
    /// Nobody any more.
    case shown
}

/// What a page's owner has told all its alert boxes.
public struct AlertSwitches: Hashable, Sendable {
    /// Alerts wait and are not shown.
    public var isPaused: Bool
    /// Alerts are shown without a sound.
    public var isMuted: Bool

    public init(isPaused: Bool = false, isMuted: Bool = false) {
        self.isPaused = isPaused
        self.isMuted = isMuted
    }
}

/// What became of a tip on one screen.
public struct Receipt: Hashable, Sendable {
    public let kind: OverlayKind
    public let screen: ScreenName
    public let receivedAt: Timestamp
    /// Nil until it was shown.
    public let shownAt: Timestamp?

    public init(kind: OverlayKind, screen: ScreenName, receivedAt: Timestamp, shownAt: Timestamp?) {
        self.kind = kind
        self.screen = screen
        self.receivedAt = receivedAt
        self.shownAt = shownAt
    }
}
