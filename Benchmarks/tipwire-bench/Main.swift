import ArgumentParser

/// Measures Tipwire from outside, beside peers that do the same work. `Benchmarks/README.md` says how to read it.
@main struct TipwireBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tipwire-bench",
        abstract: "Measures a Tipwire server from outside, in turns with the peers that it is compared with.",
        subcommands: [RunCommand.self, FloorServerCommand.self], defaultSubcommand: RunCommand.self)
}
