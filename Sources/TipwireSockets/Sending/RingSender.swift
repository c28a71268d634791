import NIOCore

/// Many sockets by one system call.
///
/// Sends gather until there are `batch` of them or the turn ends. Then the kernel makes them all, and nothing of them is in
/// flight when the call returns: a send that finds no room is not kept for later but told as fallen short.
final class RingSender: SocketSender {
    /// Sends of one system call. More save little, and take more of the processor's cache.
    static let batch = 256

    private let ring: SendRing
    private let onFailure: @Sendable (CInt) -> Void
    /// Takes over when the ring has failed.
    private var fallback: CallSender?
    /// Until the turn ends.
    private var held: [ByteBuffer] = []
    /// Until the next submission.
    private let bench = Workbench()
    /// What was added to the ring and not submitted, in order: a send's token is its place.
    private var waiting: [(recipient: Int, count: Int, isSettled: Bool)] = []
    private var shortfalls: [Shortfall] = []

    init(_ ring: SendRing, onFailure: @escaping @Sendable (CInt) -> Void) {
        self.ring = ring
        self.onFailure = onFailure
        waiting.reserveCapacity(ring.capacity)
    }

    func hold(_ bytes: ByteBuffer) -> Parcel {
        held.append(bytes)
        return Parcel(bytes)
    }

    func send(_ bytes: Parcel, to descriptor: NIOBSDSocket.Handle, recipient: Int) {
        if waiting.count == ring.capacity { submit() }
        if let fallback { return fallback.send(bytes, to: descriptor, recipient: recipient) }
        note(recipient, bytes.count, isAdded: ring.add(bytes, to: descriptor, token: waiting.count))
    }

    func send(
        _ size: Int, to descriptor: NIOBSDSocket.Handle, recipient: Int, _ put: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        if waiting.count == ring.capacity || !bench.hasRoom(for: size) { submit() }
        if let fallback { return fallback.send(size, to: descriptor, recipient: recipient, put) }
        let place = bench.place(of: size)
        put(place)
        note(recipient, size, isAdded: ring.add(Parcel(place), to: descriptor, token: waiting.count))
    }

    private func note(_ recipient: Int, _ count: Int, isAdded: Bool) {
        // The ring has room for as many as are counted here.
        guard isAdded else { return shortfalls.append(Shortfall(recipient: recipient, sent: 0)) }
        waiting.append((recipient, count, false))
    }

    func finish() -> [Shortfall] {
        if !waiting.isEmpty { submit() }
        held.removeAll(keepingCapacity: true)
        defer { shortfalls = [] }
        return shortfalls + (fallback?.finish() ?? [])
    }

    private func submit() {
        var failure: CInt?
        do {
            try ring.submit()
        } catch {
            failure = error.code
        }
        while let (token, outcome) = ring.takeOutcome() {
            let send = waiting[token]
            waiting[token].isSettled = true
            if outcome != send.count {
                shortfalls.append(Shortfall(recipient: send.recipient, sent: max(outcome, 0)))
            }
        }
        if let failure {
            // What the kernel did not take was not sent: the channels send it.
            for send in waiting where !send.isSettled {
                shortfalls.append(Shortfall(recipient: send.recipient, sent: 0))
            }
            fallback = CallSender()
            onFailure(failure)
        }
        waiting.removeAll(keepingCapacity: true)
        bench.clear()
    }
}
