import NIOCore
import TipwireCore

/// Cursors, which clients send back.
enum CursorTarget {
    static func run(_ input: ByteBuffer) {
        let text = String(buffer: input)
        guard let cursor = Cursor(text) else { return }
        precondition(cursor.sequence >= 0 && !cursor.epoch.isEmpty, "no position")
        precondition(Cursor(cursor.description) == cursor, "its text names another")
    }
}
