import Foundation

/// The file that this process was started from.
enum OwnProgram {
    static func path() throws -> String { try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") }

    /// Another program of the same build.
    static func sibling(_ name: String) throws -> String {
        URL(fileURLWithPath: try path()).deletingLastPathComponent().appendingPathComponent(name).path
    }
}
