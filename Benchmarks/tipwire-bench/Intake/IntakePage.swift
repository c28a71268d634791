/// A page that takes tips in, and what it must hold afterwards.
struct IntakePage {
    let slug: String
    let suite: Sample.Suite
    private let goals: Int
    private let goalAmountInCents: Int
    /// Tips that were acknowledged so far.
    var acknowledged = 0

    /// Pages of one server that are posted to in turns: what goals cost is told by two figures of the same minute.
    static let lasting = [
        IntakePage(slug: EventMessage.slug, suite: .intake, goals: 0, goalAmountInCents: 0),
        // The largest amount that a goal can have: twenty million tips don't complete one.
        IntakePage(slug: "bench-goals", suite: .intakeWithGoals, goals: 3, goalAmountInCents: 10_000_000_000),
    ]

    /// The place of the one with goals among them.
    static let withGoals = 1

    /// Goals that a tip completes at once.
    static let chainLength = 2

    /// A page on which each of so many tips completes goals, and then none is left.
    static func chains(_ number: Int, tips: Int) -> IntakePage {
        IntakePage(
            slug: "bench-chains-\(number)", suite: .intakeWithChains, goals: tips * chainLength,
            goalAmountInCents: EventMessage.amountInCents / chainLength)
    }

    private init(slug: String, suite: Sample.Suite, goals: Int, goalAmountInCents: Int) {
        self.slug = slug
        self.suite = suite
        self.goals = goals
        self.goalAmountInCents = goalAmountInCents
    }

    /// Makes what the server doesn't have yet.
    func prepare(_ api: TipwireAPI) throws {
        if slug != EventMessage.slug { try api.makePage(slug) }
        for number in 0..<goals {
            try api.addGoal("Goal \(number + 1)", amountInCents: goalAmountInCents, to: slug)
        }
    }

    /// What is wrong: the log must hold as many tips as were acknowledged, the goals as much money.
    func fault(_ audit: LogAudit, _ api: TipwireAPI) throws -> String? {
        let logged = audit.tips(of: slug)
        if logged != acknowledged { return "\(acknowledged) tips were acknowledged, the log has \(logged)" }
        guard goals > 0 else { return nil }
        let given = acknowledged * EventMessage.amountInCents
        let held = try api.goalProgress(of: slug).reduce(0, +)
        return held == given ? nil : "\(given) cents were acknowledged, the goals hold \(held)"
    }
}
