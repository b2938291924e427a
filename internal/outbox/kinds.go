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
)

// Data is the typed content of a mail. It is sealed in its row and erased when the row is delivered, given up or expired.
type Data interface{ Kind() Kind }

// Warning is a mail about something that its receiver may not have done. It carries the link "this wasn't me", whose page is
// /not-me/{token}.
type Warning interface {
	Data
	WithNotMe(token string) Data // the same mail with the link's secret
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

// FactorAdded tells that the account has a new second factor.
type FactorAdded struct {
	Factor string // factor kind: "totp", "passkey"
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

// RoleChanged tells which roles the account has now.
type RoleChanged struct {
	Roles []string
	By    string
	At    time.Time
}

func (Invite) Kind() Kind          { return KindInvite }
func (Reset) Kind() Kind           { return KindReset }
func (MailCode) Kind() Kind        { return KindMailCode }
func (Setup) Kind() Kind           { return KindSetup }
func (PasswordChanged) Kind() Kind { return KindPasswordChanged }
func (FactorAdded) Kind() Kind     { return KindFactorAdded }
func (FactorRemoved) Kind() Kind   { return KindFactorRemoved }
func (FactorDisabled) Kind() Kind  { return KindFactorDisabled }
func (RecoveryUsed) Kind() Kind    { return KindRecoveryUsed }
func (NewDevice) Kind() Kind       { return KindNewDevice }
func (AccessCode) Kind() Kind      { return KindAccessCode }
func (RoleChanged) Kind() Kind     { return KindRoleChanged }

func (d PasswordChanged) WithNotMe(token string) Data { d.NotMe = token; return d }
func (d FactorAdded) WithNotMe(token string) Data     { d.NotMe = token; return d }
func (d FactorRemoved) WithNotMe(token string) Data   { d.NotMe = token; return d }
func (d FactorDisabled) WithNotMe(token string) Data  { d.NotMe = token; return d }
func (d RecoveryUsed) WithNotMe(token string) Data    { d.NotMe = token; return d }
func (d NewDevice) WithNotMe(token string) Data       { d.NotMe = token; return d }
func (d AccessCode) WithNotMe(token string) Data      { d.NotMe = token; return d }
