import Foundation

/// Where a webhook's secret is read from: a file or, as `-`, the first line of standard input.
///
/// Never an option with the secret in it: arguments are seen by every user of the machine.
enum SecretFile {
    /// Most that is read of a file, in bytes: it may be any file, and a secret is at most 94.
    static let bytes = 4_096

    static func read(_ path: String) throws -> String {
        if path == "-" { return try secret(in: readLine() ?? "", from: "standard input") }
        let name = VisibleText(path).description
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw Failure("cannot read the secret file \(name): \(String(cString: strerror(errno)))")
        }
        let data = try? handle.read(upToCount: bytes)
        return try secret(in: String(decoding: data ?? Data(), as: UTF8.self), from: name)
    }

    /// The secret that `text` is, white space around it allowed.
    ///
    /// Only its looks are checked here, and without repeating it: the server has the rule, but a private key or a
    /// password that was named by mistake must not be sent to it.
    static func secret(in text: String, from source: String) throws -> String {
        let secret = text.trimmingCharacters(in: .whitespacesAndNewlines)
        let characters = CharacterSet(charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
        let isLikely =
            secret.hasPrefix(prefix)
            && secret.dropFirst(prefix.count).unicodeScalars.allSatisfy(characters.contains)
        guard isLikely else {
            throw Failure("what \(source) holds is not a secret: a secret is whsec_ and the base64 of 24 to 64 bytes")
        }
        return secret
    }

    private static let prefix = "whsec_"
}
