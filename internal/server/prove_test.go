package server_test

import (
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
)

// The fresh proof belongs to the own account, the interrupted form to the customer in which the technician works: both arrive.
func TestStepUpInACustomer(t *testing.T) {
	doortest.On(t, func(t *testing.T, w *doortest.World) {
		founded, _ := w.Found()
		msp := w.Org(access.MSP, founded.Org.ID, "contoso", "Contoso IT")
		customer := w.Org(access.Customer, msp.ID, "fabrikam", "Fabrikam")
		tech := w.Enrol(msp, "tech@contoso.example", access.Administrator)
		b := w.Browser()
		b.SignIn(tech).Want("dashboard")
		w.Clock.Move(11 * time.Minute)

		b.Get("/o/fabrikam/users/invite").Submit("emails", "carl@fabrikam.example", "roles", access.Administrator).Want("prove")
		b.Submit("proof_code", "000000").WantStatus(422).Want("prove")
		b.Submit("proof_code", tech.Code()).Want("prove.resume").Submit().Want("users")
		if n := w.Count(`select count(*) from accounts where org_id = $1 and email_key = 'carl@fabrikam.example'`, customer.ID); n != 1 {
			t.Error("the interrupted invitation was lost")
		}
	})
}
