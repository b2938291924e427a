package entry

import (
	"net/url"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/page/pagetest"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/signin"
)

// Every template fits its document and renders in all languages: for an organisation and for one that does not exist, with errors
// and without.
func TestTemplates(t *testing.T) {
	kit := pagetest.Kit(t)
	set, err := (&Entry{Kit: kit}).Pages()
	if err != nil {
		t.Fatal(err)
	}
	pagetest.Check(t, kit, set, samples(t))
}

// BenchmarkRender is the pages of a sign-in with password and app; the console has the one that follows.
func BenchmarkRender(b *testing.B) {
	kit := pagetest.Kit(b)
	set, err := (&Entry{Kit: kit}).Pages()
	if err != nil {
		b.Fatal(err)
	}
	docs := samples(b)
	for _, name := range []string{"login.identifier", "login.password", "login.totp"} {
		pagetest.Bench(b, kit, set, name, docs[name][0])
	}
}

// samples has for each page the documents that it can show.
func samples(t testing.TB) map[string][]page.Doc {
	t.Helper()
	contoso := org.Org{ID: id.New[id.Org](pagetest.Now), Kind: access.MSP, Slug: "contoso", Name: "Contoso & Söhne"}
	fabrikam := org.Org{ID: id.New[id.Org](pagetest.Now), Kind: access.Customer, Slug: "fabrikam", Name: "<b>Fabrikam</b>"}
	here, nowhere := place{Org: fabrikam, Slug: "fabrikam"}, place{Slug: "no-such-place"}
	me := &page.Me{Name: "Ada O’Neil", Email: "ada@contoso.example", OrgName: contoso.Name, Href: contoso.HomePath()}
	failed := func(b page.Base, faults ...*refusal.Error) page.Base {
		b.Form = page.FormOf(url.Values{"identifier": {"ada"}, "password": {"secret"}}, refusal.All(faults...), "password")
		return b
	}
	qr, err := page.DrawQR("otpauth://totp/Contoso:ada?secret=ABCDEFGH")
	if err != nil {
		t.Fatal(err)
	}

	docs := map[string][]page.Doc{
		"activate.done": {&linkDoc{Base: here.base("activate.done", "activate.done.title"), Login: here.path("login")}},
		"activate.expired": {
			&linkDoc{Base: here.base("activate.expired", "activate.expired.title"), Action: "/activate/x/again", Login: here.path("login")},
			&linkDoc{Base: place{}.base("activate.expired", "activate.expired.title"), Action: "/activate/x/again"},
		},
		"activate.sent": {
			&linkDoc{Base: here.base("activate.sent", "activate.sent.title"), Login: here.path("login")},
			&linkDoc{Base: place{}.base("activate.sent", "activate.sent.title")},
		},
		"forgot": {
			&forgotDoc{Base: nowhere.base("forgot", "forgot.title"), Login: nowhere.path("login")},
			&forgotDoc{Base: failed(here.base("forgot", "forgot.title"), refusal.Field("identifier", "login.identifier.missing")), Login: here.path("login")},
		},
		"forgot.sent": {&linkDoc{Base: here.base("forgot.sent", "forgot.sent.title"), Login: here.path("login")}},
		"not-me":      {&notMeDoc{Base: here.base("not-me", "not-me.title"), Action: "x", Email: "ada@fabrikam.example"}},
		"confirm-email": {&confirmEmailDoc{Base: here.base("confirm-email", "confirm-email.title"), Action: "x", Old: "ada@fabrikam.example", New: "ada.l@fabrikam.example"},
			&confirmEmailDoc{Base: failed(here.base("confirm-email", "confirm-email.title"), refusal.New(refusal.Conflict, "email.taken_meanwhile")), Old: "a", New: "b"}},
		"confirm-email.done": {&linkDoc{Base: here.base("confirm-email.done", "confirm-email.done.title"), Login: here.path("login")}},
		"not-me.done":        {&linkDoc{Base: here.base("not-me.done", "not-me.done.title"), Login: here.path("login")}},
	}

	for lead, offer := range map[string]string{"reset.expired.lead": "reset.expired.button", "setup-link.expired.lead": "reset.expired.button",
		"not-me.expired.lead": "not-me.expired.button"} {
		docs["link.expired"] = append(docs["link.expired"],
			&linkDoc{Base: here.base("error", "reset.expired.title"), Lead: lead, Offer: offer, Action: here.path("forgot"), Ref: "abcd1234"},
			&linkDoc{Base: place{}.base("error", "reset.expired.title"), Lead: lead, Offer: offer, Ref: "abcd1234"})
	}

	asked := anywhere().base("login.organisations", "organisations.title")
	docs["login.organisations"] = []page.Doc{&forgotDoc{Base: asked, Login: anywhere().path("login")},
		&forgotDoc{Base: failed(asked, refusal.Field("identifier", "email.form")), Login: anywhere().path("login")}}
	docs["forgot.sent"] = append(docs["forgot.sent"], &linkDoc{Base: anywhere().base("login.organisations.sent", "forgot.sent.title"), Login: "/login"})
	general := anywhere().base("login.password", "login.general.title")
	for _, tenant := range []string{"", "fabrikam"} {
		docs["login.password"] = append(docs["login.password"],
			&stepDoc{Base: general, Attempt: "att", Identifier: "ada", Restart: "/login", Forgot: anywhere().forgot(), Anywhere: true, Tenant: tenant},
			&stepDoc{Base: failed(general, refusal.Field("tenant", "login.tenant.form"), refusal.Field("password", "password.missing")),
				Attempt: "att", Identifier: "ada", Restart: "/login", Forgot: anywhere().forgot(), Anywhere: true, Tenant: tenant})
	}

	for _, name := range []string{"activate", "reset", setupPage} {
		base := here.base(name, name+".title", "Organisation", fabrikam.Name)
		rules := page.PasswordRules(15)
		docs["choose-password"] = append(docs["choose-password"],
			&passwordDoc{Base: base, Action: "x", Email: "ada@fabrikam.example", Rules: rules, Words: []string{"fabrikam", "ada"}},
			&passwordDoc{Base: base, Action: "x", Email: "ada@fabrikam.example", Rules: rules, Link: &linkOffer{Action: "x", Home: contoso.Name}},
			&passwordDoc{Base: base, Action: "x", Email: "ada@fabrikam.example", Rules: rules, Link: &linkOffer{Action: "x", Home: contoso.Name, Email: me.Email}},
			&passwordDoc{Base: base, Action: "x", Email: "ada@fabrikam.example", Rules: rules, Link: &linkOffer{Action: "x", Home: contoso.Name, Email: me.Email, Name: me.Name}},
			&passwordDoc{Base: failed(base, refusal.Field("new_password", "password.too_short", "Least", 15),
				refusal.Field("confirm_password", "password.differs")), Rules: rules})
	}

	for _, p := range []place{here, nowhere} {
		welcome := &welcomeDoc{Base: p.base("welcome", "welcome.title"), Login: p.path("login")}
		named := &welcomeDoc{Base: p.base("welcome", "welcome.title_org", "Organisation", contoso.Name), Login: p.path("login")}
		named.Me = me
		docs["welcome"] = append(docs["welcome"], welcome, named)

		login := p.base("login.identifier", "login.identifier.title")
		again := &identifierDoc{Base: failed(login, refusal.Wait(4*time.Minute)), To: "/me", Forgot: p.path("forgot"),
			ParentName: contoso.Name, ParentHref: "x"}
		again.Me = me
		refused := &identifierDoc{Base: failed(login, factor.ErrPasskeyUV), Forgot: p.path("forgot"), Passkey: p.path("login/passkey")}
		docs["login.identifier"] = append(docs["login.identifier"],
			&identifierDoc{Base: anywhere().base("login.identifier", "login.identifier.title"), Anywhere: true, Forgot: anywhere().forgot(), Passkey: "/login/passkey-start"},
			&identifierDoc{Base: login, Forgot: p.path("forgot"), Passkey: p.path("login/passkey")}, again, refused)
	}

	for step, at := range stepPages {
		if step == policy.Refuse {
			continue
		}
		base := here.base(at.name, at.title)
		doc := stepDoc{Base: base, Attempt: "att", Identifier: "ada@fabrikam.example", Restart: here.path("login"), Forgot: here.path("forgot")}
		switch step {
		case policy.ChooseFactor:
			doc.MayEnrol = policy.Kinds()
		case policy.Notice:
			doc.notice(here, pagetest.Now.Add(30*time.Hour), pagetest.Now)
		case policy.ProveMailbox:
			doc.Email = veil("ada@fabrikam.example")
		case policy.EnrolTOTP:
			doc.Key, doc.QR = []string{"ABCD", "EFGH"}, qr
		}
		wrong := doc
		wrong.Base = failed(base, refusal.Field("code", "code.wrong"), refusal.Field("password", "login.password.wrong"),
			refusal.Field("method", "login.enrol.unknown"), factor.ErrPasskeyUV, refusal.Field("saved", "recovery.confirm"),
			refusal.Field("choice", "login.enrol.unknown"), refusal.Field("name", "text.long", "Most", 60))
		wrong.Ways, wrong.Remember = nil, 0
		docs[at.name] = append(docs[at.name], &doc, &wrong)
	}

	administrators := []account.Account{{Name: "Bea", Email: "bea@fabrikam.example"}, {Email: "carl@fabrikam.example"}}
	for _, reason := range []policy.Reason{policy.NotAdded, policy.NoRole, policy.AccessEnded, policy.AccountDisabled, policy.OrgSuspended,
		policy.OrgDeleting, policy.FactorDisabled} {
		for _, asks := range [][]account.Account{administrators, nil} {
			doc := &stepDoc{Base: here.base("login.denied", ""), Identifier: "ada@fabrikam.example", Restart: here.path("login"), Ref: "abcd1234"}
			doc.refuse(here, signin.View{Refused: fabrikam, Decision: policy.Decision{Step: policy.Refuse, Reason: reason}, Asks: asks,
				Attempt: signin.Attempt{Proved: signin.Proved{Target: "northwind"}}})
			docs["login.denied"] = append(docs["login.denied"], doc)
		}
	}
	return docs
}
