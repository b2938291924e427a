package outbox

import "time"

// Kind is a kind of mail: the value of its X-Doorward-Message header.
type Kind string

// The kinds of mail, each with the type of its data below.
const (
	KindInvite          Kind = "invite"
	KindReset           Kind = "reset"
	KindMailCode        Kind = "mail-code"
	KindPasswordChanged Kind = "password-changed"
	KindFactorAdded     Kind = "factor-added"
	KindFactorRemoved   Kind = "factor-removed"
	KindRoleChanged     Kind = "role-changed"
	KindNewDevice       Kind = "new-device"
	KindRecoveryUsed    Kind = "recovery-used"
	KindFactorDisabled  Kind = "factor-disabled"
	KindAccessCode      Kind = "access-code"
	KindSetup           Kind = "setup"
	KindExpiry          Kind = "expiry"
	KindDeadline        Kind = "mfa-deadline"
	KindLinked          Kind = "linked"
	KindUnlinked        Kind = "unlinked"
	KindLinkedReset     Kind = "linked-reset"
	KindResetElsewhere  Kind = "reset-elsewhere"
	KindNotMeAlert      Kind = "not-me-alert"
	KindMyOrganisations Kind = "my-organisations"
	KindOrgState        Kind = "org-state"
	KindSeatsRequest    Kind = "seats-request"
	KindSeatsAnswer     Kind = "seats-answer"
	KindAccountState    Kind = "account-state"
	KindMoveAsked       Kind = "move-asked"
	KindMoveDone        Kind = "move-done"
	KindMoveDeclined    Kind = "move-declined"
	KindMoveCancelled   Kind = "move-cancelled"
	KindEmailConfirm    Kind = "email-confirm"
	KindEmailChanging   Kind = "email-changing"
	KindEmailChanged    Kind = "email-changed"
)

// Data is the typed content of a mail. It is sealed in its row and erased when the row is delivered, given up or expired.
type Data interface{ Kind() Kind }

// Warning is a mail about something that its receiver may not have done. It carries the link "this wasn't me", whose page is
// /not-me/{token}.
type Warning interface {
	Data
	WithNotMe(token string) Data // the same mail with the link's secret
}

// Elsewhere is a mail that goes to an address that is not, or may be no longer, the account's.
type Elsewhere interface {
	Data
	To() string
}

// Invite asks someone to activate the account that was made for them.
type Invite struct {
	Inviter string    // name or address of who invited; empty when the operator or the system did
	Roles   []string  // role keys, built-in, or names of own roles
	Token   string    // the activation link's secret: the page is /activate/{token}
	Until   time.Time // when the link ends
}

// Reset carries the link to "Choose a new password".
type Reset struct {
	Token string // the page is /reset/{token}
	Until time.Time
}

// MailCode carries the six-digit code that proves the mailbox before a first factor is enrolled.
type MailCode struct {
	Code  string
	Until time.Time
}

// Setup carries the link with which someone chooses a new password and sets up a second factor.
type Setup struct {
	Token string // the page is /setup/{token}
	Until time.Time
	By    string // name or address of who had it sent; empty when the operator did
}

// PasswordChanged tells that the account has a new password.
type PasswordChanged struct {
	At    time.Time
	NotMe string
}

// FactorAdded tells that the account has a new second factor, or new recovery codes in place of the earlier ones.
type FactorAdded struct {
	Factor string // factor kind: "totp", "passkey", "recovery"
	Name   string
	At     time.Time
	NotMe  string
}

// FactorRemoved tells that second factors of the account are gone.
type FactorRemoved struct {
	Factors []string // factor kinds
	By      string   // who, when it was an administrator or the operator; empty when the person did
	Reason  string   // as the administrator typed it, may be empty
	At      time.Time
	NotMe   string
}

// OrgState tells the administrators of an organisation, or of the one above it, what became of it.
type OrgState struct {
	State        string // suspended, active (again), deleting, kept (its deletion was cancelled), gone
	Organisation string
	By           string    // name or address of who did it; empty when the operator or the system did
	Reason       string    // with suspended
	Until        time.Time // with deleting: when it goes
	Suspended    bool      // with deleting and kept: it stays suspended, so nobody of it signs in
	At           time.Time
}

// AccountState tells someone that their account is going to be deleted, or is not.
type AccountState struct {
	State string    // deleting, kept (its deletion was cancelled)
	By    string    // name or address of who did it; empty when the operator did
	Until time.Time // with deleting: when it goes
	At    time.Time
}

// SeatsRequest tells an administrator that an organisation below theirs asks for more seats.
type SeatsRequest struct {
	Organisation string // that asks
	Slug         string // its tenant domain: the answer is given on its page of seats
	Used, Limit  int    // seats, as they are now
	Wanted       int    // seats in all
	Reason       string // as it was typed
	By           string // name or address of who asked
	At           time.Time
}

// SeatsAnswer tells who asked for more seats what became of it.
type SeatsAnswer struct {
	Organisation string // that asked
	Slug         string
	Granted      bool
	Limit        int    // seats that it may have now; -1 without a limit
	Reason       string // why it was declined
	By           string // name of the organisation that answered
	At           time.Time
}

// EmailConfirm asks the holder of a new address to confirm it. It goes there.
type EmailConfirm struct {
	New, Old string
	By       string    // who asked for it, when it was somebody else; empty when the person or the operator did
	Token    string    // the page is /confirm-email/{token}
	Until    time.Time // when the link ends
}

// EmailChanging tells the present address that the account is to get another one.
type EmailChanging struct {
	Old, New string
	By       string // who asked for it, when it was somebody else
	At       time.Time
	NotMe    string
}

// EmailChanged tells the old address that the account has another one.
type EmailChanged struct {
	Old, New string
	At       time.Time
	NotMe    string
}

// MoveAsked asks an administrator of a side for the confirmation that a customer moves to another MSP.
type MoveAsked struct {
	Customer, From, To string // names of the organisations
	Reason             string // as the provider typed it
	Until              time.Time
	Slug               string // of the receiver's own organisation; with the id, the page of the move
	Move               string // id
}

// MoveDone tells that a customer has moved to another MSP.
type MoveDone struct {
	Customer, From, To string
	At                 time.Time
}

// MoveDeclined tells that a side does not want a move.
type MoveDeclined struct {
	Customer, From, To string
	By                 string // name of the organisation that declined
	Reason             string
	At                 time.Time
}

// MoveCancelled tells that the provider no longer wants a move.
type MoveCancelled struct {
	Customer, From, To string
	At                 time.Time
}

// FactorDisabled tells that too many wrong tries in a row took a factor out of use.
type FactorDisabled struct {
	Factor string // factor kind: "password", "totp", "recovery"
	At     time.Time
	NotMe  string
}

// RecoveryUsed tells that a recovery code took the place of a second factor.
type RecoveryUsed struct {
	Left  int // unused codes
	At    time.Time
	NotMe string
}

// NewDevice tells of a sign-in on a device that the account was not used on before.
type NewDevice struct {
	Device  string // browser and system, as far as they are known: "Firefox, Android"
	Address string // IP address
	At      time.Time
	NotMe   string
}

// AccessCode tells that a temporary access code was issued. The code itself is handed over by who issued it, never by mail.
type AccessCode struct {
	By    string // name or address; empty when the operator did
	Until time.Time
	NotMe string
}

// NotMeAlert tells an administrator that someone answered a warning with "this wasn't me", and what was done then.
type NotMeAlert struct {
	Person  string // name, or address
	Address string
	Slug    string // with the id, the page of the account
	Account string // id
	Removed string // kind of the factor that the warning had told of; empty: it was none
	At      time.Time
}

// MyOrganisations lists the sign-in pages of all accounts with the receiver's address.
type MyOrganisations struct {
	Pages []SignInPage
}

// SignInPage is an organisation whose sign-in page is /o/{slug}/login.
type SignInPage struct{ Name, Slug string }

// RoleChanged tells which roles the account has now.
type RoleChanged struct {
	Roles []string
	By    string
	At    time.Time
}

// Linked tells that an account has its home in another one from now on: who signs in there does so with the password and the factors of the home.
type Linked struct {
	Organisation string // where the linked account lives
	Address      string // of the linked account
	Home         string // name of the home organisation
	HomeAddress  string // of the home account
	Own          bool   // the linked account had a password and factors of its own; they are gone
	At           time.Time
	NotMe        string
}

// Unlinked tells the person of a home account that an account is no longer linked to it.
type Unlinked struct {
	Organisation string // where the account lives
	Address      string // of that account
	By           string // who, when it was somebody else
	Invited      bool   // a fresh invitation went to the address
	At           time.Time
}

// LinkedReset tells an administrator what somebody did to the home of an account that is linked.
type LinkedReset struct {
	Person   string // name, or address, of the linked account
	Address  string
	Home     string // name of the home organisation
	Disabled bool   // the home account; else its second factors were reset
	Slug     string // with the id, the page of the linked account
	Account  string // id
	At       time.Time
}

// ResetElsewhere tells who asked for a new password of a linked account where it lives.
type ResetElsewhere struct {
	Home string // name of the home organisation
	Slug string // its tenant domain
}

// Expiry tells an administrator that the access of an organisation's last administrator is about to end.
type Expiry struct {
	Organisation string // which; the receiver's own or one below it
	Person       string // name or address of the last administrator
	Until        time.Time
}

// Deadline reminds someone that a second factor is, or soon will be, demanded of them.
type Deadline struct {
	From time.Time // zero: it is demanded already
	Keys bool      // nothing but security keys and passkeys counts
	By   string    // name or address of who had it sent; empty when Doorward did
}

func (Invite) Kind() Kind          { return KindInvite }
func (Reset) Kind() Kind           { return KindReset }
func (MailCode) Kind() Kind        { return KindMailCode }
func (Setup) Kind() Kind           { return KindSetup }
func (PasswordChanged) Kind() Kind { return KindPasswordChanged }
func (FactorAdded) Kind() Kind     { return KindFactorAdded }
func (FactorRemoved) Kind() Kind   { return KindFactorRemoved }
func (OrgState) Kind() Kind        { return KindOrgState }
func (AccountState) Kind() Kind    { return KindAccountState }
func (SeatsRequest) Kind() Kind    { return KindSeatsRequest }
func (SeatsAnswer) Kind() Kind     { return KindSeatsAnswer }
func (EmailConfirm) Kind() Kind    { return KindEmailConfirm }
func (EmailChanging) Kind() Kind   { return KindEmailChanging }
func (EmailChanged) Kind() Kind    { return KindEmailChanged }
func (MoveAsked) Kind() Kind       { return KindMoveAsked }
func (MoveDone) Kind() Kind        { return KindMoveDone }
func (MoveDeclined) Kind() Kind    { return KindMoveDeclined }
func (MoveCancelled) Kind() Kind   { return KindMoveCancelled }
func (FactorDisabled) Kind() Kind  { return KindFactorDisabled }
func (RecoveryUsed) Kind() Kind    { return KindRecoveryUsed }
func (NewDevice) Kind() Kind       { return KindNewDevice }
func (AccessCode) Kind() Kind      { return KindAccessCode }
func (NotMeAlert) Kind() Kind      { return KindNotMeAlert }
func (RoleChanged) Kind() Kind     { return KindRoleChanged }
func (MyOrganisations) Kind() Kind { return KindMyOrganisations }
func (Expiry) Kind() Kind          { return KindExpiry }
func (Deadline) Kind() Kind        { return KindDeadline }
func (Linked) Kind() Kind          { return KindLinked }
func (Unlinked) Kind() Kind        { return KindUnlinked }
func (LinkedReset) Kind() Kind     { return KindLinkedReset }
func (ResetElsewhere) Kind() Kind  { return KindResetElsewhere }

// To returns the new address.
func (d EmailConfirm) To() string { return d.New }

// To returns the address of before, wherever the account is by the time of delivery.
func (d EmailChanging) To() string { return d.Old }

// To returns the address of before.
func (d EmailChanged) To() string { return d.Old }

func (d EmailChanging) WithNotMe(token string) Data   { d.NotMe = token; return d }
func (d EmailChanged) WithNotMe(token string) Data    { d.NotMe = token; return d }
func (d PasswordChanged) WithNotMe(token string) Data { d.NotMe = token; return d }
func (d FactorAdded) WithNotMe(token string) Data     { d.NotMe = token; return d }
func (d FactorRemoved) WithNotMe(token string) Data   { d.NotMe = token; return d }
func (d FactorDisabled) WithNotMe(token string) Data  { d.NotMe = token; return d }
func (d RecoveryUsed) WithNotMe(token string) Data    { d.NotMe = token; return d }
func (d NewDevice) WithNotMe(token string) Data       { d.NotMe = token; return d }
func (d AccessCode) WithNotMe(token string) Data      { d.NotMe = token; return d }
func (d Linked) WithNotMe(token string) Data          { d.NotMe = token; return d }
