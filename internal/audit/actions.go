package audit

// Action names what an event tells. The audit log shows it through the catalogue key "event." + Action.
type Action string

// The actions, noun first.
const (
	OrgCreated          Action = "org.created"
	OrgChanged          Action = "org.changed"
	SeatsChanged        Action = "seats.changed"
	AccountInvited      Action = "account.invited"
	AccountResent       Action = "account.invitation_resent"
	AccountWithdrawn    Action = "account.invitation_withdrawn"
	AccountActivated    Action = "account.activated"
	AccountDisabled     Action = "account.disabled"
	AccountEnabled      Action = "account.enabled"
	AccountChanged      Action = "account.changed"
	AccountViewed       Action = "account.viewed"
	AccountNotMe        Action = "account.not_me"
	SetupSent           Action = "account.setup_sent"
	RolesChanged        Action = "account.roles_changed"
	FactorsReset        Action = "account.factors_reset"
	LinkRequested       Action = "link.requested"
	LinkPrinted         Action = "link.printed"
	LinkRefused         Action = "link.refused"
	ResetRequested      Action = "password.reset_requested"
	PasswordReset       Action = "password.reset"
	PasswordChanged     Action = "password.changed"
	FactorEnrolled      Action = "factor.enrolled"
	FactorRemoved       Action = "factor.removed"
	FactorDisabled      Action = "factor.disabled"
	MailCodeSent        Action = "signin.mail_code_sent"
	SignedIn            Action = "signin.finished"
	SignInFailed        Action = "signin.failed"
	SignInRefused       Action = "signin.refused"
	SignInSpray         Action = "signin.spray"
	SignedOut           Action = "session.signed_out"
	AccountLinked       Action = "account.linked"
	AccountUnlinked     Action = "account.unlinked"
	LinkBegun           Action = "linked.begun"
	HomeReset           Action = "linked.home_reset"
	HomeDisabled        Action = "linked.home_disabled"
	LinkedEntered       Action = "linked.entered"
	LinkedLeft          Action = "linked.left"
	SessionEnded        Action = "session.ended"
	SessionsEnded       Action = "session.all_ended"
	IdentityProvedAgain Action = "session.proved_again"
	OrgEntered          Action = "org.entered"
	OrgVisited          Action = "org.visited"
	OrganisationsMailed Action = "organisations.mailed"
	MailFailed          Action = "mail.failed"
	RightRefused        Action = "right.refused"
	DeviceForgotten     Action = "device.forgotten"
	RecoveryMade        Action = "recovery.made"
	RecoveryUsed        Action = "recovery.used"
	AccessCodeIssued    Action = "access_code.issued"
	AccessCodeUsed      Action = "access_code.used"
	AccountImported     Action = "account.imported"
	PasswordsImported   Action = "passwords.imported"
	RoleDefined         Action = "role.defined"
	RoleChanged         Action = "role.changed"
	RoleDeleted         Action = "role.deleted"
	GroupCreated        Action = "group.created"
	GroupChanged        Action = "group.changed"
	GroupDeleted        Action = "group.deleted"
	ExpiryWarned        Action = "org.expiry_warned"
	PolicyChanged       Action = "policy.changed"
	Reminded            Action = "policy.reminded"
	Exempted            Action = "account.exempted"
	ExemptionEnded      Action = "account.exemption_ended"
	KeyAdded            Action = "key.added"
	KeyResealed         Action = "key.resealed"
	KeyRetired          Action = "key.retired"
)

// Actions lists every action, for the test that each has its texts.
var Actions = []Action{OrgCreated, OrgChanged, SeatsChanged, AccountInvited, AccountResent, AccountWithdrawn, AccountActivated,
	AccountDisabled, AccountEnabled, AccountChanged, AccountViewed, AccountNotMe, SetupSent, RolesChanged, FactorsReset, LinkRequested, LinkPrinted, LinkRefused,
	ResetRequested, PasswordReset, PasswordChanged, FactorEnrolled, FactorRemoved, FactorDisabled, MailCodeSent, SignedIn, SignInFailed,
	SignInRefused, SignInSpray, SignedOut, AccountLinked, AccountUnlinked, LinkBegun, HomeReset, HomeDisabled, LinkedEntered, LinkedLeft, SessionEnded, SessionsEnded, IdentityProvedAgain, OrgEntered, OrgVisited, OrganisationsMailed, MailFailed, RightRefused, DeviceForgotten, RecoveryMade, RecoveryUsed,
	AccessCodeIssued, AccessCodeUsed, AccountImported, PasswordsImported, RoleDefined, RoleChanged, RoleDeleted,
	GroupCreated, GroupChanged, GroupDeleted, ExpiryWarned, PolicyChanged, Reminded, Exempted, ExemptionEnded, KeyAdded, KeyResealed,
	KeyRetired}
