package access

import "slices"

// Permission is one row of the rights table.
type Permission string

// The permissions. Who holds which is in table below.
const (
	OrgView          Permission = "org.view"
	OrgCreate        Permission = "org.create"
	OrgEdit          Permission = "org.edit"
	OrgSuspend       Permission = "org.suspend"
	OrgDelete        Permission = "org.delete"
	SeatsSet         Permission = "seats.set"
	OrgMoveStart     Permission = "org.move.start"
	OrgMoveConfirm   Permission = "org.move.confirm"
	GroupManage      Permission = "group.manage"
	PeopleView       Permission = "people.view"
	PeopleInvite     Permission = "people.invite"
	PeopleResend     Permission = "people.resend"
	PeopleWithdraw   Permission = "people.withdraw"
	PeopleEdit       Permission = "people.edit"
	PeopleDisable    Permission = "people.disable"
	PeopleDelete     Permission = "people.delete"
	PeopleFactors    Permission = "people.factors.reset"
	PeopleAccessCode Permission = "people.access-code"
	PeopleSessions   Permission = "people.sessions.end"
	PeopleUnlock     Permission = "people.unlock-start"
	PeopleImport     Permission = "people.import"
	PeopleExport     Permission = "people.export"
	RoleAssign       Permission = "role.assign"
	RoleDefine       Permission = "role.define"
	PolicyView       Permission = "policy.view"
	PolicyEdit       Permission = "policy.edit"
	SSOView          Permission = "sso.view"
	SSOEdit          Permission = "sso.edit"
	SetupRun         Permission = "setup.run"
	ConfigEdit       Permission = "config.edit"
	PlatformEdit     Permission = "platform.edit"
	LicenseCheck     Permission = "licence.check"
	CatalogueEdit    Permission = "catalogue.edit"
	EntitlementView  Permission = "entitlement.view"
	EntitlementGrant Permission = "entitlement.grant"
	SolutionUse      Permission = "solution.use"
	CredentialManage Permission = "credential.manage"
	ClientManage     Permission = "client.manage"
	AccessEnter      Permission = "access.enter"
	AccessSettings   Permission = "access.settings"
	AccessApprove    Permission = "access.approve"
	AuditView        Permission = "audit.view"
	AuditExport      Permission = "audit.export"
	NoticeView       Permission = "notice.view"
)

// OrgKind is the kind of an organisation.
type OrgKind string

// The kinds of organisations, from the root down.
const (
	Provider OrgKind = "provider"
	MSP      OrgKind = "msp"
	Customer OrgKind = "customer"
)

// The keys of the built-in roles. Which of them an organisation has depends on its kind.
const (
	Administrator = "administrator"
	Support       = "support"
	Editor        = "editor"
	Viewer        = "viewer"
	CoManager     = "co_manager"
	Core          = "core"
	Auditor       = "auditor"
)

// Roles lists the built-in roles of a kind of organisation, strongest first.
func Roles(k OrgKind) []string {
	switch k {
	case Provider:
		return []string{Administrator, Support}
	case MSP:
		return []string{Administrator, Editor, Viewer}
	case Customer:
		return []string{Administrator, CoManager, Core, Viewer, Auditor}
	}
	return nil
}

// Administrative tells whether a role administers others: holding it shortens sessions, and giving it needs a fresh proof. Own roles
// count as such whatever they give, so that nobody has to weigh them.
func Administrative(k OrgKind, role string) bool {
	if IsOwn(role) {
		return true
	}
	switch k {
	case Provider, MSP:
		return slices.Contains(Roles(k), role) && !(k == MSP && role == Viewer)
	case Customer:
		return role == Administrator || role == CoManager
	}
	return false
}

type scope uint8

const (
	own   scope = 1 << iota // in the organisation in which the role is held
	below                   // in the organisations under it
	both  = own | below
)

// column is a role of a kind of organisation.
type column struct {
	kind OrgKind
	role string
}

var (
	providerAdministrator = column{Provider, Administrator}
	providerSupport       = column{Provider, Support}
	mspAdministrator      = column{MSP, Administrator}
	mspEditor             = column{MSP, Editor}
	mspViewer             = column{MSP, Viewer}
	customerAdministrator = column{Customer, Administrator}
	customerCoManager     = column{Customer, CoManager}
	customerCore          = column{Customer, Core}
	customerViewer        = column{Customer, Viewer}
	customerAuditor       = column{Customer, Auditor}
)

// everyRole gives all ten roles a row at once.
func everyRole(provider, msp, customer scope) map[column]scope {
	return map[column]scope{
		providerAdministrator: provider, providerSupport: provider,
		mspAdministrator: msp, mspEditor: msp, mspViewer: msp,
		customerAdministrator: customer, customerCoManager: customer, customerCore: customer, customerViewer: customer, customerAuditor: customer,
	}
}

// peopleRow is the row of everything that is done to a person; whom a co-manager may touch is checked per target.
func peopleRow() map[column]scope {
	return map[column]scope{providerAdministrator: both, mspAdministrator: both, mspEditor: below,
		customerAdministrator: own, customerCoManager: own}
}

func ownedRow() map[column]scope {
	return map[column]scope{providerAdministrator: both, mspAdministrator: both, customerAdministrator: own}
}

//go:generate go test -run TestRightsPage -update .

// table is rights.md. A cell that is not here is "no". Where creating happens in the parent, "below" is asked of the parent too, see
// Guard.MayCreate.
var table = map[Permission]map[column]scope{
	OrgView:        everyRole(both, both, own),
	OrgCreate:      {providerAdministrator: both, mspAdministrator: own, mspEditor: own},
	OrgEdit:        {providerAdministrator: both, mspAdministrator: both, mspEditor: below, customerAdministrator: own},
	OrgSuspend:     {providerAdministrator: below, mspAdministrator: below},
	OrgDelete:      {providerAdministrator: below, mspAdministrator: both, mspEditor: below, customerAdministrator: own},
	SeatsSet:       {providerAdministrator: below, mspAdministrator: below},
	OrgMoveStart:   {providerAdministrator: below},
	OrgMoveConfirm: {mspAdministrator: below, customerAdministrator: own},
	GroupManage:    {providerAdministrator: own, mspAdministrator: own},
	PeopleView: {providerAdministrator: both, providerSupport: both, mspAdministrator: both, mspEditor: below, mspViewer: below,
		customerAdministrator: own, customerCoManager: own, customerAuditor: own},
	PeopleInvite:     peopleRow(),
	PeopleResend:     peopleRow(),
	PeopleWithdraw:   peopleRow(),
	PeopleEdit:       peopleRow(),
	PeopleDisable:    peopleRow(),
	PeopleDelete:     peopleRow(),
	PeopleFactors:    peopleRow(),
	PeopleAccessCode: peopleRow(),
	PeopleSessions:   peopleRow(),
	PeopleUnlock:     peopleRow(),
	PeopleImport:     {providerAdministrator: both, mspAdministrator: both, mspEditor: below, customerAdministrator: own},
	PeopleExport:     {providerAdministrator: both, mspAdministrator: both, mspEditor: below, customerAdministrator: own},
	RoleAssign:       peopleRow(),
	RoleDefine:       {providerAdministrator: own, mspAdministrator: own, customerAdministrator: own},
	PolicyView: {providerAdministrator: both, providerSupport: both, mspAdministrator: both, mspEditor: below, mspViewer: below,
		customerAdministrator: own, customerCoManager: own, customerAuditor: own},
	PolicyEdit: ownedRow(),
	SSOView: {providerAdministrator: both, providerSupport: both, mspAdministrator: both, mspEditor: below,
		customerAdministrator: own, customerAuditor: own},
	SSOEdit:       {providerAdministrator: both, mspAdministrator: both, mspEditor: below, customerAdministrator: own},
	SetupRun:      ownedRow(),
	ConfigEdit:    ownedRow(),
	PlatformEdit:  ownedRow(),
	LicenseCheck:  ownedRow(),
	CatalogueEdit: {providerAdministrator: own},
	EntitlementView: {providerAdministrator: both, providerSupport: both, mspAdministrator: both, mspEditor: below, mspViewer: below,
		customerAdministrator: own, customerCoManager: own, customerCore: own, customerViewer: own, customerAuditor: own},
	EntitlementGrant: {providerAdministrator: below, mspAdministrator: below},
	SolutionUse: {mspAdministrator: own, mspEditor: own, mspViewer: own, customerAdministrator: own, customerCoManager: own,
		customerCore: own},
	CredentialManage: ownedRow(),
	ClientManage:     ownedRow(),
	AccessEnter:      {mspAdministrator: below, mspEditor: below, mspViewer: below}, // the provider's emergency kind comes with its own grant
	AccessSettings:   {customerAdministrator: own},
	AccessApprove:    {customerAdministrator: own},
	AuditView:        {providerAdministrator: both, providerSupport: own, mspAdministrator: both, customerAdministrator: own, customerAuditor: own},
	AuditExport:      {providerAdministrator: both, providerSupport: own, mspAdministrator: both, customerAdministrator: own, customerAuditor: own},
	NoticeView: {providerAdministrator: own, providerSupport: own, mspAdministrator: own, mspEditor: own, mspViewer: own,
		customerAdministrator: own, customerCoManager: own},
}

// Permissions lists every permission of the table, sorted.
func Permissions() []Permission {
	list := make([]Permission, 0, len(table))
	for p := range table {
		list = append(list, p)
	}
	slices.Sort(list)
	return list
}

// Area is a part of the rights table under one heading.
type Area struct {
	Name        string
	Permissions []Permission
}

// Areas lists every permission of the table once, in the order in which people are shown them.
var Areas = []Area{
	{"organisation", []Permission{OrgView, OrgEdit, OrgCreate, OrgSuspend, OrgDelete, SeatsSet, OrgMoveStart, OrgMoveConfirm, GroupManage}},
	{"people", []Permission{PeopleView, PeopleInvite, PeopleResend, PeopleWithdraw, PeopleEdit, PeopleDisable, PeopleDelete, PeopleFactors,
		PeopleAccessCode, PeopleSessions, PeopleUnlock, PeopleImport, PeopleExport}},
	{"roles", []Permission{RoleAssign, RoleDefine}},
	{"signin", []Permission{PolicyView, PolicyEdit, SSOView, SSOEdit}},
	{"solutions", []Permission{SolutionUse, EntitlementView, EntitlementGrant, CatalogueEdit}},
	{"setup", []Permission{SetupRun, ConfigEdit, PlatformEdit, LicenseCheck, CredentialManage, ClientManage}},
	{"access", []Permission{AccessEnter, AccessSettings, AccessApprove}},
	{"audit", []Permission{AuditView, AuditExport, NoticeView}},
}

// looks are the permissions without which others lead to a page that is closed: an own role gets them along.
var looks = map[Permission]Permission{
	PeopleInvite: PeopleView, PeopleResend: PeopleView, PeopleWithdraw: PeopleView, PeopleEdit: PeopleView, PeopleDisable: PeopleView,
	PeopleDelete: PeopleView, PeopleFactors: PeopleView, PeopleAccessCode: PeopleView, PeopleSessions: PeopleView, PeopleUnlock: PeopleView,
	PeopleImport: PeopleView, PeopleExport: PeopleView, RoleAssign: PeopleView, RoleDefine: PeopleView, PolicyEdit: PolicyView, SSOEdit: SSOView,
	AuditExport: AuditView, EntitlementGrant: EntitlementView,
}

// Reach tells where a built-in role gives a permission: in the organisation in which it is held, in those below it.
func Reach(k OrgKind, role string, p Permission) (here, under bool) {
	s := table[p][column{k, role}]
	return s&own != 0, s&below != 0
}

// restricted tells which roles see only the customers in their groups (mission D3).
func restricted(c column) bool { return c == mspEditor || c == mspViewer }

// assignable says which role keys of an organisation of kind target a role may give there; where is own or below.
func assignable(c column, where scope, target OrgKind) []string {
	switch {
	case c == providerAdministrator, c == mspAdministrator:
		return Roles(target)
	case c == mspEditor && where == below && target == Customer, c == customerAdministrator && where == own:
		return Roles(target)
	case c == customerCoManager && where == own:
		return []string{Core, Viewer}
	}
	return nil
}

// beyondCoManager are the roles whose holders a co-manager may not touch.
var beyondCoManager = []string{Administrator, CoManager, Auditor}
