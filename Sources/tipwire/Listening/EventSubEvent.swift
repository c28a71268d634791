import TipwireCore

/// What an EventSub subscription tells of.
struct EventSubEvent: Equatable, HeardEvent {
    enum Subject: Equatable {
        case alert(Alert)
        /// The same as the Event Hook tells, with other names.
        case goals(HookEvent)
        case progress(Progress)
    }

    /// A tip, or its replay.
    struct Alert: Decodable, Equatable {
        let kind: String
        let nickname: String
        let message: String
        /// A decimal with the digits of the currency.
        let amount: String
        let curr: String
        /// Unix seconds.
        let createdAt: Int
        let replay: Bool?
    }

    /// What a tip did to the goal that was active when it came.
    struct Progress: Decodable, Equatable {
        let goalProgress: Int
        let goalTarget: Int
    }

    let subject: Subject
    /// Messages don't name it. A subscription is to one page, which whoever made it may know.
    var pageSlug: String?

    var needsCurrency: Bool {
        if case .alert = subject { false } else { true }
    }

    /// An alert reads as a tip on the feed: `15:04:05Z  demo  Ada  $5.00  "hello"`, with `replay` behind if it is one.
    /// What is told of goals has no time, and begins with blanks.
    func line(on page: ListenedPage) -> String {
        switch subject {
        case .alert(let alert):
            page.line(
                at: Wording.rfc3339(alert.createdAt),
                ListenedPage.tip(from: alert.nickname, money: alert.money, message: alert.message)
                    + (alert.replay == true ? ["replay"] : []))
        case .goals(let event): event.line(on: page)
        case .progress(let progress):
            page.line(at: nil, ["goal \(page.progress(progress.goalProgress, of: progress.goalTarget))"])
        }
    }
}

extension EventSubEvent.Alert {
    /// As everywhere else; what can't be read as an amount is shown as it came.
    fileprivate var money: String {
        guard let cents = Currency(code: curr)?.minorUnits(decimal: amount) else {
            return "\(VisibleText(amount)) \(VisibleText(curr))"
        }
        return Wording.money(cents, code: curr)
    }
}
