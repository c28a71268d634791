import Testing
import TipwireCore

@Suite("Scope")
struct ScopeTests {
    @Test("Every scope covers itself, and admin covers every one")
    func itself() {
        for scope in Scope.all {
            #expect(scope.covers(scope))
            #expect(Scope.admin.covers(scope))
        }
        #expect(Scope.admin.covers(Scope(rawValue: "one::that::comes::later")))
    }

    @Test("Of the scopes there are, none but admin and eventsub covers another")
    func others() {
        for granted in Scope.all where granted != .admin {
            for wanted in Scope.all where wanted != granted {
                #expect(
                    granted.covers(wanted) == (granted == .eventsub && wanted == .eventsubCreate),
                    "\(granted) \(wanted)")
            }
        }
    }

    @Test(
        "A scope covers what continues it with two colons, and nothing that merely begins like it",
        arguments: [
            ("Funplace::eventsub", "Funplace::eventsub::create", true),
            ("Funplace::eventsub", "Funplace::eventsub::create::one", true),
            ("Funplace", "Funplace::eventsub", true),
            ("Funplace::eventsub::create", "Funplace::eventsub", false),
            ("Funplace::eventsub", "Funplace::eventsubx", false),
            ("Funplace::eventsub", "Funplace::eventsub:create", false),
            ("events", "events:read", false),
            ("manage", "manager", false),
            ("Manage", "manage", false),
            ("manage", "admin", false),
        ])
    func hierarchy(granted: String, wanted: String, covered: Bool) {
        #expect(Scope(rawValue: granted).covers(Scope(rawValue: wanted)) == covered)
    }

    @Test("The names on the wire are these")
    func names() {
        #expect(
            Scope.all.map(\.description) == [
                "events:read", "tips:write", "manage", "overlay", "Funplace::eventsub", "Funplace::eventsub::create",
                "admin",
            ])
    }
}
