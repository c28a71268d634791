import ArgumentParser
import Foundation
import Testing

@testable import tipwire

@Suite struct TextOutputTests {
    @Test("A reader that has gone is a quiet end, not a failure and not a signal")
    func brokenPipe() throws {
        let pipe = Pipe()
        try pipe.fileHandleForReading.close()
        let output = TextOutput(descriptor: pipe.fileHandleForWriting.fileDescriptor)
        #expect(throws: ExitCode.success) { try output.line("nobody reads this") }
    }

    @Test("All of a text arrives, even through a pipe that takes less at a time")
    func whole() async throws {
        let pipe = Pipe()
        let descriptor = pipe.fileHandleForWriting.fileDescriptor
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        let text = String(repeating: "0123456789", count: 100_000)
        async let read = pipe.fileHandleForReading.readToEnd()
        try TextOutput(descriptor: descriptor).write(text)
        try pipe.fileHandleForWriting.close()
        #expect(try await read == Data(text.utf8))
    }
}
