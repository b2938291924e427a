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
)

// Data is the typed content of a mail. It is sealed in its row and erased when the row is delivered, given up or expired.
type Data interface{ Kind() Kind }

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

// PasswordChanged tells that the account has a new password.
type PasswordChanged struct{ At time.Time }

// FactorAdded tells that the account has a new second factor.
type FactorAdded struct {
	Factor string // factor kind: "totp", "passkey"
	Name   string
	At     time.Time
}

// FactorRemoved tells that second factors of the account are gone.
type FactorRemoved struct {
	Factors []string // factor kinds
	By      string   // who, when it was an administrator or the operator; empty when the person did
	Reason  string   // as the administrator typed it, may be empty
	At      time.Time
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
func (PasswordChanged) Kind() Kind { return KindPasswordChanged }
func (FactorAdded) Kind() Kind     { return KindFactorAdded }
func (FactorRemoved) Kind() Kind   { return KindFactorRemoved }
func (RoleChanged) Kind() Kind     { return KindRoleChanged }
