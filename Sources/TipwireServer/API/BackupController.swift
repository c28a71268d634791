import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TipwireCore
import TipwireHub
import TipwireStore

/// The database as a file, while the server runs.
///
/// A copy is made in the data folder, unlinked as soon as it is open, and sent from there: however slowly a caller reads,
/// the store isn't held by it, and nothing is left behind by whatever ends this process.
struct BackupController: Sendable {
    /// Bytes of one write to the caller.
    private static let pieceBytes = 256 * 1024
    /// Bytes that must stay free beside the copy, so that tips go on being stored while it is made.
    private static let reserveBytes = 64 * 1024 * 1024

    private static let headers: HTTPFields = [.contentType: "application/vnd.sqlite3", .cacheControl: "no-store"]

    let store: any BackupStore
    let dataFolder: String
    let clock: WallClock
    let logger: Logger
    /// One copy at a time, so that callers can't fill the disk.
    private let isTaken = Taken()

    init(store: any BackupStore, dataFolder: String, clock: WallClock, logger: Logger) {
        self.store = store
        self.dataFolder = dataFolder
        self.clock = clock
        self.logger = logger
    }

    func addRoutes(to router: APIRouter) {
        router.on(.get, "/api/v1/backup", scope: .admin) { call in
            // How long it will be is known when it is made, and for a head nothing is.
            call.request.method == .head ? Response(status: .ok, headers: Self.headers) : try await backup()
        }
    }

    /// For a store that is no file. Whoever runs a database server has better means than a copy over HTTP.
    static func addRefusal(to router: APIRouter) {
        router.on(.get, "/api/v1/backup", scope: .admin) { _ in
            throw Problem(
                .notImplemented, "This server keeps everything in PostgreSQL: back that up, for example with pg_dump.")
        }
    }

    private func backup() async throws -> Response {
        guard let place = isTaken.take() else {
            throw Problem(
                .conflict, "Another backup is being made or sent; try again when it is done.",
                headers: [.retryAfter: "10"])
        }
        let needed = Int(try await store.backupBytes()) + Self.reserveBytes
        if let free = ProcessReading.freeBytes(at: dataFolder), free < needed {
            throw Problem(
                .insufficientStorage,
                "A backup needs \(needed / 1024 / 1024) MiB free in the server's data folder, where the copy is made; "
                    + "make room first.")
        }
        // Not a name that anybody would give to a backup.
        let path = "\(dataFolder)/.tipwire-backup-being-made"
        for leftover in [path, path + "-journal", path + "-wal", path + "-shm"] { unlink(leftover) }
        // Gone as a name whatever happens; what is open stays.
        defer { unlink(path) }
        try await store.backUp(to: path)
        let copy = try Copy(of: path, holding: place)
        logger.info("a backup is sent", metadata: ["bytes": "\(copy.bytes)"])
        let name = "tipwire-\(clock.now().description.prefix(10)).db"
        return Response(
            status: .ok,
            headers: Self.headers + [
                .contentLength: "\(copy.bytes)", .contentDisposition: "attachment; filename=\"\(name)\"",
            ],
            body: ResponseBody(contentLength: copy.bytes) { writer in
                var offset = 0
                while offset < copy.bytes {
                    let piece = try await copy.read(at: offset, bytes: min(Self.pieceBytes, copy.bytes - offset))
                    offset += piece.readableBytes
                    try await writer.write(piece)
                }
                try await writer.finish(nil)
            })
    }
}

/// Whether a copy exists.
private final class Taken: Sendable {
    private let isTaken = Atomic<Bool>(false)

    func take() -> Place? {
        isTaken.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
            ? Place(self) : nil
    }

    /// Gives the place back when it is let go, also by an answer that nobody came to send.
    final class Place: Sendable {
        private let owner: Taken

        fileprivate init(_ owner: Taken) { self.owner = owner }

        deinit { owner.isTaken.store(false, ordering: .releasing) }
    }
}

/// A copy of the database that has no name any more.
private final class Copy: Sendable {
    let bytes: Int
    private let descriptor: Int32
    private let place: Taken.Place

    init(of path: String, holding place: Taken.Place) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw StoreFailing("the copy can't be opened: \(String(cString: strerror(errno)))")
        }
        let end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else {
            close(descriptor)
            throw StoreFailing("the copy can't be read: \(String(cString: strerror(errno)))")
        }
        self.descriptor = descriptor
        self.place = place
        bytes = Int(end)
    }

    deinit { close(descriptor) }

    /// Reading a disk blocks, so it isn't done on Swift's threads.
    func read(at offset: Int, bytes: Int) async throws -> ByteBuffer {
        try await NIOThreadPool.singleton.runIfActive { [self] in
            var buffer = ByteBuffer()
            _ = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: bytes) { space in
                let count = pread(descriptor, space.baseAddress, bytes, off_t(offset))
                guard count > 0 else { throw StoreFailing("the copy can't be read to its end") }
                return count
            }
            return buffer
        }
    }
}

extension HTTPField.Name {
    fileprivate static let contentDisposition = Self("Content-Disposition")!
}
