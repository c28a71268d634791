import Foundation

/// The message that is fanned out: the same 436 bytes for every contender.
///
/// Tipwire builds it from a tip; the others get it ready made. Its end, `…-SEQUENCE"}`, is the cursor that Tipwire puts
/// there, so that one cheap parser tells which event a frame is, whoever sent it.
enum EventMessage {
    /// The study's size: a usual tip with a short message.
    static let targetBytes = 436
    static let displayName = "Someone"
    static let title = "Bench"
    static let slug = "bench"

    /// The tip's text, as long as makes the message's size right.
    static let text = String(
        String(repeating: "You made my day, thank you! ", count: 16).prefix(
            targetBytes - notification(text: "", sequence: 100).count))

    /// The body of a tip that becomes such a message.
    static let tip = #"{"displayName":"\#(displayName)","grossAmountInCents":500,"message":"\#(text)"}"#

    /// The message itself, with made-up ids.
    static func notification(text: String = EventMessage.text, sequence: Int64) -> [UInt8] {
        let tip =
            #"{"createdAt":"2024-03-13T18:02:33.743Z","displayName":"\#(displayName)","grossAmountInCents":500,"#
            + #""id":"b1w2pjwjtb9fx0v1se9ex4n2","message":"\#(text)","netAmountInCents":500,"#
            + #""processingFeeInCents":0,"updatedAt":"2024-03-13T18:02:33.743Z"}"#
        let page =
            #"{"id":"1627451579049x550722173620715500","slug":"\#(slug)","title":"\#(title)","#
            + #""url":"http://127.0.0.1:40000/p/\#(slug)"}"#
        return Array(
            (#"{"type":"campaigntip.notify","payload":{"campaignTip":\#(tip),"page":\#(page)},"#
                + #""cursor":"0123abcd-\#(sequence)"}"#).utf8)
    }

    /// The sequence number at a message's end, or nil for any other message. Reads backwards from the last byte:
    /// a few nanoseconds, where parsing JSON would cost more than the server's share.
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
        let text = String(decoding: answer, as: UTF8.self)
        guard let range = text.range(of: #""cursor":""#, options: .backwards) else { return nil }
        let cursor = text[range.upperBound...].prefix { $0 != "\"" }
        return cursor.split(separator: "-").last.flatMap { Int64($0) }
    }
}
