import Testing
import TipwireCore
import TipwireTestSupport

@testable import TipwireHub

@Suite("Delivery in every order")
struct DeliveryPropertyTests {
    /// Does `steps` things at random, then lets everyone take everything.
    private func run(
        steps: Int, limits: Delivery.Limits, prunes: Bool, using seed: inout TestSeed
    ) -> DeliveryModel {
        var model = DeliveryModel(limits: limits)
        model.commit((0..<Int.random(in: 0...8, using: &seed)).map { _ in .random(in: 1...3, using: &seed) })
        model.offer(Int.random(in: 0...8, using: &seed), using: &seed)
        for _ in 0..<steps { step(&model, prunes: prunes, using: &seed) }
        var rounds = 0
        repeat {
            model.offer(.max / 2, using: &seed)
            for index in model.listeners.indices {
                model.setWritable(true, index)
                model.answerRead(index)
                model.endRead(index, using: &seed)
            }
            model.tick(seconds: 0)
            rounds += 1
        } while rounds < 1_000 && !model.isQuiet
        return model
    }

    private func step(_ model: inout DeliveryModel, prunes: Bool, using seed: inout TestSeed) {
        let someone = model.listeners.indices.randomElement(using: &seed)
        switch Int.random(in: 0..<100, using: &seed) {
        case 0..<20:
            model.commit((0...Int.random(in: 0...3, using: &seed)).map { _ in .random(in: 1...3, using: &seed) })
        case 20..<40: model.offer(.random(in: 1...4, using: &seed), using: &seed)
        case 40..<55:
            if let someone { model.setWritable(.random(using: &seed), someone) }
        case 55..<70:
            if let someone { model.answerRead(someone) }
        case 70..<85:
            if let someone { model.endRead(someone, using: &seed) }
        case 85..<88:
            if let someone { model.failRead(someone) }
        case 88..<92: model.tick(seconds: .random(in: 0...2, using: &seed))
        case 92..<94:
            if prunes { model.prune(through: .random(in: 0...model.head, using: &seed)) }
        default:
            guard model.listeners.count < 8 else { return }
            let pages: [Set<Int>] = [[1], [2], [1, 3], [1, 2, 3]]
            let positions: [String?] = [
                nil, "nonsense", "f-\(model.head)", "e-\(model.head + 1)", "e-0", "e-\(model.head)",
                "e-\(Int64.random(in: 0...model.head, using: &seed))",
                "e-\(Int64.random(in: 0...model.head, using: &seed))",
            ]
            model.connect(
                pages: pages.randomElement(using: &seed)!, position: positions.randomElement(using: &seed)!)
        }
    }

    @Test("Without limits every listener has the log from its start, each event once and in order")
    func complete() {
        let limits = Delivery.Limits(lagBytes: .max / 2, stallSeconds: .max)
        var seed = TestSeed()
        for round in 0..<150 {
            let model = run(steps: 250, limits: limits, prunes: false, using: &seed)
            for listener in model.listeners {
                guard let start = listener.start else {
                    Issue.record("the start was never judged; round \(round), \(seed)")
                    continue
                }
                let expected = model.view(of: listener.pages, after: start)
                #expect(listener.cut == nil, "round \(round), \(seed)")
                #expect(listener.received == expected, "after \(start), round \(round), \(seed)")
                #expect(listener.isLive, "round \(round), \(seed)")
            }
        }
    }

    @Test("With limits and retention every listener has all of the log from its start, or a beginning of it and is cut")
    func completeOrCut() {
        var seed = TestSeed()
        var cuts: Set<String> = []
        for round in 0..<300 {
            let limits = Delivery.Limits(
                lagBytes: .random(in: 20...400, using: &seed), stallSeconds: .random(in: 2...20, using: &seed))
            let model = run(steps: 250, limits: limits, prunes: true, using: &seed)
            for listener in model.listeners {
                if let cut = listener.cut { cuts.insert("\(cut)") }
                guard let start = listener.start else {
                    #expect(listener.cut != nil && listener.received.isEmpty, "round \(round), \(seed)")
                    continue
                }
                let expected = model.view(of: listener.pages, after: start)
                if listener.cut == nil {
                    #expect(listener.received == expected, "after \(start), round \(round), \(seed)")
                } else {
                    #expect(
                        expected.starts(with: listener.received), "after \(start), round \(round), \(seed)")
                    #expect(listener.delivery.state == .ended, "round \(round), \(seed)")
                }
            }
        }
        #expect(cuts == ["lagBytes", "stalled", "retention"], "the chances miss a way to be cut; \(seed)")
    }
}
