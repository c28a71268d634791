import Testing

@testable import TipwireServer

@Suite("Event loops")
struct EventLoopCountTests {
    @Test(
        "The processors that a process may run on are counted in the mask that Linux tells",
        arguments: [
            ("Cpus_allowed:\t1\n", 1), ("Name:\ttipwire\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\n", 4),
            ("Cpus_allowed:\tff,ffffffff,00000001\n", 41),
        ])
    func allowed(status: String, count: Int) {
        #expect(EventLoopCount.allowedProcessors(status) == count)
    }

    @Test(
        "Where Linux doesn't tell, nothing is known",
        arguments: ["", "Cpus_allowed_list:\t0-3\n", "Cpus_allowed:\t0\n"])
    func unknown(status: String) {
        #expect(EventLoopCount.allowedProcessors(status) == nil)
    }
}
