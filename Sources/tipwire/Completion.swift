import ArgumentParser

/// `tipwire completion SHELL`: the script that makes a shell complete this program's words.
struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion",
        abstract: "Print the script that makes a shell complete commands, options and settings.",
        discussion: """
            bash: mkdir -p ~/.local/share/bash-completion/completions
                  tipwire completion bash > ~/.local/share/bash-completion/completions/tipwire
            zsh:  tipwire completion zsh | sudo tee /usr/local/share/zsh/site-functions/_tipwire > /dev/null
            fish: mkdir -p ~/.config/fish/completions
                  tipwire completion fish > ~/.config/fish/completions/tipwire.fish
            The Debian package brings all three.
            """)

    @Argument(help: "bash, zsh or fish.")
    var shell: Shell

    enum Shell: String, CaseIterable, ExpressibleByArgument { case bash, zsh, fish }

    func run() throws {
        try TextOutput.answers.write(CompletionScript(shell).text)
    }
}
