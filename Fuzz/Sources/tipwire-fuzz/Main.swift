import Foundation
import NIOCore

/// `tipwire-fuzz TARGET [libFuzzer's arguments]`: one program for all targets, because each would be built with the whole
/// of NIO again.
@main
enum Main {
    /// What bytes are given to. A target returns; whatever it finds wrong is a trap.
    private static let targets: [String: @Sendable (ByteBuffer) -> Void] = [
        "frame": FrameTarget.run, "head": HeadTarget.run, "tip": TipTarget.run, "cursor": CursorTarget.run,
        "query": QueryTarget.run,
    ]

    nonisolated(unsafe) private static var target: (@Sendable (ByteBuffer) -> Void)?

    static func main() {
        var arguments = CommandLine.arguments
        guard arguments.count > 1, let target = targets[arguments[1]] else {
            print("usage: tipwire-fuzz \(targets.keys.sorted().joined(separator: "|")) [libFuzzer's arguments]")
            exit(64)
        }
        Self.target = target
        arguments.remove(at: 1)
        var count = Int32(arguments.count)
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        pointers.withUnsafeMutableBufferPointer { buffer in
            var list = buffer.baseAddress
            exit(runDriver(&count, &list) { bytes, length in Main.take(bytes, length) })
        }
    }

    private static func take(_ bytes: UnsafePointer<UInt8>?, _ length: Int) -> Int32 {
        target?(ByteBuffer(bytes: UnsafeBufferPointer(start: bytes, count: length)))
        return 0
    }
}

/// libFuzzer as a library. It calls back with each input, and returns an exit status.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32
