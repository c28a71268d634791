import Foundation
import NIOCore
import Synchronization

/// Where a backup goes: a file that has its name only when it is complete, or standard output.
///
/// Written by one task, after itself; the lock is for the compiler.
final class BackupTarget: Sendable {
    private let path: String?
    private let replaces: Bool
    private let descriptor: Int32
    private let written = Mutex(0)

    static var standardOutput: BackupTarget { BackupTarget() }

    private init() {
        (path, replaces, descriptor) = (nil, false, STDOUT_FILENO)
    }

    init(path: String, replaces: Bool) throws {
        self.path = path
        self.replaces = replaces
        // Looked at before anything is sent, and again at the end.
        if !replaces, FileManager.default.fileExists(atPath: path) { throw Self.exists(path) }
        // What a killed run has left.
        unlink(Self.partial(path))
        descriptor = open(Self.partial(path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure(path) }
    }

    var bytes: Int { written.withLock { $0 } }

    func write(_ bytes: ByteBuffer) throws {
        var rest = bytes.readableBytesView[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Self.failure(path ?? "standard output") }
            rest = rest.dropFirst(count)
        }
        written.withLock { $0 += bytes.readableBytes }
    }

    /// Syncs the file and gives it its name.
    func finish() throws {
        guard let path else { return }
        guard fsync(descriptor) == 0 else { throw Self.failure(path) }
        if !replaces {
            // A second name can't take the place of a file that came meanwhile, as a rename would.
            if link(Self.partial(path), path) == 0 {
                unlink(Self.partial(path))
                close(descriptor)
                return
            }
            if errno == EEXIST { throw Self.exists(path) }
            // A file system without such names.
        }
        guard rename(Self.partial(path), path) == 0 else { throw Self.failure(path) }
        close(descriptor)
    }

    /// Leaves nothing behind.
    func discard() {
        guard let path else { return }
        close(descriptor)
        unlink(Self.partial(path))
    }

    private static func partial(_ path: String) -> String { path + ".partial" }

    private static func exists(_ path: String) -> Failure {
        Failure("\(VisibleText(path)) exists; name another file, or replace it with --force")
    }

    private static func failure(_ path: String) -> Failure {
        Failure("can't write \(VisibleText(path)): \(String(cString: strerror(errno)).lowercased())")
    }
}
