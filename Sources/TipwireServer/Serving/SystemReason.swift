import Foundation

/// Why a system call failed, as the end of a sentence: `permission denied`.
enum SystemReason {
    static func text(_ code: Int32 = errno) -> String { String(cString: strerror(code)).lowercased() }
}
