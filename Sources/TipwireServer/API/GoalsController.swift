import HTTPTypes
import Hummingbird
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// A page's queue of goals.
struct GoalsController: Sendable {
    let directory: Directory
    let intake: TipIntake
    let store: any GoalStore
    let position: LogPosition

    func addRoutes(to router: APIRouter) {
        router.on(.get, "/api/v1/pages/{slug}/goals", scope: .manage, list)
        router.on(.post, "/api/v1/pages/{slug}/goals", scope: .manage, add)
        router.on(.put, "/api/v1/pages/{slug}/goals/order", scope: .manage, reorder)
        router.on(.patch, "/api/v1/pages/{slug}/goals/{id}", scope: .manage, edit)
        router.on(.delete, "/api/v1/pages/{slug}/goals/{id}", scope: .manage, remove)
        router.on(.post, "/api/v1/pages/{slug}/goals/{id}/adjust", scope: .manage, adjust)
    }

    @Sendable func list(_ call: Call) async throws -> Response {
        let page = try call.page(in: directory)
        return Self.list(try await store.goals(page: page.id).listed)
    }

    @Sendable func add(_ call: Call) async throws -> Response {
        _ = try call.page(in: directory)
        let answer = try await change(call, try GoalInput.addition(try await call.json(), id: PublicID.random()))
        return Answer.json(.created) { GoalObject.write(Self.goal(of: answer), to: &$0) }
    }

    @Sendable func edit(_ call: Call) async throws -> Response {
        _ = try call.page(in: directory)
        let answer = try await change(
            call, try GoalInput.edit(try await call.json(), of: try call.parameter("id")))
        return Answer.json { GoalObject.write(Self.goal(of: answer), to: &$0) }
    }

    @Sendable func remove(_ call: Call) async throws -> Response {
        _ = try await change(call, .remove(try call.parameter("id")))
        return Answer.noContent()
    }

    @Sendable func reorder(_ call: Call) async throws -> Response {
        _ = try call.page(in: directory)
        let answer = try await change(call, try GoalInput.order(try await call.json()))
        guard case .goals(let goals) = answer.subject else { preconditionFailure("an order is answered with goals") }
        return Self.list(goals)
    }

    @Sendable func adjust(_ call: Call) async throws -> Response {
        _ = try call.page(in: directory)
        let command = try GoalInput.adjustment(try await call.json(), of: try call.parameter("id"))
        let answer = try await change(call, command, key: try call.idempotencyKey())
        return Answer.json { writer in
            writer.beginObject()
            writer.key("goal")
            GoalObject.write(Self.goal(of: answer), to: &writer)
            LogAnswerObject.writeEvents(of: answer, epoch: position.epoch, to: &writer)
            writer.endObject()
        }
    }

    /// The page is looked up here, after the body: what it was before only saved reading one for nothing.
    private func change(
        _ call: Call, _ command: GoalCommand, key: TipIdentifier? = nil
    ) async throws -> LogAnswer {
        let page = try call.page(in: directory)
        return try await intake.submit(.changeGoals(page: page.id, command, idempotencyKey: key))[0]
    }

    private static func goal(of answer: LogAnswer) -> ListedGoal {
        guard case .goal(let goal) = answer.subject else { preconditionFailure("the answer is about one goal") }
        return goal
    }

    /// Goals are few and change together: the list is always whole.
    private static func list(_ goals: [ListedGoal]) -> Response {
        Answer.list(goals, next: nil) { GoalObject.write($0, to: &$1) }
    }
}
