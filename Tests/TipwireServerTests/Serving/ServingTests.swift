import Foundation
import Testing
import TipwireCore
import TipwireHub
import TipwireStore

@testable import TipwireServer

@Suite("Descriptors")
struct DescriptorLimitTests {
    @Test("Where all fits nothing is changed and nothing said")
    func fits() {
        let fitting = DescriptorLimit.fit(maxConnections: 1_000, maxAttempts: 1_000, descriptors: 100_000, loops: 2)
        #expect(
            fitting
                == .init(
                    maxSockets: 98_452, maxConnections: 1_000, maxAttempts: 1_000, descriptors: 2_756, warning: nil))
    }

    @Test("The setting is lowered to what fits beside the server's own, with one warning that names all three numbers")
    func lowered() throws {
        let fitting = DescriptorLimit.fit(maxConnections: 100_000, maxAttempts: 1_000, descriptors: 20_000, loops: 2)
        #expect(fitting.maxConnections == 20_000 - 256 - 625)
        #expect(fitting.descriptors == 20_000 && fitting.maxAttempts == 416)
        let warning = try #require(fitting.warning)
        for part in ["feed.maxConnections", "100000", "19119", "20000", "LimitNOFILE="] {
            #expect(warning.contains(part), "\(part)")
        }
        #expect(!warning.contains("\n"))
    }

    @Test(
        "However few there are, something is left for feeds and something for the server", arguments: [0, 1, 64, 256])
    func few(descriptors: Int) {
        let fitting = DescriptorLimit.fit(maxConnections: 100, maxAttempts: 1_000, descriptors: descriptors, loops: 8)
        #expect((1...100).contains(fitting.maxConnections))
        #expect((1...1_000).contains(fitting.maxAttempts))
        #expect(descriptors < 64 || fitting.maxConnections <= descriptors - 48)
    }

    @Test(
        "There are sockets for requests beside the feeds, and descriptors beside the sockets", arguments: [256, 20_000])
    func sockets(descriptors: Int) {
        for wanted in [10, 100_000] {
            let fitting = DescriptorLimit.fit(
                maxConnections: wanted, maxAttempts: 1_000, descriptors: descriptors, loops: 8)
            #expect(fitting.maxSockets > fitting.maxConnections)
            #expect(fitting.maxSockets + fitting.maxAttempts * 3 / 2 <= descriptors - 48)
        }
    }

    @Test("A machine with many processors needs descriptors for its event loops, beside as many sockets")
    func loops() {
        let few = DescriptorLimit.fit(maxConnections: 100_000, maxAttempts: 1_000, descriptors: 20_000, loops: 8)
        let many = DescriptorLimit.fit(maxConnections: 100_000, maxAttempts: 1_000, descriptors: 20_000, loops: 128)
        #expect(few.maxSockets - many.maxSockets == 960 && few.maxConnections - many.maxConnections == 960)
    }

    @Test("The boundary is exact")
    func boundary() {
        #expect(
            DescriptorLimit.fit(maxConnections: 9_594, maxAttempts: 100, descriptors: 10_000, loops: 2).warning == nil)
        #expect(
            DescriptorLimit.fit(maxConnections: 9_595, maxAttempts: 100, descriptors: 10_000, loops: 2).warning != nil)
    }
}

@Suite("The data folder")
struct DataFolderTests {
    private let temporary: TemporaryFolder

    init() throws { temporary = try TemporaryFolder() }

    private func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test("It is made if need be, for its owner alone")
    func made() throws {
        let folder = try DataFolder.open(temporary.path + "/a/b")
        #expect(try mode(folder.path) == 0o700)
        #expect(try mode(folder.path + "/tipwire.lock") == 0o600)
        #expect(folder.database == temporary.path + "/a/b/tipwire.db")
    }

    @Test("A second server is turned away in one line, and the folder stays the first one's")
    func lock() throws {
        let first = try DataFolder.open(temporary.path)
        for _ in 1...2 {
            let error = #expect(throws: StartupError.self) { try DataFolder.open(temporary.path) }
            #expect(error?.description.contains("in use by another tipwire") == true)
            #expect(error?.description.contains("\n") == false)
        }
        withExtendedLifetime(first) {}
    }

    @Test("Whoever asks a folder is told who serves from it, and where, for as long as somebody does")
    func holder() throws {
        #expect(DataFolder.holder(of: temporary.path) == nil)
        let folder = try DataFolder.open(temporary.path)
        #expect(DataFolder.holder(of: temporary.path) == FolderHolder())
        // Longer than what comes after it, which must not leave its end there.
        folder.tell(url: "http://" + String(repeating: "a", count: 200), host: "::", port: 8_080, metricsPort: 9_090)
        folder.tell(url: "http://127.0.0.1:80", host: "127.0.0.1", port: 80, metricsPort: nil)
        let holder = try #require(DataFolder.holder(of: temporary.path))
        #expect(holder == FolderHolder(process: getpid(), url: "http://127.0.0.1:80", host: "127.0.0.1", port: 80))
        #expect(holder.inParentheses == " (process \(getpid()), http://127.0.0.1:80)")
        let lock = temporary.path + "/tipwire.lock"
        for text in ["", "no JSON", "[1]", String(repeating: "x", count: 9_999)] {
            // Another version's, or half of one.
            let file = try #require(FileHandle(forWritingAtPath: lock))
            try file.truncate(atOffset: 0)
            try file.write(contentsOf: Data(text.utf8))
            try file.close()
            let unknown = try #require(DataFolder.holder(of: temporary.path))
            #expect(unknown == FolderHolder() && unknown.inParentheses == "")
        }
        folder.leave()
        #expect(try Data(contentsOf: URL(fileURLWithPath: lock)).isEmpty)
    }

    @Test("A folder that can't be made or written to is one line, with the reason")
    func unusable() throws {
        let file = temporary.path + "/file"
        #expect(FileManager.default.createFile(atPath: file, contents: nil))
        try FileManager.default.createDirectory(
            atPath: temporary.path + "/taken/tipwire.lock", withIntermediateDirectories: true)
        for (path, reason) in [(file + "/data", "not a directory"), (temporary.path + "/taken", "is a directory")] {
            let error = #expect(throws: StartupError.self) { try DataFolder.open(path) }
            let text = error?.description ?? ""
            #expect(text.contains(path) && text.contains(reason) && text.contains("--data"), "\(text)")
        }
    }

    @Test("A key file is the key and a newline, readable by its owner alone, and replaced whole")
    func keyFile() throws {
        let folder = try DataFolder.open(temporary.path)
        for _ in 1...2 {
            let key = APIKey.random()
            try folder.writeKey(key, to: folder.adminKeyFile)
            #expect(try String(contentsOfFile: folder.adminKeyFile, encoding: .utf8) == key.reveal() + "\n")
            #expect(try mode(folder.adminKeyFile) == 0o600)
            #expect(folder.readKey(folder.adminKeyFile)?.reveal() == key.reveal())
        }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["admin.key", "tipwire.lock"])
    }

    @Test("A key file takes the place of an open one with its narrow mode, and of a left-over")
    func replacing() throws {
        let folder = try DataFolder.open(temporary.path)
        #expect(
            FileManager.default.createFile(
                atPath: folder.adminKeyFile + ".new", contents: Data("half".utf8),
                attributes: [.posixPermissions: 0o644]))
        try folder.writeKey(APIKey.random(), to: folder.adminKeyFile)
        #expect(try mode(folder.adminKeyFile) == 0o600)
    }

    @Test("What is no key is not read as one", arguments: ["", "tw_short\n", "not a key\n"])
    func badKeyFile(text: String) throws {
        let folder = try DataFolder.open(temporary.path)
        #expect(folder.readKey(folder.adminKeyFile) == nil)
        try text.write(toFile: folder.adminKeyFile, atomically: true, encoding: .utf8)
        #expect(folder.readKey(folder.adminKeyFile) == nil)
    }
}

@Suite("What a first start makes")
struct SetupTests {
    private let world: World
    private let folder: DataFolder
    private let position: LogPosition

    init() async throws {
        world = try await World()
        position = LogPosition(try await world.store.bounds())
        folder = try DataFolder.open(world.folder.path)
    }

    private var setup: Setup {
        Setup(
            directory: world.directory, store: world.store, position: position, folder: folder,
            clock: world.clock.wall, logger: World.quiet)
    }

    private func record(_ file: String) throws -> KeyRecord? {
        let key = try #require(folder.readKey(file))
        return world.directory.view.keys { $0.hash.matches(key.hash) }.first
    }

    @Test("The administrator and a key with the scope admin, once")
    func administrator() async throws {
        let first = try await setup.administrator()
        #expect(first.isFirstStart && first.account.name.text == "admin")
        #expect(try record(folder.adminKeyFile)?.scopes == [.admin])
        let key = folder.readKey(folder.adminKeyFile)?.reveal()
        let second = try await setup.administrator()
        #expect(!second.isFirstStart && second.account == first.account)
        #expect(folder.readKey(folder.adminKeyFile)?.reveal() == key)
    }

    @Test("A lost key file is replaced by a new key")
    func lostFile() async throws {
        _ = try await setup.administrator()
        try FileManager.default.removeItem(atPath: folder.adminKeyFile)
        #expect(try await !setup.administrator().isFirstStart)
        #expect(try record(folder.adminKeyFile)?.scopes == [.admin])
    }

    @Test("The demo's key is limited to the demo's page and used again while it is good")
    func demo() async throws {
        let first = try await setup.demo(owner: world.ada.id)
        let record = try #require(try record(folder.demoKeyFile))
        let page = try #require(world.directory.look { $0.page(slug: Slug("demo")!) })
        #expect(record.pages == [page.id] && !record.scopes.contains(.admin))
        #expect(try await setup.demo(owner: world.ada.id).reveal() == first.reveal())
        _ = try await world.directory.revokeKey(record.id)
        #expect(try await setup.demo(owner: world.ada.id).reveal() != first.reveal())
    }
}

@Suite("What standard output says")
struct AnnouncementTests {
    @Test("The address and the link have a line each, the address first in its words")
    func lines() {
        #expect(
            Announcement.listening(on: "http://127.0.0.1:8080") == "Tipwire is listening on http://127.0.0.1:8080\n")
        let link = Announcement.link("http://127.0.0.1:8080/login?code=abc")
        #expect(link.hasSuffix(": http://127.0.0.1:8080/login?code=abc\n"))
        #expect(link.filter { $0 == "\n" }.count == 1)
    }

    @Test("The demo's commands call the program as it was called, with the key and the address, ready to paste")
    func demo() {
        let key = APIKey.random()
        let text = Announcement.demo(key: key, url: "http://h:1", program: "./bin/tipwire")
        let commands = text.split(separator: "\n").map { $0.drop { $0 == " " } }
        let options = "--server http://h:1 --key \(key.reveal())"
        #expect(commands.contains { $0.contains("./bin/tipwire listen --page demo \(options)") })
        #expect(commands.contains { $0.contains("./bin/tipwire tip demo ") && $0.hasSuffix(options) })
        let curl = commands.first { $0.contains("curl ") }
        #expect(curl?.contains("http://h:1/api/v1/pages/demo/tips") == true)
        #expect(curl?.contains("Authorization: Bearer \(key.reveal())") == true)
        #expect(curl?.contains("grossAmountInCents") == true, "one line, or pasting breaks it")
        #expect(text.hasSuffix("\n"))
    }
}

@Suite("The public address")
struct PublicURLTests {
    @Test("The setting wins over the bound address")
    func settle() {
        let set = PublicURL(setting: "https://tips.example")
        set.settle(on: "http://127.0.0.1:1")
        #expect(set.current == "https://tips.example")
        let bound = PublicURL(setting: nil)
        bound.settle(on: "http://127.0.0.1:1")
        #expect(bound.current == "http://127.0.0.1:1")
    }
}
