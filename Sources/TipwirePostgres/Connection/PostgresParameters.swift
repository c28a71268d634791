import NIOCore

/// A statement's parameters as they go over the wire: in PostgreSQL's binary form, with their types.
///
/// Binary, because a list of a hundred texts is then a copy of their bytes, and neither written with quotes here nor
/// read with quotes there. All of them in one buffer, to which libpq gets addresses.
struct PostgresParameters {
    /// Numbers of types, the same in every PostgreSQL. 0 leaves it to the server: NULL says nothing of its type.
    private(set) var types: [UInt32] = []
    private var bytes: [UInt8] = []
    /// Where each is in `bytes`; nil for NULL.
    private var places: [Range<Int>?] = []

    private enum TypeNumber {
        static let bool: UInt32 = 16
        static let bytes: UInt32 = 17
        static let int: UInt32 = 20
        static let text: UInt32 = 25
        static let bools: UInt32 = 1000
        static let blobs: UInt32 = 1001
        static let texts: UInt32 = 1009
        static let ints: UInt32 = 1016
    }

    init(_ values: [PostgresValue]) {
        types.reserveCapacity(values.count)
        places.reserveCapacity(values.count)
        for value in values { append(value) }
    }

    /// Calls `body` with what libpq takes: how many there are, their addresses, lengths and forms.
    func withPointers<T>(
        _ body: (CInt, UnsafePointer<LibPQ.Text?>?, UnsafePointer<CInt>?, UnsafePointer<CInt>?) throws -> T
    ) rethrows -> T {
        let lengths = places.map { CInt($0?.count ?? 0) }
        let forms = [CInt](repeating: 1, count: places.count)
        return try bytes.withUnsafeBytes { buffer in
            // A text may be empty, and an address it must have: without one it would be NULL.
            try withUnsafeBytes(of: 0 as CChar) { empty in
                let start = (buffer.baseAddress ?? empty.baseAddress!).assumingMemoryBound(to: CChar.self)
                let addresses = places.map { place in place.map { start + $0.lowerBound } }
                return try body(CInt(places.count), addresses, lengths, forms)
            }
        }
    }

    private mutating func append(_ value: PostgresValue) {
        let start = bytes.count
        switch value {
        case .null:
            types.append(0)
            places.append(nil)
            return
        case .int(let int):
            types.append(TypeNumber.int)
            put(int)
        case .bool(let bool):
            types.append(TypeNumber.bool)
            bytes.append(bool ? 1 : 0)
        case .text(let text):
            types.append(TypeNumber.text)
            bytes.append(contentsOf: text.utf8)
        case .bytes(let buffer):
            types.append(TypeNumber.bytes)
            bytes.append(contentsOf: buffer.readableBytesView)
        case .ints(let list):
            types.append(TypeNumber.ints)
            put(list, of: TypeNumber.int) { $0.put($1) }
        case .texts(let list):
            types.append(TypeNumber.texts)
            put(list, of: TypeNumber.text) { $0.bytes.append(contentsOf: $1.utf8) }
        case .bools(let list):
            types.append(TypeNumber.bools)
            put(list, of: TypeNumber.bool) { $0.bytes.append($1 ? 1 : 0) }
        case .blobs(let list):
            types.append(TypeNumber.blobs)
            put(list, of: TypeNumber.bytes) { $0.bytes.append(contentsOf: $1.readableBytesView) }
        case .documents(let list):
            types.append(TypeNumber.texts)
            put(list, of: TypeNumber.text) { $0.bytes.append(contentsOf: $1.readableBytesView) }
        }
        places.append(start..<bytes.count)
    }

    /// An array: how many dimensions, whether NULL occurs, the type of the elements, for each dimension its length and
    /// its first index, then each element's length and bytes.
    private mutating func put<T>(_ list: [T?], of type: UInt32, _ write: (inout PostgresParameters, T) -> Void) {
        put(list.isEmpty ? 0 : 1 as Int32)
        put(list.contains { $0 == nil } ? 1 : 0 as Int32)
        put(type)
        guard !list.isEmpty else { return }
        put(Int32(list.count))
        put(1 as Int32)
        for element in list {
            guard let element else {
                put(-1 as Int32)
                continue
            }
            let place = bytes.count
            put(0 as Int32)
            write(&self, element)
            let length = Int32(bytes.count - place - 4).bigEndian
            withUnsafeBytes(of: length) { bytes.replaceSubrange(place..<place + 4, with: $0) }
        }
    }

    private mutating func put<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }
}
