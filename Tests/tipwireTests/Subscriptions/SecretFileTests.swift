import Foundation
import Testing

@testable import tipwire

@Suite struct SecretFileTests {
    private static let secret = "whsec_" + Data(repeating: 7, count: 24).base64EncodedString()

    @Test("A secret is read from a file, white space around it left out")
    func file() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try Data(" \(Self.secret)\r\n".utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        #expect(try SecretFile.read(file.path) == Self.secret)
    }

    @Test("A file that can't be read is named with the reason")
    func missing() {
        let failure = #expect(throws: Failure.self) { _ = try SecretFile.read("/nowhere/at\u{7}/all") }
        #expect(failure?.message == #"cannot read the secret file /nowhere/at\u{7}/all: No such file or directory"#)
    }

    @Test(
        "What doesn't look like a secret is not sent anywhere, and not repeated",
        arguments: [
            "", "hunter2", "-----BEGIN PRIVATE KEY-----\nwhsec_AAAA", "whsec_AAAA\nwhsec_AAAA", "WHSEC_AAAA",
            "whsec_é", "whsec_AA AA",
        ])
    func malformed(_ text: String) throws {
        let failure = try #require(throws: Failure.self) { _ = try SecretFile.secret(in: text, from: "key.pem") }
        #expect(failure.message.contains("key.pem"))
        #expect(text.isEmpty || !failure.message.contains(text))
    }
}
