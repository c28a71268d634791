/// What a reader found next in the bytes of one subscriber.
///
/// Holds nothing that needs counting: one is made for each delivery.
enum StreamPiece {
    case event(sequence: Int64, size: Int)
    /// A WebSocket ping, which wants its payload back; where that stands in the bytes.
    case ping(payload: Range<Int>)
    /// A message that is no event.
    case foreign
    /// The server said goodbye, with this close code.
    case closed(code: Int)
    /// Bytes that are not of the form, or an end that this tool didn't ask for.
    case broken(StaticString)
}
