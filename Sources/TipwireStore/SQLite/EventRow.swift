import GRDB
import NIOCore
import TipwireCore
import TipwireWire

extension Event {
    /// The columns of `events` that `init(_: Row)` reads.
    static let columns = "sequence, page_id, kind, time, data"

    init(_ row: Row) throws {
        self.init(
            sequence: row[0], page: Page.ID(rawValue: row[1]), time: Timestamp(milliseconds: row[3]),
            body: try EventData.decode(kind: row[2], data: ByteBuffer(string: row[4])))
    }
}
