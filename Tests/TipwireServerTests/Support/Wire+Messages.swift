import NIOCore
import TipwireWire

/// One HTTP answer, read from the bytes.
struct Reply {
    let status: Int
    /// The status line and the headers, as they came.
    let head: String
    let body: String

    /// The values of a header, joined as RFC 9110 has it; nil when it is absent.
    func header(_ name: String) -> String? {
        let values = head.split(separator: "\r\n").dropFirst().compactMap { line -> Substring? in
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return parts[0].lowercased() == name.lowercased() ? parts[1].drop { $0 == " " } : nil
        }
        return values.isEmpty ? nil : values.joined(separator: ", ")
    }

    var json: JSONValue { (try? JSONValue.parse(body)) ?? .null }

    /// The fields that a problem names, in its order.
    var badFields: [String] { (json["errors"]?.list ?? []).compactMap { $0["field"]?.text } }
}

/// One frame as a server sends it: whole and unmasked.
struct ServerFrame: Equatable, CustomStringConvertible {
    let opcode: UInt8
    let payload: ByteBuffer

    var text: String { String(buffer: payload) }
    /// Of a close frame.
    var closeCode: Int? { payload.getInteger(at: payload.readerIndex, as: UInt16.self).map(Int.init) }
    var closeReason: String { String(text.dropFirst(2)) }
    var json: JSONValue { (try? JSONValue.parse(payload)) ?? .null }
    var description: String { "frame \(opcode) '\(text)'" }

    static let close: UInt8 = 8
    static let pong: UInt8 = 10
}

extension Wire {
    /// The next answer. Of a 1xx, and with `isHead`, there is no body.
    func reply(isHead: Bool = false) async throws -> Reply {
        let head = try await text(through: "\r\n\r\n")
        let status = Int(head.split(separator: " ").dropFirst().first ?? "") ?? 0
        let bare = Reply(status: status, head: head, body: "")
        if isHead || status < 200 || status == 204 || status == 304 { return bare }
        guard let length = bare.header("content-length").flatMap({ Int($0) }) else {
            return Reply(status: status, head: head, body: await rest())
        }
        return Reply(status: status, head: head, body: String(buffer: try await bytes(length)))
    }

    /// The next frame.
    func frame() async throws -> ServerFrame {
        var header = try await bytes(2)
        let first = header.readInteger(as: UInt8.self)!
        let short = header.readInteger(as: UInt8.self)!
        precondition(first & 0xF0 == 0x80 && short & 0x80 == 0, "a server sends whole, unmasked frames")
        var length = Int(short)
        if short == 126 {
            var extended = try await bytes(2)
            length = Int(extended.readInteger(as: UInt16.self)!)
        } else if short == 127 {
            var extended = try await bytes(8)
            length = Int(extended.readInteger(as: UInt64.self)!)
        }
        return ServerFrame(opcode: first & 0x0F, payload: try await bytes(length))
    }

    func sendText(_ text: String) async throws { try await send(.text, ByteBuffer(string: text)) }
}

extension JSONValue {
    subscript(_ name: String) -> JSONValue? {
        if case .object(let members) = self { members[name] } else { nil }
    }

    var list: [JSONValue]? { if case .array(let values) = self { values } else { nil } }
    var text: String? { if case .string(let text) = self { text } else { nil } }
    var integer: Int? { if case .number(let number) = self { number.integer } else { nil } }
    var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    /// The members' names in their order.
    var names: [String] { if case .object(let object) = self { object.members.map(\.name) } else { [] } }
}
