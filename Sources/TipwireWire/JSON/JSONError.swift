/// Why a text is not the JSON that was asked for.
///
/// One struct, not a case per mistake: nobody branches on the kind of mistake, everybody wants to say where it is.
/// The sentence names no content of the text, so it may be sent back to whoever sent the text.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Where the mistake was seen, in bytes from the beginning of the text.
    public var offset: Int

    /// What is wrong, as a sentence for a person.
    public var message: String

    public init(offset: Int, message: String) {
        self.offset = offset
        self.message = message
    }

    public var description: String { "\(message) (at byte \(offset))" }
}
