import Foundation

/// Who serves from a data folder, as the server itself wrote it into the lock's file: a lock doesn't say whose it is.
struct FolderHolder: Codable, Equatable {
    // Nothing is known of one that starts, or restores.
    var process: Int32?
    var url: String?
    var host: String?
    var port: Int?
    var metricsPort: Int?

    /// For the end of a sentence's subject: ` (process 4711, http://127.0.0.1:8080)`, or nothing.
    var inParentheses: String {
        let known = [process.map { "process \($0)" }, url].compactMap { $0 }
        return known.isEmpty ? "" : " (\(known.joined(separator: ", ")))"
    }

    /// Most bytes that are read of what should be a holder.
    private static let size = 4_096

    /// What stands in a file; a holder of whom nothing is known if that is none.
    static func read(_ descriptor: Int32) -> FolderHolder {
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { room, count in
            count = max(0, pread(descriptor, room.baseAddress, size, 0))
        }
        return (try? JSONDecoder().decode(FolderHolder.self, from: Data(bytes))) ?? FolderHolder()
    }

    /// Puts it in the place of what stands in a file. Of no consequence if that fails: less is known then.
    func write(_ descriptor: Int32) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let text = try? encoder.encode(self) else { return }
        ftruncate(descriptor, 0)
        text.withUnsafeBytes { _ = pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    }
}
