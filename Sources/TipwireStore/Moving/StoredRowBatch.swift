import NIOCore

/// Some rows of a table, column by column, as one statement takes them.
package struct StoredRowBatch: Sendable {
    package enum Values: Sendable {
        case integers([Int64?])
        case flags([Bool])
        case texts([String?])
        case bytes([ByteBuffer?])

        init(_ kind: StoredTable.Kind) {
            self =
                switch kind {
                case .integer: .integers([])
                case .flag: .flags([])
                case .text: .texts([])
                case .bytes: .bytes([])
                }
        }
    }

    /// Most rows of one.
    package static let maximumRows = 5_000
    /// Bytes of text from which a batch is full, however few its rows: an event of a long queue of goals has tens of
    /// KiB.
    package static let fullBytes = 4 * 1024 * 1024

    package private(set) var rows = 0
    /// In the order of the table's columns.
    package private(set) var columns: [Values]
    private var size = 0

    init(of table: StoredTable) { columns = table.columns.map { Values($0.kind) } }

    var isFull: Bool { rows >= Self.maximumRows || size >= Self.fullBytes }

    mutating func append(_ row: some StoredRow) {
        for index in columns.indices { size += columns[index].append(row, index) }
        rows += 1
    }
}

extension StoredRowBatch.Values {
    /// Bytes of text that the value has.
    fileprivate mutating func append(_ row: some StoredRow, _ column: Int) -> Int {
        // `self` lets go of each list while it grows, or every row would copy all that are there.
        switch self {
        case .integers(var list):
            self = .flags([])
            list.append(row.integer(column))
            self = .integers(list)
            return 0
        case .flags(var list):
            self = .integers([])
            list.append(row.flag(column))
            self = .flags(list)
            return 0
        case .texts(var list):
            self = .flags([])
            let text = row.text(column)
            list.append(text)
            self = .texts(list)
            return text?.utf8.count ?? 0
        case .bytes(var list):
            self = .flags([])
            let buffer = row.bytes(column)
            list.append(buffer)
            self = .bytes(list)
            return buffer?.readableBytes ?? 0
        }
    }
}

/// A row that a batch is made of.
protocol StoredRow {
    func integer(_ column: Int) -> Int64?
    func flag(_ column: Int) -> Bool
    func text(_ column: Int) -> String?
    func bytes(_ column: Int) -> ByteBuffer?
}
