import NIOCore
import NIOHTTP1
import Testing
import TipwireCore

@testable import TipwireWebhooks

@Suite("A connection's life")
struct ExchangeTests {
    private enum Event: Sendable {
        case opened
        case begin
        case head(Int, HTTPHeaders = ["Content-Length": "4"])
        case body(String)
        case end
        case tooLong
        case passed(Exchange.Limit)
        case failed(Exchange.Fault)
        case disconnected
    }

    /// Runs through events, and writes down what came of each but "nothing".
    private static func run(_ events: [Event], isSecure: Bool = false) -> [String] {
        var exchange = Exchange(isSecure: isSecure, excerptBytes: 6)
        return events.compactMap { event in
            switch event {
            case .opened: text(exchange.opened())
            case .begin: exchange.begin() ? nil : "can't begin"
            case .head(let status, let headers):
                text(
                    exchange.head(
                        HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: headers)))
            case .body(let bytes): text(exchange.body(ByteBuffer(string: bytes)))
            case .end: text(exchange.end(isExact: true))
            case .tooLong: text(exchange.tooLong())
            case .passed(let limit): text(exchange.passed(limit))
            case .failed(let fault): text(exchange.failed(fault))
            case .disconnected: text(exchange.disconnected())
            }
        }
    }

    private static func text(_ action: Exchange.Action) -> String? {
        switch action {
        case .nothing: nil
        case .opened: "opened"
        case .failedToOpen(let outcome): "no: \(outcome.code)"
        case .ended(let result):
            "\(result.outcome.code) \(result.outcome.status ?? 0) '\(String(buffer: result.excerpt))'"
                + (result.isReusable ? " reusable" : "")
        case .close: "close"
        }
    }

    @Test(
        "Each course of events has one end",
        arguments: [
            ([.opened, .begin, .head(200), .body("okay"), .end], ["opened", "delivered 200 'okay' reusable"]),
            (
                [.opened, .begin, .head(200), .end, .begin, .head(500), .body("oh"), .end],
                ["opened", "delivered 200 '' reusable", "status 500 'oh' reusable"]
            ),
            (
                [.opened, .begin, .head(200), .body("1234"), .body("5678"), .body("9"), .end],
                ["opened", "delivered 200 '123456' reusable"]
            ),
            ([.opened, .begin, .head(204, [:]), .end], ["opened", "delivered 204 '' reusable"]),
            (
                [.opened, .begin, .head(200, ["Transfer-Encoding": "chunked"]), .end],
                ["opened", "delivered 200 '' reusable"]
            ),
            ([.opened, .begin, .head(200, [:]), .body("a"), .end], ["opened", "delivered 200 'a'"]),
            ([.opened, .begin, .head(200, [:]), .body("a"), .disconnected], ["opened", "delivered 200 'a'"]),
            ([.opened, .begin, .head(200, [:]), .body("a"), .failed(.broken)], ["opened", "delivered 200 'a'"]),
            (
                [.opened, .begin, .head(200, ["Connection": "close", "Content-Length": "0"]), .end],
                ["opened", "delivered 200 ''"]
            ),
            ([.opened, .begin, .head(301), .end], ["opened", "redirect 301 '' reusable"]),
            // Endings before an answer and amid one.
            ([.opened, .begin, .disconnected], ["opened", "closed_early 0 ''"]),
            ([.opened, .begin, .failed(.broken)], ["opened", "closed_early 0 ''"]),
            ([.opened, .begin, .failed(.unreadable)], ["opened", "unreadable_answer 0 ''"]),
            ([.opened, .begin, .failed(.tls(.handshake))], ["opened", "closed_early 0 ''"]),
            ([.opened, .begin, .passed(.head)], ["opened", "head_timeout 0 ''"]),
            ([.opened, .begin, .passed(.whole)], ["opened", "whole_timeout 0 ''"]),
            ([.opened, .begin, .tooLong], ["opened", "unreadable_answer 0 ''"]),
            ([.opened, .begin, .head(200), .body("a"), .disconnected], ["opened", "closed_early 200 'a'"]),
            ([.opened, .begin, .head(200), .body("a"), .failed(.unreadable)], ["opened", "unreadable_answer 0 'a'"]),
            ([.opened, .begin, .head(200), .body("a"), .passed(.whole)], ["opened", "whole_timeout 200 'a'"]),
            ([.opened, .begin, .head(500), .body("a"), .tooLong, .disconnected], ["opened", "status 500 'a'"]),
            ([.opened, .begin, .head(200), .head(200)], ["opened", "unreadable_answer 0 ''"]),
            ([.opened, .begin, .body("a")], ["opened", "unreadable_answer 0 ''"]),
            // Timers that come too late.
            ([.opened, .begin, .head(200), .passed(.head), .end], ["opened", "delivered 200 '' reusable"]),
            (
                [.opened, .begin, .passed(.idle), .passed(.opening), .head(200), .end],
                ["opened", "delivered 200 '' reusable"]
            ),
            ([.opened, .begin, .head(200), .end, .passed(.whole), .begin], ["opened", "delivered 200 '' reusable"]),
            // Idle.
            ([.opened, .passed(.idle), .begin], ["opened", "close", "can't begin"]),
            ([.opened, .disconnected, .disconnected], ["opened", "close"]),
            ([.opened, .head(200), .begin], ["opened", "close", "can't begin"]),
            ([.opened, .failed(.unreadable), .disconnected], ["opened", "close"]),
            ([.opened, .tooLong], ["opened", "close"]),
            // One at a time, and none before it is open or after its end.
            ([.begin], ["can't begin"]),
            ([.opened, .begin, .begin], ["opened", "can't begin"]),
            (
                [.opened, .begin, .disconnected, .begin, .passed(.head), .disconnected],
                ["opened", "closed_early 0 ''", "can't begin"]
            ),
        ] as [([Event], [String])])
    private func courses(events: [Event], actions: [String]) {
        #expect(Self.run(events) == actions)
    }

    @Test(
        "A connection that doesn't come about says why",
        arguments: [
            (.passed(.opening), "connect_timeout", "connect_timeout"),
            (.failed(.wrongPeer), "wrong_peer", "wrong_peer"),
            (.failed(.tls(.untrusted)), "tls", "tls"), (.failed(.broken), "unreachable", "tls"),
            (.disconnected, "unreachable", "tls"),
        ] as [(Event, String, String)])
    private func opening(event: Event, plain: String, secure: String) {
        #expect(Self.run([event, .disconnected, .opened, .begin]) == ["no: \(plain)", "can't begin"])
        #expect(Self.run([event, .disconnected, .opened, .begin], isSecure: true) == ["no: \(secure)", "can't begin"])
    }
}
