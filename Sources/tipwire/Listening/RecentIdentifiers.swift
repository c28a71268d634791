/// The latest ids of messages, to tell one that comes twice.
struct RecentIdentifiers {
    /// How many are remembered: what may come again is what a server that was killed had sent within a second or so.
    static let capacity = 10_000

    private let capacity: Int
    private var known: Set<String> = []
    /// In the order in which they came, as a ring once it is full.
    private var order: [String] = []
    private var oldest = 0

    init(capacity: Int = capacity) {
        self.capacity = capacity
    }

    /// Remembers `id`, and says whether it was new.
    mutating func insert(_ id: String) -> Bool {
        guard known.insert(id).inserted else { return false }
        if order.count < capacity {
            order.append(id)
        } else {
            known.remove(order[oldest])
            order[oldest] = id
            oldest = (oldest + 1) % capacity
        }
        return true
    }
}
