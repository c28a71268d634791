import NIOCore
import TipwireCore

/// What a look through a whole store reads: the tables of one kind of store, at one moment.
package protocol AuditTables {
    /// What this kind of store itself finds wrong with what it holds, each a line for the operator.
    func damage() throws -> [String]
    func readLog() throws -> LogRow
    /// Every page's slug.
    func slugs() throws -> [Page.ID: String]
    /// Goals as they are, of each page that has any.
    func goals(pages: [Page.ID]) throws -> [Page.ID: GoalQueue]
    /// The same as retention has left them.
    func prunedGoals(pages: [Page.ID]) throws -> [Page.ID: GoalQueue]
    /// Entries of the log behind a sequence, oldest first.
    func entries(after sequence: Int64, limit: Int) throws -> [LogEntry]
    /// Those of these tips that there are.
    func tips(_ names: Set<TipName>) throws -> [TipName: TipRow]
    /// Tips that came behind this sequence, without an event that tells of them.
    func untoldTips(after sequence: Int64) throws -> [String]
    func untoldRefunds(after sequence: Int64) throws -> [String]
}

/// A row of `events` that nobody has tried to understand yet.
package struct LogEntry: Sendable {
    package let sequence: Int64
    package let page: Page.ID
    package let kind: String
    package let time: Timestamp
    package let data: ByteBuffer
    /// Of `data`, as the store counts them.
    package let bytes: Int64

    package init(sequence: Int64, page: Page.ID, kind: String, time: Timestamp, data: ByteBuffer, bytes: Int64) {
        self.sequence = sequence
        self.page = page
        self.kind = kind
        self.time = time
        self.data = data
        self.bytes = bytes
    }
}

/// A tip's id, which is one page's own.
package struct TipName: Hashable, Sendable {
    package let page: Page.ID
    package let id: TipIdentifier

    package init(page: Page.ID, id: TipIdentifier) {
        self.page = page
        self.id = id
    }
}
