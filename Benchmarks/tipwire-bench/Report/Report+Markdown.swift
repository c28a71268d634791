import Foundation

/// The report as a document: what `Benchmarks/RESULTS.md` holds.
extension Report {
    func writeMarkdown(to path: String) throws {
        var lines = [
            "# Results", "",
            "Written by `make bench`; [README.md](README.md) says what is measured and how to read it.", "",
        ]
        lines += facts.map { "- \($0.name): \($0.value)" }
        if !aims.isEmpty {
            lines += ["", "## Bars", "", "| | bar | measured |", "| --- | --- | --- |"]
            lines += aims.map { "| \($0.what) | \($0.limit) | \($0.measured)\($0.isMet ? "" : " (missed)") |" }
        }
        lines += ["", "## Figures", "", "Medians, and in brackets the least and the greatest of the rounds."]
        for table in tables {
            lines += ["", Self.row(table[0]), Self.row(table[0].indices.map { $0 == 0 ? "---" : "---:" })]
            lines += table.dropFirst().map(Self.row)
        }
        lines += [""] + remarks.flatMap { [$0, ""] }
        try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
    }

    private static func row(_ cells: [String]) -> String {
        "| " + cells.map { $0.split(separator: " ").joined(separator: " ") }.joined(separator: " | ") + " |"
    }
}
