/// Whether the fan-out sends through io_uring. Words that no YAML reader takes for yes and no.
public enum RingUse: String, Sendable, CaseIterable {
    /// Where the kernel has it and lets us; many containers don't.
    case auto
    /// A server that can't doesn't start.
    case always
    case never
}
