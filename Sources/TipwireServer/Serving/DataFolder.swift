import Foundation
import TipwireCore

/// The folder that holds everything durable, used by one server at a time.
struct DataFolder {
    let path: String
    /// Held open, and so locked, for the life of the process.
    private let lock: Int32

    var database: String { "\(path)/tipwire.db" }
    var adminKeyFile: String { "\(path)/admin.key" }
    var demoKeyFile: String { "\(path)/demo.key" }

    /// Makes the folder if need be, and locks it against another server.
    static func open(_ path: String) throws(StartupError) -> DataFolder {
        try requireFolder(path)
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            let reason = (error as? CocoaError)?.underlying.flatMap { $0 as? POSIXError }?.code.rawValue
            throw StartupError(
                "can't make the data folder \(path): \(SystemReason.text(reason ?? errno)); choose another with --data")
        }
        let lock = Glibc.open("\(path)/tipwire.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else {
            throw StartupError(
                "can't write to the data folder \(path): \(SystemReason.text()); choose another with --data")
        }
        do {
            try take(lock, of: path)
        } catch {
            close(lock)
            throw error
        }
        // What a server that was killed has left there.
        ftruncate(lock, 0)
        let folder = DataFolder(path: path, lock: lock)
        folder.giveToOwner("\(path)/tipwire.lock")
        return folder
    }

    private static func take(_ lock: Int32, of path: String) throws(StartupError) {
        // Who asks for the holder has the lock for a moment, if there is none.
        var attempts = 0
        while flock(lock, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else {
                throw StartupError(
                    "can't lock the data folder \(path): \(SystemReason.text()); choose another with --data")
            }
            attempts += 1
            guard attempts < 10 else {
                throw StartupError(
                    "the data folder \(path) is in use by another tipwire\(FolderHolder.read(lock).inParentheses); "
                        + "stop it, or choose another folder with --data")
            }
            usleep(10_000)
        }
    }

    /// What is there must be a folder; nothing may be there.
    static func requireFolder(_ path: String) throws(StartupError) {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue else { return }
        throw StartupError("the data folder \(path) is a file; choose another with --data")
    }

    /// Makes what root has written here the folder's owner's, who has to go on with it.
    func giveToOwner(_ file: String) {
        guard geteuid() == 0, let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            let owner = attributes[.ownerAccountID] as? NSNumber,
            let group = attributes[.groupOwnerAccountID] as? NSNumber
        else { return }
        let descriptor = Glibc.open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        // Of no consequence on a file system that has no owners.
        _ = fchown(descriptor, owner.uint32Value, group.uint32Value)
    }

    /// Tells whoever asks the folder which server this is, until `leave`.
    func tell(url: String, host: String, port: Int, metricsPort: Int?) {
        FolderHolder(process: getpid(), url: url, host: host, port: port, metricsPort: metricsPort).write(lock)
    }

    func leave() { ftruncate(lock, 0) }

    /// Who serves from the folder at `path`; nil if nobody does.
    static func holder(of path: String) -> FolderHolder? {
        let lock = Glibc.open("\(path)/tipwire.lock", O_RDONLY | O_CLOEXEC)
        guard lock >= 0 else { return nil }
        // Closing gives a lock back that was had for the asking. One that others may have too, who ask the same.
        defer { Glibc.close(lock) }
        guard flock(lock, LOCK_SH | LOCK_NB) != 0, errno == EWOULDBLOCK else { return nil }
        return FolderHolder.read(lock)
    }

    /// The key in a file, nil if there is none that is a key.
    func readKey(_ file: String) -> APIKey? {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return nil }
        return APIKey(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    /// Writes a key and a newline, readable by the owner alone, complete or not at all.
    func writeKey(_ key: APIKey, to file: String) throws(StartupError) {
        let temporary = "\(file).new"
        unlink(temporary)
        let descriptor = Glibc.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StartupError("can't write \(file): \(SystemReason.text())") }
        let bytes = Array((key.reveal() + "\n").utf8)
        let isWritten = write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, rename(temporary, file) == 0 else {
            throw StartupError("can't write \(file): \(SystemReason.text())")
        }
    }
}
