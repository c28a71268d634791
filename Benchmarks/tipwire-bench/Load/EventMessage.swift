import Foundation
import Glibc

/// The message that is fanned out: the same 436 bytes for every contender, as a feed's message and as an Event Hook's.
///
/// Tipwire builds it from a tip; the others get it ready made. One cheap parser a form tells which event a message is,
/// whoever sent it: by the cursor at the end of a feed's message, `…-SEQUENCE"}`, or by the tip's id at the beginning of
/// an Event Hook's, which has no cursor unless a client asks for one.
///
/// EventSub tells of the feed's tip. Its message is longer, since it repeats the subscription, and ends like a feed's,
/// with the event's id for the cursor.
enum EventMessage {
    /// The study's size: a usual tip with a short message.
    static let targetBytes = 436
    static let displayName = "Someone"
    static let amountInCents = 500
    static let title = "Bench"
    static let slug = "bench"

    /// The body of a tip without an id, which is a new one each time; the feed makes such a message of it.
    static let tip = #"{\#(members(text: text(of: .webSocket)))}"#

    /// The body of the tip with this number, of which such a message is made in this form.
    static func tip(_ number: Int64, for form: StreamForm) -> [UInt8] {
        Array(#"{"id":"\#(id(number))",\#(members(text: text(of: form)))}"#.utf8)
    }

    /// The message itself, with made-up ids and times.
    static func json(_ number: Int64, as form: StreamForm) -> [UInt8] {
        json(number, as: form, text: text(of: form))
    }

    /// The tip's text, as long as makes the message's size right.
    private static func text(of form: StreamForm) -> String {
        switch form {
        case .webSocket, .eventSub: feedText
        case .eventStream: hookText
        }
    }

    private static let feedText = filling(json(100, as: .webSocket, text: ""))
    private static let hookText = filling(json(100, as: .eventStream, text: ""))

    private static func filling(_ rest: [UInt8]) -> String {
        String(String(repeating: "You made my day, thank you! ", count: 16).prefix(targetBytes - rest.count))
    }

    private static func members(text: String) -> String {
        #""displayName":"\#(displayName)","grossAmountInCents":\#(amountInCents),"message":"\#(text)""#
    }

    private static func json(_ number: Int64, as form: StreamForm, text: String) -> [UInt8] {
        let time = "2024-03-13T18:02:33.743Z"
        switch form {
        case .webSocket:
            let tip =
                #"{"createdAt":"\#(time)","displayName":"\#(displayName)","grossAmountInCents":\#(amountInCents),"#
                + #""id":"\#(id(number))","message":"\#(text)","netAmountInCents":\#(amountInCents),"#
                + #""processingFeeInCents":0,"updatedAt":"\#(time)"}"#
            let page =
                #"{"id":"1627451579049x550722173620715500","slug":"\#(slug)","title":"\#(title)","#
                + #""url":"http://127.0.0.1:40000/p/\#(slug)"}"#
            return Array(
                (#"{"type":"campaigntip.notify","payload":{"campaignTip":\#(tip),"page":\#(page)},"#
                    + #""cursor":"0123abcd-\#(number)"}"#).utf8)
        case .eventSub: preconditionFailure("only Tipwire sends EventSub's messages")
        case .eventStream:
            return Array(
                (#"{"type":"tip:received","tipId":"\#(id(number))","amount":\#(amountInCents),"#
                    + #""displayName":"\#(displayName)","message":"\#(text)","isAnonymous":false,"#
                    + #""goalId":null,"goalProgress":null,"goalTarget":null,"timestamp":"\#(time)"}"#).utf8)
        }
    }
}

// MARK: - Which event it is

extension EventMessage {
    /// What ids of tips begin with.
    static let idPrefix = "bench"
    /// As many digits as make an id as long as those that the server chooses.
    private static let idDigits = 19

    static func id(_ number: Int64) -> String {
        let digits = String(number)
        return idPrefix + String(repeating: "0", count: idDigits - digits.count) + digits
    }

    /// The number in an Event Hook's message, or nil for any other message.
    @inline(__always)
    static func number(of message: UnsafeRawBufferPointer) -> Int64? {
        let beginning: StaticString = #"{"type":"tip:received","tipId":"bench"#
        let end = beginning.utf8CodeUnitCount + idDigits
        guard message.count > end, message[end] == UInt8(ascii: "\""),
            memcmp(message.baseAddress!, beginning.utf8Start, beginning.utf8CodeUnitCount) == 0
        else {
            return nil
        }
        var value: Int64 = 0
        for index in beginning.utf8CodeUnitCount..<end {
            let digit = message[index] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            value = value &* 10 &+ Int64(digit)
        }
        return value
    }

    /// The sequence number at the end of a feed's or EventSub's message, or nil for any other message. Reads backwards from the last
    /// byte: a few nanoseconds, where parsing JSON would cost more than the server's share.
    @inline(__always)
    static func sequence(of message: UnsafeRawBufferPointer) -> Int64? {
        var index = message.count - 3
        guard index > 0, message[index + 2] == UInt8(ascii: "}"), message[index + 1] == UInt8(ascii: "\"") else {
            return nil
        }
        var value: Int64 = 0
        var scale: Int64 = 1
        let first = index
        while index > 0, first - index < 18 {
            let digit = message[index] &- UInt8(ascii: "0")
            guard digit < 10 else { break }
            value &+= Int64(digit) &* scale
            scale &*= 10
            index -= 1
        }
        return index < first && message[index] == UInt8(ascii: "-") ? value : nil
    }

    /// The sequence number of the last cursor in an answer of Tipwire's API.
    static func lastCursor(in answer: [UInt8]) -> Int64? {
        lastCursorText(in: answer).flatMap(sequence(ofCursor:))
    }

    static func sequence(ofCursor text: String) -> Int64? { text.split(separator: "-").last.flatMap { Int64($0) } }

    static func lastCursorText(in answer: [UInt8]) -> String? {
        let text = String(decoding: answer, as: UTF8.self)
        guard let range = text.range(of: #""cursor":""#, options: .backwards) else { return nil }
        return String(text[range.upperBound...].prefix { $0 != "\"" })
    }
}
