/// What the commands read of the API's answers. Members that nothing shows aren't here, and unknown ones don't matter,
/// so that an older command line keeps working with a newer server.
struct ListAnswer<Row: Decodable>: Decodable {
    let data: [Row]
    let next: String?
}

struct PageObject: Decodable {
    let slug: String
    let title: String?
    let url: String?
    let currency: String
    let profileId: Int?
    let owner: String?
    let createdAt: String
}

struct AccountObject: Decodable {
    let id: String
    let name: String
    let createdAt: String
}

struct NodeObject: Decodable {
    struct Connections: Decodable {
        let feed: Int
        let sse: Int
        let eventsub: Int
        let overlay: Int
    }

    let name: String
    let version: String
    let url: String
    let startedAt: String
    let isDraining: Bool
    let sendsWebhooks: Bool
    let connections: Connections
    let lagEvents: Int
    let silentMilliseconds: Int

    /// After three seconds without a word it may be gone, and is in the list until that is sure.
    var state: String {
        silentMilliseconds > 3_000 ? "silent for \(silentMilliseconds / 1_000) s" : isDraining ? "draining" : "up"
    }
}

struct LinkObject: Decodable {
    let url: String
    let expiresAt: String
}

struct KeyObject: Decodable {
    let id: String
    /// Only in the answer that makes it.
    let key: String?
    let prefix: String
    let name: String
    let scopes: [String]
    /// Slugs; none means that the key isn't limited to pages.
    let pages: [String]?
    let account: String
    let expiresAt: String?
    let lastUsedAt: String?
}

struct TipObject: Decodable {
    let id: String
    let page: String
    let displayName: String
    let message: String
    let grossAmountInCents: Int
    let currency: String
    let processedAt: String
    let refundedAt: String?
}

/// The answer to a tip and to its replay.
struct TipAnswer: Decodable {
    /// One event of the log, as far as it tells what the tip did to goals.
    struct Event: Decodable {
        /// Of a `tip.received` that had a goal.
        let credit: Credit?
        /// Of a `goal.completed`.
        let completion: Completion?

        private enum Member: CodingKey { case type, data }

        /// Only the type must be there: events of other types have data of other shapes.
        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Member.self)
            let type = try container.decode(String.self, forKey: .type)
            credit = type == "tip.received" ? try? container.decode(Credit.self, forKey: .data) : nil
            completion = type == "goal.completed" ? try? container.decode(Completion.self, forKey: .data) : nil
        }
    }

    struct Credit: Decodable {
        /// Both of the goal that was active when the tip came.
        let goalProgress: Int
        let goalTarget: Int
    }

    struct Completion: Decodable {
        struct NextGoal: Decodable {
            let description: String
        }

        let goalName: String
        /// What was left of the tip behind this goal.
        let overflowAmount: Int
        let nextGoal: NextGoal?
    }

    let tip: TipObject
    let events: [Event]
    let cursor: String
}

/// The answer to a refund.
struct RefundAnswer: Decodable {
    struct Event: Decodable {
        struct Data: Decodable {
            let change: Change?
        }

        struct Change: Decodable {
            struct Credit: Decodable {
                let goalId: String
                let amountInCents: Int
            }

            /// What each goal lost.
            let taken: [Credit]?
        }

        let data: Data
    }

    let tip: TipObject
    let events: [Event]
    let cursor: String
}

struct GoalObject: Decodable, Equatable {
    let id: String
    let description: String
    let amountInCents: Int
    let progressInCents: Int
    /// `active`, `queued` or `completed`; perhaps more in a later version.
    let state: String

    var isCompleted: Bool { state == "completed" }
}

/// The answer to an adjustment.
struct AdjustmentAnswer: Decodable {
    let goal: GoalObject
    let cursor: String
}
