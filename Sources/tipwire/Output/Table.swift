/// Rows of text in aligned columns under a header, for people; programs have `--json`.
struct Table {
    struct Column {
        let title: String
        /// Numbers are easier to compare when their ends are aligned.
        var alignedRight = false
        /// Widest a cell is shown, in terminal columns: one long message must not push every other row's columns away.
        var limit = 80
    }

    private let columns: [Column]
    private var rows: [[VisibleText]] = []

    init(_ columns: [Column]) {
        self.columns = columns
    }

    mutating func add(_ cells: [VisibleText]) {
        precondition(cells.count == columns.count, "a row has a cell for each column")
        rows.append(zip(cells, columns).map { $0.clipped(to: $1.limit) })
    }

    /// Header and rows, two spaces between columns, none at a line's end, each line ended.
    var text: String {
        let lines = [columns.map { VisibleText($0.title) }] + rows
        var widths = columns.map { _ in 0 }
        for line in lines {
            for (index, cell) in line.enumerated() { widths[index] = max(widths[index], cell.columns) }
        }
        return lines.map { self.line($0, widths: widths) + "\n" }.joined()
    }

    private func line(_ cells: [VisibleText], widths: [Int]) -> String {
        var line = ""
        for (index, cell) in cells.enumerated() {
            let padding = String(repeating: " ", count: widths[index] - cell.columns)
            if index > 0 { line += "  " }
            line += columns[index].alignedRight ? padding + cell.description : cell.description + padding
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}

extension Table {
    /// One thing's properties, a line each: name, two spaces, value.
    ///
    /// - Parameter omitsEmpty: what there is nothing to tell of has no line.
    static func properties(
        _ pairs: [(name: String, value: VisibleText)], omitsEmpty: Bool = false
    ) -> String {
        let pairs = omitsEmpty ? pairs.filter { !$0.value.description.isEmpty } : pairs
        let width = pairs.map(\.name.count).max() ?? 0
        return pairs.map { name, value in
            name + String(repeating: " ", count: width - name.count + 2) + value.description + "\n"
        }.joined()
    }
}
