// Package signin is the heart: it owns attempts, the way from one step to the next, and sessions.
//
//	Begin ──> attempt ──> [ answer a step ──> facts ──> policy.Decide ──> next step stored ]* ──> finish ──> session
//	                                                              └──> refused, in plain words
//
// Only policy.Decide says what is next; only finish makes a session. A step's answer is taken when Decide asks for that step now, so no
// step can be skipped by calling a later one. Tries are counted before anything is compared (package throttle), what takes time is
// computed outside transactions, and a thing that is good once is spent in the transaction of its effect.
package signin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// Desk runs sign-ins and sessions.
type Desk struct {
	DB     *sqldb.DB
	Book   *audit.Book
	Guard  access.Guard
	Gate   throttle.Gate
	Queue  *outbox.Queue
	Vault  *secret.Vault
	Hasher *secret.Hasher
	Now    func() time.Time

	Relying  *factor.Relying  // of passkeys and security keys
	Breached *factor.Breached // nil: none
}

// Start is what a sign-in begins with.
type Start struct {
	General    bool    // at the general page: the organisation is asked for with the password
	Org        org.Org // zero when no organisation has that tenant domain
	Slug       string
	Identifier string
	To         string // path to go on to; empty: the organisation's dashboard
	Client     access.Client
}

// Progress is where a sign-in stands after an answer.
type Progress struct {
	Attempt  Attempt
	Decision policy.Decision
	Key      Key       // as the browser has to hold it from now on
	Finished *Finished // when the sign-in is over and done
}

// Finished is a sign-in that made a session.
type Finished struct {
	Session Session
	Secret  secret.Text // for the session cookie
	Device  secret.Text // for the device cookie; empty when the browser's is good
	To      string      // path to go to
	Choose  string      // tenant domain that can be entered in two ways, for the chooser; empty: nothing to choose
}

// mostIdentifier is the longest identifier that is looked at, in bytes.
const mostIdentifier = 254

// Begin starts a sign-in with an identifier. It tells nothing about the identifier: the next step is the password, always. The refusal is
// at the field "identifier".
func (d *Desk) Begin(ctx context.Context, st Start) (Progress, error) {
	st.Identifier = strings.TrimSpace(st.Identifier)
	if st.Identifier == "" {
		return Progress{}, refusal.Field("identifier", "login.identifier.missing")
	}
	if len(st.Identifier) > mostIdentifier {
		return Progress{}, refusal.Field("identifier", "login.identifier.long")
	}
	if st.Org.ID != "" { // one spelling, so that tries under all of them are counted together
		st.Slug = st.Org.Slug
	}
	now := d.Now()
	a := Attempt{ID: id.New[id.Attempt](now), Org: st.Org.ID, Identifier: st.Identifier, State: "open", Step: policy.AskPassword,
		Created: now, Expires: now.Add(attemptLife), Proved: st.proved()}
	s := secret.Token("dwt_")
	err := d.DB.Write(ctx, func(tx sqldb.Tx) error {
		// Attempts are rows that a stranger can cause; their number per address is bounded.
		if _, err := d.Gate.TakeIn(tx, throttle.Requests("attempts", st.Client.Address, 3000, 10*time.Minute)); err != nil {
			return err
		}
		if a.Org != "" {
			acc, ok, err := account.ByIdentifier(tx, a.Org, a.Identifier)
			if err != nil {
				return err
			}
			if ok && !acc.Linked() { // a linked account's password lives elsewhere: here it is nobody, and answered so
				a.Account = acc.ID
			}
		}
		return insertAttempt(tx, a, s)
	})
	if err != nil {
		return Progress{}, err
	}
	return Progress{Attempt: a, Decision: policy.Decision{Step: policy.AskPassword}, Key: Key{a.ID, s}}, nil
}

// proved is what an attempt that begins so knows besides its columns.
func (st Start) proved() Proved {
	p := Proved{General: st.General, Slug: st.Slug, To: st.To}
	if !st.General { // there it is known once the organisation is
		p.Target = targetOf(st.To, st.Slug)
	}
	return p
}

// targetOf returns the tenant domain that a path leads into, when it is another than the sign-in's own.
func targetOf(to, slug string) string {
	rest, ok := strings.CutPrefix(to, "/o/")
	if !ok {
		return ""
	}
	other, _, _ := strings.Cut(rest, "/")
	if key, fault := org.FoldSlug(other); fault == nil {
		other = key
	}
	if own, fault := org.FoldSlug(slug); fault == nil && own == other {
		return ""
	}
	return other
}

// View is what the page of an attempt's present step shows.
type View struct {
	Attempt  Attempt
	Decision policy.Decision
	Org      org.Org // zero when it does not exist
	Account  account.Account
	Setup    factor.TOTPSetup  // with policy.EnrolTOTP
	Options  json.RawMessage   // with policy.AskPasskey, policy.EnrolPasskey: what the browser needs
	Codes    []string          // with policy.ShowRecovery
	Ways     []policy.Step     // what can stand for the second factor, when one is asked for
	Remember time.Duration     // how long this device may be remembered; 0: not at all
	MayEnrol []policy.Kind     // with policy.ChooseFactor
	Deadline time.Time         // with policy.Notice: when a second factor will be demanded
	Refused  org.Org           // with a refusal: the organisation that does not let the person in
	Asks     []account.Account // whom to ask there
}

// View reads an attempt and what is next, and changes nothing.
func (d *Desk) View(ctx context.Context, k Key) (View, error) {
	tx := d.DB.Read(ctx)
	a, err := load(tx, k)
	if err != nil {
		return View{}, err
	}
	if a.State != "refused" {
		if err := d.still(a); err != nil {
			return View{}, err
		}
	}
	about := a
	if a.State == "open" && !a.proved() { // then Decide asks for the password, whoever it is: nothing of them is read
		about.Account = ""
	}
	s, err := d.look(tx, about)
	if err != nil {
		return View{}, err
	}
	v := View{Attempt: a, Org: s.Org, Account: s.Account, Decision: policy.Decide(s.Facts)}
	if a.State == "refused" {
		v.Decision = policy.Decision{Step: policy.Refuse, Reason: policy.Reason(a.Proved.Reason)}
	}
	switch v.Decision.Step {
	case policy.EnrolTOTP:
		var ok bool
		if v.Setup, ok, err = factor.PendingTOTP(tx, d.Vault, a.Account, s.Org.Name, s.Account.Email); err == nil && !ok {
			v.Decision = policy.Decision{Step: policy.ChooseFactor}
		}
	case policy.AskTOTP, policy.AskPasskey, policy.AskRecovery, policy.AskAccessCode:
		v.Ways, v.Options = policy.Ways(s.Facts), a.Proved.Options
		if !s.Facts.Administrative {
			v.Remember = s.Facts.Rules.Remember
		}
	case policy.EnrolPasskey:
		v.Options = a.Proved.Options
	case policy.ChooseFactor:
		v.MayEnrol = s.Facts.Rules.MayEnrol()
	case policy.Notice:
		v.Deadline, _ = s.Facts.Deadline()
	case policy.ShowRecovery:
		v.Codes, err = d.shownCodes(a)
	case policy.Refuse:
		if v.Refused = s.Org; s.Target.Reason != "" {
			v.Refused = s.Target.Org
		}
		v.Asks, err = account.Administrators(tx, v.Refused.ID, d.Now())
	}
	return v, err
}

// answer takes the answer to one step inside a transaction: prove has the effect, and changes the attempt's proofs; then Decide says what
// is next. Whatever has changed since the page was shown counts: the facts are read here. An answer that prove calls wrong is counted and recorded,
// and the attempt stays where it is.
func (d *Desk) answer(ctx context.Context, k Key, step policy.Step, client access.Client, held Held,
	prove func(tx sqldb.Tx, a *Attempt, s *scene) error) (Progress, error) {
	var p Progress
	var wrong *wrongAnswer
	err := d.DB.Write(ctx, func(tx sqldb.Tx) error {
		p, wrong = Progress{}, nil
		a, s, err := d.due(tx, k, step)
		if err != nil {
			return err
		}
		seq := a.head
		if err := prove(tx, &a, &s); errors.As(err, &wrong) {
			return d.failedIn(tx, a, step, client, wrong.around...)
		} else if err != nil {
			return err
		}
		p, err = d.advance(tx, k, a, s, seq, client, held)
		return err
	})
	switch {
	case err != nil: // nothing was stored, so the browser's key is still the one that it holds
		return Progress{}, err
	case wrong != nil:
		return Progress{}, wrong.error
	}
	return p, nil
}

// wrongAnswer is what a prove returns for an answer that is not right: the rest of what it did is kept. around are the counters of failures that
// it adds to.
type wrongAnswer struct {
	error
	around []throttle.Key
}

// due returns an attempt whose step may be answered now, and everything around it.
func (d *Desk) due(tx sqldb.Tx, k Key, step policy.Step) (a Attempt, s scene, err error) {
	if a, err = d.open(tx, k); err != nil {
		return a, s, err
	}
	if step != policy.AskPassword && !a.proved() { // Decide asks for the password, whoever it is: nothing of them is read
		return a, s, ErrStartAgain
	}
	if s, err = d.look(tx, a); err == nil && !policy.Allows(s.Facts, step) {
		err = ErrStartAgain
	}
	return a, s, err
}

// advance asks Decide what is next and stores it, or finishes. before is what was seen in the transaction so far.
func (d *Desk) advance(tx sqldb.Tx, k Key, a Attempt, before scene, seq int64, client access.Client, held Held) (Progress, error) {
	s, err := d.lookAgain(tx, a, before)
	if err != nil {
		return Progress{}, err
	}
	dec := policy.Decide(s.Facts)
	a.Step = dec.Step
	fresh := secret.Token("dwt_")
	p := Progress{Decision: dec, Key: Key{k.ID, fresh}}
	switch dec.Step {
	case policy.FinishSession:
		a.State = "finished"
		if err := save(tx, a, fresh); err != nil {
			return p, err
		}
		if p.Finished, err = d.finish(tx, a, s, seq, client, held); err != nil {
			return p, err
		}
	case policy.Refuse:
		a.State, a.Proved.Reason, a.Proved.Request = "refused", string(dec.Reason), audit.Request(tx.Context())
		if err := save(tx, a, fresh); err != nil {
			return p, err
		}
		if err := audit.Record(tx, d.Now(), audit.Event{Org: a.Org, Action: audit.SignInRefused, Outcome: audit.Refused, Reason: string(dec.Reason),
			Actor: personActor(s.Account, client), Target: audit.TargetOf(a.Account)}); err != nil {
			return p, err
		}
	case policy.AskPasskey:
		if a.Proved.Question == nil {
			if err := d.ask(tx, &a); err != nil {
				return p, err
			}
		}
		if err := save(tx, a, fresh); err != nil {
			return p, err
		}
	case policy.ProveMailbox:
		if a.Proved.MailCode == nil {
			if err := d.mailCode(tx, &a); err != nil {
				return p, err
			}
		}
		fallthrough
	default:
		if err := save(tx, a, fresh); err != nil {
			return p, err
		}
	}
	p.Attempt = a
	return p, nil
}

func personActor(a account.Account, c access.Client) access.Actor {
	return access.Actor{Kind: access.AccountActor, Account: a.ID, Org: a.Org, Name: a.Email, Client: c}
}

// failed records a wrong answer and returns err. It stands in the organisation's log, or the provider's when there is no such
// organisation, so that every answer costs the same.
func (d *Desk) failed(ctx context.Context, a Attempt, step policy.Step, client access.Client, err error, around ...throttle.Key) error {
	return errors.Join(err, d.DB.Write(ctx, func(tx sqldb.Tx) error { return d.failedIn(tx, a, step, client, around...) }))
}

// failedIn is failed in the caller's transaction.
func (d *Desk) failedIn(tx sqldb.Tx, a Attempt, step policy.Step, client access.Client, around ...throttle.Key) error {
	full, err := throttle.Failed(tx, d.Now(), around...)
	if err != nil {
		return err
	}
	o := a.Org
	if o == "" {
		provider, err := org.Provider(tx)
		if err != nil {
			return err
		}
		o = provider.ID
	}
	for _, k := range full { // one line for what fills the log with single failures: from one address, or at one organisation
		if err := audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.SignInSpray, Outcome: audit.Refused, Reason: k.Kind(),
			Actor: access.Visitor(client), Data: map[string]any{"failures": k.Limit()}}); err != nil {
			return err
		}
	}
	e := audit.Event{Org: o, Action: audit.SignInFailed, Outcome: audit.Refused, Reason: string(step), Actor: access.Visitor(client),
		Person: map[string]any{"identifier": a.Identifier}}
	if a.Account != "" {
		e.Target = audit.TargetOf(a.Account)
	}
	return audit.Record(tx, d.Now(), e)
}

// errPassword is the one message for unknown, disabled, invited and wrong.
var errPassword = refusal.Field("password", "login.password.wrong")

// Password answers the password step of an attempt whose organisation is known.
func (d *Desk) Password(ctx context.Context, k Key, typed secret.Text, client access.Client, held Held) (Progress, error) {
	return d.PasswordAt(ctx, k, "", typed, client, held)
}

// PasswordAt answers the password step. Every answer that is not right costs one hash computation and reads alike. tenant is the tenant domain, or
// the address, that was typed with it; it counts for an attempt of the general page alone, which without a password goes on to the organisation's own.
func (d *Desk) PasswordAt(ctx context.Context, k Key, tenant string, typed secret.Text, client access.Client, held Held) (Progress, error) {
	read := d.DB.Read(ctx)
	a, err := d.open(read, k)
	if err != nil {
		return Progress{}, err
	}
	if a.Proved.Password > 0 {
		return Progress{}, ErrStartAgain
	}
	if a.Unplaced() {
		slug, fault := d.Tenant(tenant)
		switch {
		case fault != nil:
			return Progress{}, fault
		case typed == "":
			return d.toOwn(ctx, k, slug, client)
		}
		if err := d.settle(read, &a, slug); err != nil {
			return Progress{}, err
		}
	}
	if typed == "" {
		return Progress{}, refusal.Field("password", "password.missing")
	}
	if len(typed) > 4096 { // refused unhashed
		return Progress{}, refusal.Field("password", "password.too_long", "Most", policy.MaxLength)
	}
	tries := throttle.Unknown(a.Proved.Slug, account.FoldIdentifier(a.Identifier))
	if a.Account != "" {
		tries = account.PasswordTries(a.Account)
	}
	around := a.around(client)
	if err := d.Gate.Blocked(read, around...); err != nil {
		return Progress{}, err
	}
	failures, err := d.Gate.Take(ctx, tries)
	if err != nil {
		return Progress{}, err
	}
	var phc string
	var f id.Factor
	if a.Account != "" {
		if phc, f, err = factor.PasswordOf(read, a.Account); err != nil {
			return Progress{}, err
		}
	}
	if failures > throttle.Disable { // disabled until it is bound again by a mailed reset; the comparison costs the same
		phc = ""
	}
	typed = factor.Normalize(typed)
	// Asked again once a slot is free: of a thousand tries that came in at once, only a few may pass the limit.
	ok, rehash, err := d.Hasher.Verify(ctx, typed, phc, func() error { return d.Gate.Blocked(read, around...) })
	if err != nil {
		return Progress{}, err
	}
	if !ok {
		if failures == throttle.Disable && f != "" {
			err = d.disableFactor(ctx, a, f, factor.Password)
		}
		return Progress{}, errors.Join(d.failed(ctx, a, policy.AskPassword, client, errPassword, around...), err)
	}
	var better string
	if rehash {
		if better, err = d.Hasher.Hash(ctx, typed); err != nil {
			return Progress{}, err
		}
	}
	settled := a
	return d.answer(ctx, k, policy.AskPassword, client, held, func(tx sqldb.Tx, a *Attempt, s *scene) error {
		if a.Unplaced() {
			if err := a.settleAs(tx, settled); err != nil {
				return err
			}
		}
		// The password may have been changed while it was compared.
		now, g, err := s.password(tx, a.Account)
		if err != nil || now != phc || g != f {
			return errors.Join(err, ErrStartAgain)
		}
		s.steady = true
		if better != "" {
			if err := factor.Rehash(tx, f, better); err != nil {
				return err
			}
		}
		a.Proved.Password = sqldb.Micros(d.Now())
		if device, ok, err := recognised(tx, a.Account, held.Device); err != nil {
			return err
		} else if ok {
			a.Proved.Device = string(device.ID)
		}
		return throttle.Clear(tx, tries)
	})
}

func (d *Desk) disableFactor(ctx context.Context, a Attempt, f id.Factor, kind factor.Kind) error {
	return d.DB.Write(ctx, func(tx sqldb.Tx) error {
		if done, err := factor.Disable(tx, f); err != nil || !done { // whoever tried at the same moment did, and told
			return err
		}
		if err := account.Tell(tx, d.Queue, a.Org, a.Account, outbox.FactorDisabled{Factor: string(kind), At: d.Now()}); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: a.Org, Action: audit.FactorDisabled, Actor: access.System(), Target: audit.TargetOf(a.Account),
			Data: map[string]any{"factor": string(kind)}})
	})
}

// Choose answers the step that asks which second factor to enrol. Choosing again, from the page of the one chosen first, is allowed.
func (d *Desk) Choose(ctx context.Context, k Key, method string, client access.Client) (Progress, error) {
	if method != string(factor.TOTP) && method != string(factor.Passkey) {
		return Progress{}, refusal.Field("method", "login.enrol.unknown")
	}
	return d.answer(ctx, k, policy.ChooseFactor, client, Held{}, func(tx sqldb.Tx, a *Attempt, s *scene) error {
		if !slices.Contains(s.Facts.Rules.MayEnrol(), policy.Kind(method)) {
			return refusal.Field("method", "login.enrol.not_allowed")
		}
		return d.beginEnrolment(tx, a, *s, method)
	})
}

// Notice answers the notice of a second factor that will be demanded: now enrols one right there, later goes on.
func (d *Desk) Notice(ctx context.Context, k Key, now bool, client access.Client, held Held) (Progress, error) {
	return d.answer(ctx, k, policy.Notice, client, held, func(_ sqldb.Tx, a *Attempt, _ *scene) error {
		a.Proved.SetUp, a.Proved.Noticed = now, !now
		return nil
	})
}

// beginEnrolment makes the pending factor of a kind.
func (d *Desk) beginEnrolment(tx sqldb.Tx, a *Attempt, s scene, method string) error {
	a.Proved.Enrolling, a.Proved.Options = method, nil
	if method == string(factor.TOTP) {
		_, err := factor.BeginTOTP(tx, d.Vault, d.Now(), a.Org, a.Account, s.Org.Name, s.Account.Email)
		return err
	}
	var err error
	a.Proved.Options, err = d.Relying.Begin(tx, d.Now(), a.Org, a.Account, s.Account.Email, s.Account.Name)
	return err
}

// EnrolTOTP answers the step that asks for the first code of a new authenticator app: it becomes active, what vouched for the mailbox is
// spent, and the person is mailed.
func (d *Desk) EnrolTOTP(ctx context.Context, k Key, typed string, client access.Client, held Held) (Progress, error) {
	code, fault := factor.CleanCode(typed)
	if fault != nil {
		return Progress{}, fault
	}
	a, around, err := d.takeCode(ctx, k, policy.EnrolTOTP, "enrol-totp", client)
	if err != nil {
		return Progress{}, err
	}
	var codes *factor.RecoverySet
	if fits, err := factor.FitsPending(d.DB.Read(ctx), d.Vault, d.Now(), a.Account, code); err != nil {
		return Progress{}, err
	} else if fits {
		if codes, err = d.makeCodes(ctx, a.Account); err != nil {
			return Progress{}, err
		}
	}
	p, err := d.answer(ctx, k, policy.EnrolTOTP, client, held, func(tx sqldb.Tx, a *Attempt, s *scene) error {
		if err := d.activateTOTP(tx, s.Org, s.Account, personActor(s.Account, client), code, ""); err != nil {
			return err
		}
		a.Proved.Second, a.Proved.Method, a.Proved.Enrolling = sqldb.Micros(d.Now()), string(factor.TOTP), ""
		if err := d.keepCodes(tx, a, personActor(s.Account, client), codes); err != nil {
			return err
		}
		return throttle.Clear(tx, account.CodeTries("enrol-totp", a.Account))
	})
	if refusal.Is(err, refusal.Invalid) {
		return p, d.failed(ctx, a, policy.EnrolTOTP, client, err, around...)
	}
	return p, err
}

// activateTOTP proves a pending app, spends the link that vouched, and tells the person.
func (d *Desk) activateTOTP(tx sqldb.Tx, o org.Org, acc account.Account, actor access.Actor, code secret.Text, name string) error {
	now := d.Now()
	f, err := factor.ProveTOTP(tx, d.Vault, now, acc.ID, factor.Pending, code, name)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`update accounts set link_used_at = 0 where id = $1 and org_id = $2`, acc.ID, o.ID); err != nil {
		return err
	}
	if err := throttle.Clear(tx, account.CodeTries(string(factor.TOTP), acc.ID)); err != nil { // bound again: its failures begin anew
		return err
	}
	if err := distrust(tx, acc.ID); err != nil {
		return err
	}
	if err := outbox.Discard(tx, acc.ID, outbox.KindDeadline); err != nil { // a reminder on its way is of no use any more
		return err
	}
	if err := account.Tell(tx, d.Queue, o.ID, acc.ID, outbox.FactorAdded{Factor: string(factor.TOTP), Name: name, At: now}); err != nil {
		return err
	}
	return audit.Record(tx, now, audit.Event{Org: o.ID, Action: audit.FactorEnrolled, Actor: actor, Target: audit.TargetOf(acc.ID),
		Data: map[string]any{"factor": string(factor.TOTP), "id": string(f)}})
}
