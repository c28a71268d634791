import Crypto
import Foundation
import NIOCore
import Testing
import TipwireCore

@testable import TipwireWebhooks

@Suite("Signatures of Standard Webhooks")
struct WebhookSignatureTests {
    @Test("The published test vector")
    func vector() throws {
        let secret = try #require(WebhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
        let signature = WebhookSignature.sign(
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: 1_614_265_330,
            body: ByteBuffer(string: #"{"test": 2432232314}"#), secret: secret)
        #expect(signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    }

    @Test("While a secret rotates there is one signature for each, separated by spaces")
    func rotation() throws {
        let old = WebhookSecret.random()
        let new = WebhookSecret.random()
        let body = ByteBuffer(string: "{}")
        let header = WebhookSignature.header(id: "a", timestamp: 7, body: body, secrets: [new, old])
        let each = [new, old].map { WebhookSignature.sign(id: "a", timestamp: 7, body: body, secret: $0) }
        #expect(header == each.joined(separator: " "))
        #expect(each[0] != each[1])
    }

    @Test("Id, time and body are each signed, and nothing but the rest of a buffer that was read from")
    func parts() {
        let secret = WebhookSecret.random()
        var body = ByteBuffer(string: "xx{}")
        body.moveReaderIndex(forwardBy: 2)
        let signature = WebhookSignature.sign(id: "a", timestamp: 7, body: body, secret: secret)
        let code = HMAC<SHA256>.authenticationCode(for: Data("a.7.{}".utf8), using: secret.key)
        #expect(signature == "v1," + Data(code).base64EncodedString())
        for (id, time, text) in [("b", 7, "{}"), ("a", 8, "{}"), ("a", 7, "{ }")] {
            let other = WebhookSignature.sign(
                id: id, timestamp: Int64(time), body: ByteBuffer(string: text), secret: secret)
            #expect(other != signature)
        }
    }
}

@Suite("Secrets of webhooks")
struct WebhookSecretTests {
    private static func secret(bytes: Int) -> String {
        "whsec_" + Data(repeating: 0xA5, count: bytes).base64EncodedString()
    }

    @Test("24 to 64 bytes in base64 are a secret", arguments: [24, 25, 26, 32, 63, 64])
    func accepted(bytes: Int) throws {
        let secret = try #require(WebhookSecret(Self.secret(bytes: bytes)))
        #expect(secret.reveal() == Self.secret(bytes: bytes))
        #expect(secret.key.bitCount == bytes * 8)
    }

    @Test(
        "Anything else is none",
        arguments: [
            "", "whsec_", secret(bytes: 23), secret(bytes: 65), secret(bytes: 66), secret(bytes: 1_000_000),
            String(secret(bytes: 24).dropFirst(6)), "WHSEC_" + secret(bytes: 24).dropFirst(6),
            // Without its padding, with bits to spare, with white space, in the alphabet for URLs.
            "whsec_" + String(repeating: "A", count: 34), "whsec_" + String(repeating: "A", count: 33) + "B==",
            secret(bytes: 24) + "\n", " " + secret(bytes: 24), "whsec_" + String(repeating: "_", count: 32),
            "whsec_" + String(repeating: "ä", count: 32),
        ])
    func refused(text: String) {
        #expect(WebhookSecret(text) == nil)
    }

    @Test("A generated one can be read back, and no two are alike")
    func random() throws {
        let secrets = (0..<100).map { _ in WebhookSecret.random() }
        for secret in secrets {
            #expect(WebhookSecret(secret.reveal()) == secret)
            #expect(secret.key.bitCount == 256)
        }
        #expect(Set(secrets.map { $0.reveal() }).count == secrets.count)
    }

    @Test("No way of printing one shows it")
    func redacted() {
        let secret = WebhookSecret.random()
        let hidden = secret.reveal().dropFirst(6)
        var dumped = ""
        dump(["key": secret], to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped, "\([secret])", "\(Optional(secret) as Any)"] {
            #expect(!text.contains(hidden.prefix(8)))
        }
    }
}
