import Testing

@testable import tipwire

@Suite struct ProgressBarTests {
    private static func blocks(_ progress: Int, _ amount: Int) -> String {
        ProgressBar(progress: progress, amount: amount).drawn(.blocks).description
    }

    @Test(
        "A bar has twenty columns of eight steps each",
        arguments: [
            (0, 160, "░░░░░░░░░░░░░░░░░░░░"), (1, 160, "▏░░░░░░░░░░░░░░░░░░░"), (7, 160, "▉░░░░░░░░░░░░░░░░░░░"),
            (8, 160, "█░░░░░░░░░░░░░░░░░░░"), (52, 160, "██████▌░░░░░░░░░░░░░"), (80, 160, "██████████░░░░░░░░░░"),
            (159, 160, "███████████████████▉"), (160, 160, "████████████████████"),
        ])
    func drawn(_ progress: Int, _ amount: Int, _ bar: String) {
        #expect(Self.blocks(progress, amount) == bar)
    }

    @Test(
        "It is empty only at nothing and full only when nothing is missing, however large the amounts",
        arguments: [1, 2, 3, 7, 100, 5_000, 10_000_000_000, Int.max])
    func ends(_ amount: Int) {
        let empty = String(repeating: "░", count: ProgressBar.width)
        let full = String(repeating: "█", count: ProgressBar.width)
        #expect(Self.blocks(0, amount) == empty)
        #expect(Self.blocks(amount, amount) == full)
        #expect(ProgressBar(progress: 0, amount: amount).percent.description == "0%")
        #expect(ProgressBar(progress: amount, amount: amount).percent.description == "100%")
        for progress in [1, amount / 3, amount - 1] where progress > 0 && progress < amount {
            let bar = ProgressBar(progress: progress, amount: amount)
            #expect(Self.blocks(progress, amount) != empty && Self.blocks(progress, amount) != full)
            #expect(bar.drawn(.ascii).description.contains("#-") || amount < 20)
            #expect(bar.percent.description != "0%" && bar.percent.description != "100%")
        }
    }

    @Test("Every step of a small amount is as wide as every other, and more is never drawn shorter")
    func monotonic() {
        var last = -1
        for progress in 0...1_000 {
            let bar = ProgressBar(progress: progress, amount: 1_000)
            #expect(bar.drawn(.blocks).columns == ProgressBar.width)
            #expect(bar.drawn(.ascii).columns == ProgressBar.width + 2)
            let steps = bar.drawn(.blocks).description.reduce(0) { sum, block in
                sum + (Array("░▏▎▍▌▋▊▉█").firstIndex(of: block) ?? 0)
            }
            #expect(steps >= last)
            last = steps
        }
    }

    @Test(
        "Without Unicode it is drawn in ASCII, exact at its ends too",
        arguments: [
            (0, "[--------------------]"), (1, "[#-------------------]"), (500, "[##########----------]"),
            (999, "[###################-]"), (1_000, "[####################]"),
        ])
    func ascii(_ progress: Int, _ bar: String) {
        #expect(ProgressBar(progress: progress, amount: 1_000).drawn(.ascii).description == bar)
    }

    @Test(
        "Percentages are rounded down, and little is not nothing",
        arguments: [(0, "0%"), (1, "<1%"), (9, "<1%"), (10, "1%"), (329, "32%"), (999, "99%"), (1_000, "100%")])
    func percent(_ progress: Int, _ text: String) {
        #expect(ProgressBar(progress: progress, amount: 1_000).percent.description == text)
    }

    @Test("What no server should send is drawn all the same", arguments: [(-5, 10), (15, 10), (0, 0), (5, -5)])
    func nonsense(_ progress: Int, _ amount: Int) {
        #expect(ProgressBar(progress: progress, amount: amount).drawn(.blocks).columns == ProgressBar.width)
    }

    @Test(
        "The locale that counts decides, and none is taken for UTF-8",
        arguments: [
            ([:], .blocks), (["LANG": "de_DE.UTF-8"], .blocks), (["LANG": "C.utf8"], .blocks),
            (["LANG": "C"], .ascii), (["LANG": "en_US.ISO-8859-1"], .ascii),
            (["LANG": "C", "LC_ALL": "C.UTF-8"], .blocks), (["LANG": "C.UTF-8", "LC_CTYPE": "POSIX"], .ascii),
            (["LANG": "C.UTF-8", "LC_CTYPE": "", "LC_ALL": ""], .blocks),
        ] as [([String: String], ProgressBar.Style)])
    func locale(_ environment: [String: String], _ style: ProgressBar.Style) {
        #expect(ProgressBar.Style.fitting(environment: environment) == style)
    }
}
