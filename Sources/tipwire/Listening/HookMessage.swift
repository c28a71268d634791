import Foundation

/// One message of the Event Hook, as far as `listen` reads it.
enum HookMessage: Equatable {
    /// The first message of every stream.
    case connected
    /// The second one of a stream that asked for a position: how well it could be met.
    case resumed(status: String)
    case event(HookEvent)
    /// A type that this version has no words for.
    case other(type: String)
    /// Not a JSON object with a type.
    case unreadable

    init(_ text: String) {
        let json = Data(text.utf8)
        guard let type = Self.read(Envelope.self, json)?.type else {
            self = .unreadable
            return
        }
        let event: HookEvent?
        switch type {
        case "connected":
            self = .connected
            return
        case "resumed":
            self = .resumed(status: Self.read(Resumption.self, json)?.status ?? "resumed")
            return
        case "tip:received": event = Self.read(HookEvent.Tip.self, json).map { .tip($0) }
        case "tip:goal-completed": event = Self.read(HookEvent.Completion.self, json).map { .completion($0) }
        case "tip:overflow-chain": event = Self.read(HookEvent.Chain.self, json).map { .chain($0) }
        case "tip:queue-updated": event = Self.read(HookEvent.Queue.self, json).map { .queue($0) }
        default: event = nil
        }
        self = event.map { .event($0) } ?? .other(type: type)
    }

    private struct Envelope: Decodable { let type: String }
    private struct Resumption: Decodable { let status: String }

    private static func read<Value: Decodable>(_ type: Value.Type, _ json: Data) -> Value? {
        try? JSONDecoder().decode(type, from: json)
    }
}

/// What the Event Hook tells of. Its messages name neither page nor currency; see `ListenedPages`.
enum HookEvent: Equatable, HeardEvent {
    case tip(Tip)
    case completion(Completion)
    case chain(Chain)
    case queue(Queue)

    struct Tip: Decodable, Equatable {
        let amount: Int
        let displayName: String
        let message: String?
        /// Both of the goal that was active when the tip came; null without one.
        let goalProgress: Int?
        let goalTarget: Int?
        let timestamp: String
    }

    struct Goal: Decodable, Equatable {
        let description: String
        let amount: Int
        let progress: Int
    }

    struct Completion: Decodable, Equatable {
        let goalName: String
        let goalTarget: Int
        let overflowAmount: Int
        let nextGoal: Goal?
        /// From 0.
        let chainIndex: Int
        let chainTotal: Int
    }

    struct Chain: Decodable, Equatable {
        let tipId: String
        let totalAmount: Int
        let goalsCompleted: Int
    }

    struct Queue: Decodable, Equatable {
        let activeGoal: Goal?
        let goalCount: Int
        let completedGoalCount: Int
    }

    var pageSlug: String? { nil }

    /// A tip reads as on the feed, with the progress of its goal behind:
    ///
    ///     15:04:05Z  demo  Jamie  $7.00  "Keep it up!"  goal $50.00 of $50.00 (100%)
    ///                demo  goal completed: "New webcam" ($50.00)  $2.00 over  next "Lights" $2.00 of $100.00 (2%)
    func line(on page: ListenedPage) -> String {
        switch self {
        case .tip(let tip):
            var parts = page.tip(from: tip.displayName, cents: tip.amount, message: tip.message ?? "")
            if let progress = tip.goalProgress, let target = tip.goalTarget {
                parts.append("goal \(page.progress(progress, of: target))")
            }
            return page.line(at: tip.timestamp, parts)
        case .completion(let completion): return page.line(at: nil, Self.parts(completion, page))
        case .chain(let chain):
            return page.line(
                at: nil,
                ["\(chain.goalsCompleted) goals completed by one tip of \(page.money(chain.totalAmount))"])
        case .queue(let queue):
            let active = queue.activeGoal.map { "active \(Self.words($0, page))" } ?? "no active goal"
            return page.line(
                at: nil, ["goals: \(queue.completedGoalCount) of \(queue.goalCount) completed", active])
        }
    }

    private static func parts(_ completion: Completion, _ page: ListenedPage) -> [String] {
        let (place, overflow) = completion.chainIndex.addingReportingOverflow(1)
        let isChain = completion.chainTotal > 1 && !overflow
        var parts = [
            "goal completed\(isChain ? " (\(place) of \(completion.chainTotal))" : ""): "
                + "\(ListenedPage.quoted(completion.goalName)) (\(page.money(completion.goalTarget)))"
        ]
        if completion.overflowAmount > 0 { parts.append("\(page.money(completion.overflowAmount)) over") }
        parts.append(completion.nextGoal.map { "next \(words($0, page))" } ?? "no goal is next")
        return parts
    }

    private static func words(_ goal: Goal, _ page: ListenedPage) -> String {
        "\(ListenedPage.quoted(goal.description)) \(page.progress(goal.progress, of: goal.amount))"
    }
}
