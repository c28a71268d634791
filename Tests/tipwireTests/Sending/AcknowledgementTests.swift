import Testing
import TipwireCore

@testable import tipwire

/// Calls whose answer is lost, against a server that loses it.
@Suite struct AcknowledgementTests {
    private static func request() -> APIRequest {
        var request = APIRequest(.post, "pages", "demo", "goals", "g1", "adjust")
        request.idempotencyKey = TipIdentifier("k1")
        return request
    }

    private static func acknowledged(
        by server: ScriptedServer, advice: String? = nil
    ) async throws -> Acknowledgement {
        let client = try ManagementClient(
            address: #require(ServerAddress("http://127.0.0.1:\(server.port)")),
            key: .find(option: "tw_" + String(repeating: "a", count: 64), environment: [:]))
        do {
            let acknowledgement = try await client.acknowledged(request(), announcesRetries: false, advice: advice)
            await client.close()
            return acknowledgement
        } catch {
            await client.close()
            throw error
        }
    }

    @Test("A call whose answer is lost is sent again under the same key")
    func lostAnswer() async throws {
        let server = try await ScriptedServer.start { number, _ in
            number == 0 ? .last("") : .open("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        }
        let acknowledgement = try await Self.acknowledged(by: server)
        #expect(acknowledgement.answer.status == 200)
        #expect(acknowledgement.retries == 1)
        #expect(server.requests.count == 2)
        #expect(server.requests.allSatisfy { $0.contains("Idempotency-Key: k1\r\n") })
        try await server.close()
    }

    @Test("What stays in doubt ends with advice, what was refused doesn't")
    func advice() async throws {
        let failing = try await ScriptedServer.start { _, _ in
            .open("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
        }
        let doubt = await #expect(throws: Failure.self) {
            try await Self.acknowledged(by: failing, advice: "repeat it")
        }
        #expect(doubt?.message.hasSuffix("\nrepeat it") == true)
        try await failing.close()
        let refusing = try await ScriptedServer.start { _, _ in
            .open("HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n")
        }
        let refusal = await #expect(throws: Failure.self) {
            try await Self.acknowledged(by: refusing, advice: "repeat it")
        }
        #expect(refusal?.message.contains("repeat it") == false)
        try await refusing.close()
    }
}
