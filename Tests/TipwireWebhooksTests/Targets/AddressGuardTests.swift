import Testing
import TipwireCore
import TipwireTestSupport

@testable import TipwireWebhooks

@Suite("Which addresses callbacks may lead to")
struct AddressGuardTests {
    @Test(
        "Each class of IPv4 is refused from its first address to its last, and not just outside",
        arguments: [
            (.unspecified, "0.0.0.0", "0.0.0.0", nil, nil),
            (.thisNetwork, "0.0.0.1", "0.255.255.255", nil, "1.0.0.0"),
            (.privateUse, "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"),
            (.sharedSpace, "100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"),
            (.loopback, "127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"),
            (.linkLocal, "169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"),
            (.privateUse, "172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"),
            (.protocolAssignment, "192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"),
            (.documentation, "192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"),
            (.sixToFour, "192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0"),
            (.privateUse, "192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"),
            (.benchmark, "198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"),
            (.documentation, "198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"),
            (.documentation, "203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"),
            (.multicast, "224.0.0.0", "239.255.255.255", "223.255.255.255", nil),
            (.reserved, "240.0.0.0", "255.255.255.254", nil, nil),
            (.broadcast, "255.255.255.255", "255.255.255.255", nil, nil),
        ] as [(AddressRule, String, String, String?, String?)])
    func ipv4(rule: AddressRule, first: String, last: String, before: String?, after: String?) throws {
        try expect(rule, first, last, before, after)
    }

    @Test(
        "Each class of IPv6 is refused from its first address to its last, and not just outside",
        arguments: [
            (.unspecified, "::", "::", nil, nil),
            (.loopback, "::1", "::1", nil, nil),
            (.ipv4Compatible, "::2", "::ffff:ffff", nil, nil),
            (.ipv4Mapped, "::ffff:0:0", "::ffff:255.255.255.255", nil, nil),
            (.ipv4Translated, "::ffff:0:0:0", "::ffff:0:ffff:ffff", nil, nil),
            (.nat64, "64:ff9b::", "64:ff9b::ffff:ffff", nil, nil),
            (.nat64, "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", nil, nil),
            (.discard, "100::", "100::ffff:ffff:ffff:ffff", nil, nil),
            (.teredo, "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil),
            (.benchmark, "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", nil, nil),
            (.orchid, "2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", nil, nil),
            (.orchid, "2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", nil, nil),
            (.protocolAssignment, "2001:30::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", nil, "2001:200::"),
            (
                .documentation, "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"
            ),
            (
                .sixToFour, "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"
            ),
            (
                .documentation, "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
                "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"
            ),
            (.segmentRouting, "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil, nil),
            (.uniqueLocal, "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil, nil),
            (.linkLocal, "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil, nil),
            (.siteLocal, "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil, nil),
            (.multicast, "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil, nil),
            // What no rule but the last names: below 2000::/3 and above it.
            (.outsideGlobalUnicast, "0:0:1::", "63:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil, nil),
            (.outsideGlobalUnicast, "100:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil, "2000::"),
            (
                .outsideGlobalUnicast, "4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil
            ),
            (.outsideGlobalUnicast, "fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil, nil),
        ] as [(AddressRule, String, String, String?, String?)])
    func ipv6(rule: AddressRule, first: String, last: String, before: String?, after: String?) throws {
        try expect(rule, first, last, before, after)
    }

    private func expect(
        _ rule: AddressRule, _ first: String, _ last: String, _ before: String?, _ after: String?
    ) throws {
        let addresses = AddressGuard()
        for text in [first, last] {
            #expect(addresses.refusing(try #require(IPAddress(text))) == rule, "\(text)")
        }
        for text in [before, after].compactMap(\.self) {
            #expect(addresses.refusing(try #require(IPAddress(text))) == nil, "\(text)")
        }
    }

    @Test(
        "An IPv4 address inside an ISATAP one is refused below any prefix",
        arguments: [
            "2a00:1450::5efe:a00:1", "2a00:1450::200:5efe:8.8.8.8", "2a00:1450::100:5efe:0:1", "2600::300:5efe:0:0",
        ])
    func isatap(text: String) throws {
        #expect(AddressGuard().refusing(try #require(IPAddress(text))) == .isatap)
    }

    @Test(
        "Public addresses are allowed",
        arguments: [
            "1.1.1.1", "8.8.8.8", "93.184.216.34", "172.64.0.1", "192.0.1.1", "2606:4700:4700::1111",
            "2a00:1450:4001:80b::200e", "2001:4860:4860::8888", "2a00::5eff:1:2", "2a00::5efe:1:2:3",
        ])
    func allowed(text: String) throws {
        #expect(AddressGuard().refusing(try #require(IPAddress(text))) == nil)
    }

    @Test("The setting allows what lies in its blocks, and nothing beside")
    func setting() throws {
        let addresses = AddressGuard(
            allowedNetworks: try ["10.1.0.0/16", "::1", "fd00:1::/32"].map { try #require(AddressRange($0)) })
        for text in ["10.1.0.0", "10.1.255.255", "::1", "fd00:1::7", "::ffff:10.1.2.3"] {
            #expect(addresses.refusing(try #require(IPAddress(text))) == nil, "\(text)")
        }
        let refused: [(String, AddressRule)] = [
            ("10.0.255.255", .privateUse), ("10.2.0.0", .privateUse), ("127.0.0.1", .loopback),
            ("fd00:2::7", .uniqueLocal), ("::ffff:10.2.0.0", .ipv4Mapped), ("::a01:203", .ipv4Compatible),
        ]
        for (text, rule) in refused {
            #expect(addresses.refusing(try #require(IPAddress(text))) == rule, "\(text)")
        }
    }

    @Test("A refusal names the host, the rule and the setting, and hides an address that came of a look-up")
    func refusal() throws {
        let refusal = AddressRefusal(
            host: "hook.example.com", address: try #require(IPAddress("10.20.30.40")), rule: .privateUse)
        #expect(
            refusal.description == """
                hook.example.com is a private address, refused by the rule 'private'; the setting \
                webhooks.allowedNetworks can allow it
                """)
    }

    @Test("Each rule has a name and a text of its own")
    func rules() {
        #expect(Set(AddressRule.allCases.map(\.rawValue)).count == AddressRule.allCases.count)
        #expect(Set(AddressRule.allCases.map(\.phrase)).count == AddressRule.allCases.count)
    }

    @Test("Random addresses are judged as by a model of bytes and masks")
    func model() throws {
        var seed = TestSeed()
        let addresses = AddressGuard()
        for _ in 0..<20_000 {
            let bytes = AddressModel.randomAddress(using: &seed)
            let address = try #require(IPAddress(bytes: bytes))
            let isRefused = addresses.refusing(address) != nil
            // Asked for only where it fails: an expectation costs a thousand times the rest.
            if isRefused != AddressModel.isRefused(bytes) { Issue.record("\(address) \(seed)") }
        }
    }
}

/// The rules once more, told in bytes and masks and without their names.
private enum AddressModel {
    private static let refusedIPv4: [([UInt8], [UInt8])] = [
        ([0, 0, 0, 0], [255, 0, 0, 0]), ([10, 0, 0, 0], [255, 0, 0, 0]), ([127, 0, 0, 0], [255, 0, 0, 0]),
        ([100, 64, 0, 0], [255, 192, 0, 0]), ([169, 254, 0, 0], [255, 255, 0, 0]),
        ([172, 16, 0, 0], [255, 240, 0, 0]), ([192, 168, 0, 0], [255, 255, 0, 0]),
        ([192, 0, 0, 0], [255, 255, 255, 0]), ([192, 0, 2, 0], [255, 255, 255, 0]),
        ([192, 88, 99, 0], [255, 255, 255, 0]), ([198, 18, 0, 0], [255, 254, 0, 0]),
        ([198, 51, 100, 0], [255, 255, 255, 0]), ([203, 0, 113, 0], [255, 255, 255, 0]),
        ([224, 0, 0, 0], [224, 0, 0, 0]),
    ]

    /// Inside 2000::/3; all else is refused anyway.
    private static let refusedIPv6: [([UInt8], [UInt8])] = [
        ([0x20, 0x01, 0x00], [0xFF, 0xFF, 0xFE]), ([0x20, 0x01, 0x0D, 0xB8], [0xFF, 0xFF, 0xFF, 0xFF]),
        ([0x20, 0x02], [0xFF, 0xFF]), ([0x3F, 0xFF, 0x00], [0xFF, 0xFF, 0xF0]),
    ]

    static func isRefused(_ bytes: [UInt8]) -> Bool {
        func matches(_ pattern: ([UInt8], [UInt8])) -> Bool {
            zip(bytes, zip(pattern.0, pattern.1)).allSatisfy { $0 & $1.1 == $1.0 }
        }
        if bytes.count == 4 { return refusedIPv4.contains(where: matches) }
        if bytes[0] & 0xE0 != 0x20 { return true }
        let isISATAP = bytes[8] & 0xFC == 0 && bytes[9] == 0 && bytes[10] == 0x5E && bytes[11] == 0xFE
        return isISATAP || refusedIPv6.contains(where: matches)
    }

    /// Half of them near the border of a class, where mistakes are.
    static func randomAddress(using seed: inout TestSeed) -> [UInt8] {
        let isIPv4 = Bool.random(using: &seed)
        var bytes = (0..<(isIPv4 ? 4 : 16)).map { _ in UInt8.random(in: 0...255, using: &seed) }
        if !isIPv4, Bool.random(using: &seed) { bytes[0] = UInt8.random(in: 0x20...0x3F, using: &seed) }
        if !isIPv4, Int.random(in: 0..<8, using: &seed) == 0 {
            bytes.replaceSubrange(8..<12, with: [UInt8.random(in: 0...7, using: &seed), 0, 0x5E, 0xFE])
        }
        guard Bool.random(using: &seed) else { return bytes }
        let pattern = (isIPv4 ? refusedIPv4 : refusedIPv6).randomElement(using: &seed)!
        for index in pattern.0.indices { bytes[index] = pattern.0[index] | (bytes[index] & ~pattern.1[index]) }
        let changed = Int.random(in: pattern.0.indices, using: &seed)
        if Bool.random(using: &seed) { bytes[changed] &+= Bool.random(using: &seed) ? 1 : 255 }
        return bytes
    }
}
