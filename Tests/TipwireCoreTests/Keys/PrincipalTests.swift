import Testing
import TipwireCore

@Suite("Principal")
struct PrincipalTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let who: String
        let principal: Principal
        let mayFollow: Bool
        let firehoseHolds: Bool
        let maySee: Bool
        let mayGovern: Bool

        var testDescription: String { who }
    }

    /// Rights in page 10, which is Olivia's and has Mia as its member.
    static let cases = [
        Case(
            who: "owner", principal: principal(olivia), mayFollow: true, firehoseHolds: true, maySee: true,
            mayGovern: true),
        Case(
            who: "member", principal: principal(mia), mayFollow: true, firehoseHolds: false, maySee: true,
            mayGovern: false),
        Case(
            who: "foreign", principal: principal(frank), mayFollow: false, firehoseHolds: false, maySee: false,
            mayGovern: false),
        Case(
            who: "owner, limited to it", principal: principal(olivia, pages: [10]), mayFollow: true,
            firehoseHolds: true, maySee: true, mayGovern: true),
        Case(
            who: "owner, limited to others", principal: principal(olivia, pages: [11, 12]), mayFollow: false,
            firehoseHolds: false, maySee: false, mayGovern: false),
        Case(
            who: "owner, limited to pages that are gone", principal: principal(olivia, pages: []), mayFollow: false,
            firehoseHolds: false, maySee: false, mayGovern: false),
        Case(
            who: "member, limited to it", principal: principal(mia, pages: [10, 11]), mayFollow: true,
            firehoseHolds: false, maySee: true, mayGovern: false),
        Case(
            who: "foreign, limited to it", principal: principal(frank, pages: [10]), mayFollow: false,
            firehoseHolds: false, maySee: false, mayGovern: false),
        // Admin widens the management API alone: its feeds are its own account's.
        Case(
            who: "foreign admin", principal: principal(frank, [.admin]), mayFollow: false, firehoseHolds: false,
            maySee: true, mayGovern: true),
        Case(
            who: "member admin", principal: principal(mia, [.admin]), mayFollow: true, firehoseHolds: false,
            maySee: true, mayGovern: true),
        Case(
            who: "admin, limited to it", principal: principal(frank, [.admin], pages: [10]), mayFollow: false,
            firehoseHolds: false, maySee: true, mayGovern: true),
        Case(
            who: "admin, limited to others", principal: principal(olivia, [.admin], pages: [11]), mayFollow: false,
            firehoseHolds: false, maySee: false, mayGovern: false),
    ]

    @Test("What a caller may do with a page follows from its role, its limit and its scopes", arguments: cases)
    func access(to row: Case) {
        let page = page(10)
        #expect(row.principal.mayFollow(page) == row.mayFollow)
        #expect(row.principal.firehoseHolds(page) == row.firehoseHolds)
        #expect(row.principal.maySee(page) == row.maySee)
        #expect(row.principal.mayGovern(page) == row.mayGovern)
    }

    @Test("A caller has what any of its scopes covers")
    func scopes() {
        let caller = principal(olivia, [.eventsRead, .eventsub])
        #expect(caller.has(.eventsRead))
        #expect(caller.has(.eventsubCreate))
        #expect(!caller.has(.manage))
        #expect(!caller.has(.admin))
        #expect(!principal(olivia, []).has(.eventsRead))
        #expect(principal(olivia, [.admin]).has(.overlay))
    }

    @Test("A key's caller has the key's account, scopes, pages and expiry, and no more")
    func fromKey() {
        let record = KeyRecord(
            id: "k1", prefix: "tw_00000000", hash: SecretHash(of: "x"), name: "n", account: mia,
            scopes: [.tipsWrite], pages: [Page.ID(rawValue: 10)], createdAt: noon, expiresAt: noon)
        let caller = Principal(key: record)
        #expect(caller.account == mia)
        #expect(caller.credential == .key(id: "k1"))
        #expect(caller.scopes == [.tipsWrite])
        #expect(caller.pageLimit == [Page.ID(rawValue: 10)])
        #expect(caller.expiresAt == noon)
    }

    @Test(
        "A key expires at its very millisecond, or never",
        arguments: [(nil, false), (-1, true), (0, true), (1, false)] as [(Int64?, Bool)])
    func expiry(offset: Int64?, isExpired: Bool) {
        let record = KeyRecord(
            id: "k1", prefix: "tw_00000000", hash: SecretHash(of: "x"), name: "n", account: mia, scopes: [],
            pages: nil, createdAt: noon, expiresAt: offset.map { noon.advanced(milliseconds: $0) })
        #expect(record.isExpired(at: noon) == isExpired)
    }

    private func key(of account: Account.ID, pages: Set<Int64>?) -> KeyRecord {
        KeyRecord(
            id: "k1", prefix: "tw_00000000", hash: SecretHash(of: "x"), name: "n", account: account, scopes: [],
            pages: pages.map { Set($0.map(Page.ID.init(rawValue:))) }, createdAt: noon, expiresAt: nil)
    }

    @Test("Only an admin without a limit to pages administers the server")
    func administersServer() {
        #expect(principal(olivia, [.admin]).administersServer)
        #expect(!principal(olivia, [.admin], pages: [10]).administersServer)
        #expect(!principal(olivia, [.admin], pages: []).administersServer)
        #expect(!principal(olivia, [.manage]).administersServer)
    }

    @Test("Keys are managed by their own account, and by who administers the server")
    func managesByAccount() {
        for pages in [nil, [], [10]] as [Set<Int64>?] {
            #expect(principal(olivia, [.manage]).mayManage(key(of: olivia, pages: pages)))
            #expect(!principal(olivia, [.manage]).mayManage(key(of: mia, pages: pages)))
            #expect(principal(olivia, [.admin]).mayManage(key(of: mia, pages: pages)))
        }
        #expect(!principal(olivia, [.admin], pages: [10]).mayManage(key(of: mia, pages: [10])))
    }

    @Test(
        "Who is limited to pages manages only keys that reach no further",
        arguments: [
            (nil, false), ([], false), ([10], true), ([10, 11], true), ([12], false), ([10, 12], false),
        ] as [(Set<Int64>?, Bool)])
    func managesWithinLimit(pages: Set<Int64>?, mayManage: Bool) {
        #expect(principal(olivia, [.manage], pages: [10, 11]).mayManage(key(of: olivia, pages: pages)) == mayManage)
    }
}
