package access

import (
	"time"

	"doorward/internal/id"
	"doorward/internal/refusal"
)

// ActorKind says what kind of party does something.
type ActorKind string

// The kinds of actors.
const (
	AccountActor  ActorKind = "account"  // a signed-in person
	OperatorActor ActorKind = "operator" // the command line: may do what the provider's Administrator may, everywhere
	LinkActor     ActorKind = "link"     // the holder of a one-time link: only its purpose
	SystemActor   ActorKind = "system"   // Doorward itself, on a schedule
	VisitorActor  ActorKind = "visitor"  // nobody known yet: someone at a sign-in page
)

// Client is where a request comes from, as far as it can be believed.
type Client struct {
	Address   string // IP address, after trusted proxies
	UserAgent string
}

// Actor is who does something. It is an explicit argument of every operation.
type Actor struct {
	Kind     ActorKind
	Account  id.Account // with AccountActor; with LinkActor whose link it is
	Org      id.Org     // the account's own organisation
	Session  id.Session // with AccountActor
	ProvedAt time.Time  // with AccountActor: when the strongest factor was last proved
	Name     string     // with OperatorActor: the system user; with AccountActor the address
	Client   Client
}

// Operator returns the actor of the command line.
func Operator(systemUser string) Actor { return Actor{Kind: OperatorActor, Name: systemUser} }

// System returns Doorward itself as the actor.
func System() Actor { return Actor{Kind: SystemActor} }

// Visitor returns someone unknown who is asking from there.
func Visitor(c Client) Actor { return Actor{Kind: VisitorActor, Client: c} }

// Holder returns the holder of an account's one-time link.
func Holder(account id.Account, org id.Org, c Client) Actor {
	return Actor{Kind: LinkActor, Account: account, Org: org, Client: c}
}

// StepUpAge is how long a proof of identity serves for operations on the step-up list of security.md.
const StepUpAge = 10 * time.Minute

// Fresh tells whether the actor's proof of identity serves for a sensitive operation at that time. The command line's is its access
// to the machine.
func (a Actor) Fresh(now time.Time) bool {
	return a.Kind != AccountActor || now.Sub(a.ProvedAt) <= StepUpAge
}

// RequireFresh returns a StepUp refusal when the actor's proof is too old for a sensitive operation.
func (a Actor) RequireFresh(now time.Time) error {
	if !a.Fresh(now) {
		return refusal.New(refusal.StepUp, "error.step_up")
	}
	return nil
}
