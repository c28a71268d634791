import NIOCore
import TipwireWire

/// Queries and forms. Escaped, and decoded again, a value is the same.
enum QueryTarget {
    static func run(_ input: ByteBuffer) {
        let text = String(buffer: input)
        let query = QueryString(target: text)
        for name in query.names { _ = query.nonEmpty(name) }
        var form = QueryString(target: "")
        form.add(form: input)
        let escaped = text.utf8.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "%0" + digits : "%" + digits
        }.joined()
        let again = QueryString(target: "/?a=" + escaped + "&b=1")
        precondition(again["a"] == text && again["b"] == "1", "another value than was escaped")
    }
}
