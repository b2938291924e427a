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
	SignedOut           Action = "session.signed_out"
	SessionEnded        Action = "session.ended"
	SessionsEnded       Action = "session.all_ended"
	IdentityProvedAgain Action = "session.proved_again"
	OrgEntered          Action = "org.entered"
	MailFailed          Action = "mail.failed"
	RightRefused        Action = "right.refused"
	DeviceForgotten     Action = "device.forgotten"
	RecoveryMade        Action = "recovery.made"
	RecoveryUsed        Action = "recovery.used"
	AccessCodeIssued    Action = "access_code.issued"
	AccessCodeUsed      Action = "access_code.used"
	AccountImported     Action = "account.imported"
	PasswordsImported   Action = "passwords.imported"
	KeyAdded            Action = "key.added"
	KeyResealed         Action = "key.resealed"
	KeyRetired          Action = "key.retired"
)

// Actions lists every action, for the test that each has its texts.
var Actions = []Action{OrgCreated, OrgChanged, SeatsChanged, AccountInvited, AccountResent, AccountWithdrawn, AccountActivated,
	AccountDisabled, AccountEnabled, AccountChanged, AccountViewed, AccountNotMe, SetupSent, RolesChanged, FactorsReset, LinkRequested, LinkPrinted, LinkRefused,
	ResetRequested, PasswordReset, PasswordChanged, FactorEnrolled, FactorRemoved, FactorDisabled, MailCodeSent, SignedIn, SignInFailed,
	SignInRefused, SignedOut, SessionEnded, SessionsEnded, IdentityProvedAgain, OrgEntered, MailFailed, RightRefused, DeviceForgotten, RecoveryMade, RecoveryUsed,
	AccessCodeIssued, AccessCodeUsed, AccountImported, PasswordsImported, KeyAdded, KeyResealed,
	KeyRetired}
