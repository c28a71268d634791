import Foundation
import GRDB
import Testing
import TipwireCore
import TipwireTestSupport

@testable import TipwireStore

/// The files as `kill -9` leaves them: copied from under a store that is open and was never closed.
@Suite struct SQLiteCrashTests {
    private static let suffixes = ["", "-wal", "-shm"]

    private func copy(_ path: String, to other: String) throws {
        for suffix in Self.suffixes where FileManager.default.fileExists(atPath: path + suffix) {
            try FileManager.default.copyItem(atPath: path + suffix, toPath: other + suffix)
        }
    }

    /// How far the write-ahead log is written. Behind that is room for more, which is all zeros.
    private func writtenBytes(_ path: String) throws -> UInt64 {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path + "-wal"))
        let last = try #require(bytes.lastIndex { $0 != 0 })
        // Behind a header of 32 bytes.
        let frames = (last - 32) / WriteAheadRoom.frameBytes + 1
        return UInt64(32 + frames * WriteAheadRoom.frameBytes)
    }

    @Test func `everything that was answered is there after a kill`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("live.db").path
            let store = try SQLiteStore.open(at: path)
            let scene = try await Scene(store)
            for round in 1...5 {
                try await scene.receive((0..<20).map { draft(id: "\(round)-\($0)") })
                let copied = folder.appendingPathComponent("killed-\(round).db").path
                try copy(path, to: copied)
                let reopened = try SQLiteStore.open(at: copied)
                #expect(try await reopened.bounds() == store.bounds())
                let slice = try await reopened.events(after: 0, pages: .all, limit: 1_000)
                #expect(slice.events.map(\.sequence) == Array(1...Int64(round * 20)))
                try await reopened.close()
            }
            try await store.close()
        }
    }

    @Test func `what was written after the log began anew survives a kill`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("live.db").path
            let store = try SQLiteStore.open(at: path)
            let scene = try await Scene(store)
            try await scene.receive((0..<50).map { _ in draft() })
            try await store.pool.writeWithoutTransaction { db in _ = try db.checkpoint(.restart) }
            try await scene.receive([draft()])
            let copied = folder.appendingPathComponent("killed.db").path
            try copy(path, to: copied)
            let reopened = try SQLiteStore.open(at: copied)
            #expect(try await reopened.bounds() == store.bounds())
            #expect(try await reopened.events(after: 0, pages: .all, limit: 100).events.count == 51)
            try await reopened.close()
            try await store.close()
        }
    }

    /// The end of the write-ahead log may be lost with the power if it wasn't synced, that is, not answered. What is
    /// left must be whole commits.
    @Test func `a torn end of the write-ahead log loses whole commits only`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("live.db").path
            let store = try SQLiteStore.open(at: path)
            let scene = try await Scene(store)
            var ends: [UInt64] = []
            for round in 0..<4 {
                try await scene.receive((0..<10).map { draft(id: "\(round)-\($0)") })
                ends.append(try writtenBytes(path))
            }
            var random = TestSeed(seed: 7)
            for attempt in 0..<20 {
                let cut = UInt64.random(in: ends[0]...ends[3], using: &random)
                let torn = folder.appendingPathComponent("torn-\(attempt).db").path
                try FileManager.default.copyItem(atPath: path, toPath: torn)
                try FileManager.default.copyItem(atPath: path + "-wal", toPath: torn + "-wal")
                let handle = try #require(FileHandle(forWritingAtPath: torn + "-wal"))
                try handle.truncate(atOffset: cut)
                try handle.close()

                let reopened = try SQLiteStore.open(at: torn)
                let kept = Int64(ends.filter { $0 <= cut }.count * 10)
                #expect(try await reopened.bounds().head == kept, "cut at \(cut) of \(ends)")
                let slice = try await reopened.events(after: 0, pages: .all, limit: 1_000)
                #expect(slice.events.count == Int(kept))
                #expect(try await reopened.tips(page: scene.page.id, before: nil, limit: 1_000).count == Int(kept))
                // It goes on from there.
                let commit = try await reopened.commit([scene.tip(draft(id: "next"))], at: .zero)
                #expect(commit.bounds.head == kept + 1)
                try await reopened.close()
            }
            try await store.close()
        }
    }
}
