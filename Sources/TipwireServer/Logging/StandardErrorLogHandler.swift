import Foundation
import Logging

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Writes each log entry to standard error as one line, in one `write(2)`, with secrets taken out.
///
/// Standard output belongs to the 'listening' line and what `--demo` prints, so nothing is ever logged there.
public struct StandardErrorLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let format: LogFormat
    private let descriptor: Int32

    /// The handler for a `LoggingSystem.bootstrap` that the program calls, once.
    ///
    /// - Parameter descriptor: where lines go; other than standard error only in tests.
    public init(
        label: String, level: Logger.Level, format: LogFormat,
        metadataProvider: Logger.MetadataProvider? = nil, descriptor: Int32 = STDERR_FILENO
    ) {
        self.label = label
        self.logLevel = level
        self.format = format
        self.metadataProvider = metadataProvider
        self.descriptor = descriptor
    }

    /// A logger of its own, whatever the global logging system does.
    public static func makeLogger(
        label: String, level: Logger.Level = .info, format: LogFormat = .text, descriptor: Int32 = STDERR_FILENO
    ) -> Logger {
        Logger(label: label) { label in
            StandardErrorLogHandler(label: label, level: level, format: format, descriptor: descriptor)
        }
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes the entry. The entry's own metadata wins over the provider's, the provider's over the logger's.
    public func log(event: LogEvent) {
        var merged = metadata
        if let provided = metadataProvider?.get() { merged.merge(provided) { $1 } }
        if let own = event.metadata { merged.merge(own) { $1 } }
        if let error = event.error { merged["error"] = .string(String(describing: error)) }
        let line = LogLine(
            time: Date(), level: event.level, label: label, message: event.message.description, metadata: merged)
        write(line.formatted(as: format))
    }

    /// One call, so that lines of several threads or processes don't mix. A kernel that takes part of a line gets the
    /// rest; on any other error the line is lost, for there is nowhere left to say so.
    private func write(_ line: String) {
        var line = line
        line.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while let start = rest.baseAddress, !rest.isEmpty {
                #if canImport(Glibc)
                let count = Glibc.write(descriptor, start, rest.count)
                #elseif canImport(Musl)
                let count = Musl.write(descriptor, start, rest.count)
                #else
                let count = Darwin.write(descriptor, start, rest.count)
                #endif
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }
}
