import Crypto
import CryptoExtras
import Foundation
import NIOPosix
import TipwireCore

/// Hashes passwords with scrypt, off every event loop: one hash takes tens of milliseconds and 32 MiB on purpose.
struct Passwords: Sendable {
    /// Cost: 2^15 rounds of blocks of 8, the interactive setting of the algorithm's author, doubled.
    private static let rounds = 32_768
    private static let blockSize = 8
    private static let hashBytes = 32

    /// A hash that no password has: what an unknown account is compared with, at the full cost.
    static let nobodys = "scrypt$\(rounds)$\(blockSize)$00$" + String(repeating: "0", count: 2 * hashBytes)

    /// What is wrong with a new password, or nil.
    static func problem(with password: String) -> String? {
        let count = password.unicodeScalars.count
        return Limits.passwordScalars.contains(count)
            ? nil
            : "must be \(Limits.passwordScalars.lowerBound) to \(Limits.passwordScalars.upperBound) characters long"
    }

    /// `scrypt$<rounds>$<block size>$<salt>$<hash>`, salt and hash as hex.
    func hash(_ password: String) async throws -> String {
        let salt = SecretHash.randomHex(bytes: 16)
        let hash = try await derive(password, salt: salt, rounds: Self.rounds, blockSize: Self.blockSize)
        return "scrypt$\(Self.rounds)$\(Self.blockSize)$\(salt)$\(hash)"
    }

    /// Whether `password` is the one that `stored` was made from.
    func matches(_ password: String, stored: String) async throws -> Bool {
        let parts = stored.split(separator: "$").map(String.init)
        guard parts.count == 5, parts[0] == "scrypt", let rounds = Int(parts[1]), let blockSize = Int(parts[2])
        else { return false }
        let hash = try await derive(password, salt: parts[3], rounds: rounds, blockSize: blockSize)
        return SecretHash(bytes: Array(hash.utf8)).matches(SecretHash(bytes: Array(parts[4].utf8)))
    }

    private func derive(_ password: String, salt: String, rounds: Int, blockSize: Int) async throws -> String {
        try await NIOThreadPool.singleton.runIfActive {
            let key = try KDF.Scrypt.deriveKey(
                from: Data(password.utf8), salt: Data(salt.utf8), outputByteCount: Self.hashBytes, rounds: rounds,
                blockSize: blockSize, parallelism: 1, maxMemory: 128 * rounds * blockSize * 2)
            return key.withUnsafeBytes { bytes in
                SecretHash.hex(bytes)
            }
        }
    }
}
