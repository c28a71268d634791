/// The shape of one log entry on standard error; either way it is one line.
public enum LogFormat: String, Sendable, CaseIterable {
    /// `2026-01-31T12:00:00.000Z info message key=value`, for people.
    case text
    /// One JSON object with `time`, `level`, `message`, `label` and the metadata, for collectors.
    case json
}
