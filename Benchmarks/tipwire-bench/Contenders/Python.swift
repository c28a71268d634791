import Foundation

/// The Python that the peers from PyPI run on.
struct Python {
    let program: String

    /// Why a module can't be used, nil if it can.
    func obstacle(importing module: String, advice: String) -> String? {
        let check = Process()
        check.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        check.arguments = [program, "-c", "import \(module)"]
        check.standardError = FileHandle.nullDevice
        guard (try? check.run()) != nil else { return "no \(program)" }
        check.waitUntilExit()
        return check.terminationStatus == 0 ? nil : "not installed for \(program) (\(advice))"
    }

    /// The version of a package, for the report.
    func version(of package: String) -> String? {
        let check = Process()
        let output = Pipe()
        check.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        check.arguments = [
            program, "-c", "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))", package,
        ]
        check.standardOutput = output
        check.standardError = FileHandle.nullDevice
        guard (try? check.run()) != nil else { return nil }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        check.waitUntilExit()
        return check.terminationStatus == 0 ? text.trimmingCharacters(in: .whitespacesAndNewlines) : nil
    }
}
