import NIOCore
import TipwireCore

/// What a batch of commands is decided on and written into, inside one write transaction: the tables of one kind of store.
///
/// What was written must be found by what is asked later in the same transaction, whether or not it is in the database yet.
package protocol LogTables {
    /// The log's row, held against every other writer until the transaction ends.
    func readLog() throws -> LogRow
    /// A page and its goals; nil if there is none.
    mutating func page(_ id: Page.ID) throws -> (label: PageLabel, goals: GoalQueue)?
    func tip(_ id: TipIdentifier, of page: Page.ID) throws -> TipRow?
    /// The tip that a call with this key made or met.
    func tip(key: TipIdentifier, of page: Page.ID) throws -> TipRow?
    func correction(_ key: TipIdentifier, of page: Page.ID) throws -> CorrectionRow?
    /// Events that are in the log, oldest first.
    mutating func events(_ sequences: ClosedRange<Int64>) throws -> [Event]

    mutating func insert(_ tip: TipRow, of page: Page.ID) throws
    mutating func insert(_ event: Event, data: ByteBuffer) throws
    mutating func insert(key: TipIdentifier, for tip: TipIdentifier, of page: Page.ID) throws
    mutating func insert(_ correction: CorrectionRow, key: TipIdentifier, of page: Page.ID) throws
    /// Marks a stored tip as refunded.
    mutating func refund(_ tip: TipRow, of page: Page.ID) throws
    /// Makes a page's goals what they have become.
    mutating func write(_ goals: GoalQueue, over before: GoalQueue, of page: Page.ID) throws
    /// The last thing that is written.
    mutating func write(_ log: LogRow) throws
}
