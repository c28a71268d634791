import Foundation
import TipwireCore

/// The key that a command shows the server, and where it was found: when it is refused, the second is what helps.
struct PresentedKey: Sendable {
    enum Source: Hashable, Sendable, CustomStringConvertible {
        case option
        case environment
        case file(String)

        var description: String {
            switch self {
            case .option: "--key"
            case .environment: "TIPWIRE_KEY"
            case .file(let path): VisibleText(path).description
            }
        }
    }

    let key: APIKey
    let source: Source

    /// The first of `--key` or `--key-file`, `TIPWIRE_KEY` or `TIPWIRE_KEY_FILE`, and the file `admin.key` in the data folder
    /// that is there. The files are for keys that other users of the machine mustn't see among a program's arguments.
    ///
    /// An empty variable counts as absent. A key that can't be one is refused here: it goes into a header and an
    /// address, and a line break or a path pasted by mistake deserves a better answer than 401.
    static func find(option: String?, file: String? = nil, environment: [String: String]) throws -> PresentedKey {
        if let option { return try PresentedKey(text: option, source: .option) }
        if let file { return try PresentedKey(file: file) }
        let environment = environment.filter { !$0.value.isEmpty }
        switch (environment["TIPWIRE_KEY"], environment["TIPWIRE_KEY_FILE"]) {
        case (.some, .some): throw Failure("TIPWIRE_KEY and TIPWIRE_KEY_FILE are both set; one of them is enough")
        case (let key?, nil): return try PresentedKey(text: key, source: .environment)
        case (nil, let file?): return try PresentedKey(file: file)
        case (nil, nil): break
        }
        let folder = environment["TIPWIRE_DATA"] ?? "./tipwire-data"
        let path = folder + (folder.hasSuffix("/") ? "" : "/") + "admin.key"
        guard access(path, F_OK) == 0 || errno == EACCES else {
            throw Failure(
                """
                no key found: give one with --key-file, or in TIPWIRE_KEY, or run this where the server's key file is
                (\(VisibleText(path)) was looked for; TIPWIRE_DATA names another folder)
                """)
        }
        return try PresentedKey(file: path)
    }

    private init(file path: String) throws {
        try self.init(text: Self.contents(of: path), source: .file(path))
    }

    private init(text: String, source: Source) throws {
        let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard let key = APIKey(trimmed) else {
            throw Failure("what \(source) holds is not a key: a key is tw_ and 64 of the characters 0-9 and a-f")
        }
        self.key = key
        self.source = source
    }

    private static func contents(of path: String) throws -> String {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw Failure(
                "cannot read the key file \(VisibleText(path)): \(String(cString: strerror(errno))). "
                    + "Give a key with --key-file or in TIPWIRE_KEY")
        }
        // Bounded, since TIPWIRE_DATA may point anywhere; a key is 67 bytes.
        let data = try? handle.read(upToCount: 4_096)
        return String(decoding: data ?? Data(), as: UTF8.self)
    }
}
