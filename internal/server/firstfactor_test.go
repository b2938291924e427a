package server_test

import (
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
)

// Where no second factor is demanded, a session that a password alone opened enrols none once the last link has stopped vouching for the
// mailbox; a link from a mail changes that (mission C1).
func TestFirstFactorTakesMoreThanThePassword(t *testing.T) {
	doortest.On(t, func(t *testing.T, w *doortest.World) {
		founded, _ := w.Found()
		msp := w.Org(access.MSP, founded.Org.ID, "contoso", "Contoso IT")
		w.Exec(`update orgs set settings = '{"second_factor":"off"}' where id = $1`, msp.ID)
		p := w.Activate(msp, "ada@contoso.example", access.Viewer)
		w.Clock.Move(72 * time.Hour)
		b := w.Browser()
		b.Password(p).Want("dashboard")
		for _, form := range []string{"/me/security/app", "/me/security/key"} {
			b.Post(form, nil).Want("me.security")
			if n := w.Count(`select count(*) from factors where account_id = $1 and kind <> 'password'`, p.Account); n != 0 {
				t.Errorf("%s made a factor for a password alone", form)
			}
		}
		b.Get("/o/contoso/forgot").Submit("identifier", p.Email).Want("forgot.sent")
		link := w.Mailbox.Wait(p.Email, "reset", 1).Link("/reset/")
		b.Get(link).Want("reset").Submit("new_password", doortest.Password, "confirm_password", doortest.Password).Want("login.identifier")
		b.Password(p).Want("dashboard")
		b.Post("/me/security/app", nil).Want("me.security.app")
	})
}
