package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"doorward/internal/config"
	"doorward/internal/doortest"
	"doorward/internal/server"
	"doorward/internal/sqldb"
)

// A machine that dies in the middle of two hundred invitations leaves each of them whole or not at all, and none lost that was told.
func TestKilledWhileInviting(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "doorward")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "doorward/cmd/doorward").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, d := range databases {
		t.Run(string(d), func(t *testing.T) {
			database, dir := doortest.Database(t, d)
			command := func(ctx context.Context, args ...string) *exec.Cmd {
				c := exec.CommandContext(ctx, binary, args...)
				c.Env = append(os.Environ(), "DOORWARD_DATA="+dir, "DOORWARD_DATABASE="+database, "DOORWARD_ARGON2=m=64,t=1,p=1")
				return c
			}
			for _, args := range [][]string{
				{"init", "--provider", "Acme", "--slug", "acme", "--admin", "root@acme.example"},
				{"org", "create", "--kind", "msp", "--parent", "acme", "--slug", "contoso", "--name", "Contoso IT"},
			} {
				if out, err := command(t.Context(), args...).CombinedOutput(); err != nil {
					t.Fatalf("%v: %v\n%s", args, err, out)
				}
			}
			settings := config.Settings{PublicURL: "http://localhost:8080", Data: dir, Database: database, MailDir: t.TempDir(), Argon2: "m=64,t=1,p=1"}
			h, err := server.Open(t.Context(), settings, nil, slog.New(slog.DiscardHandler), false)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := h.Close(); err != nil {
					t.Error(err)
				}
			}()
			count := func(query string, args ...any) int {
				t.Helper()
				n, err := sqldb.One(h.DB.Read(t.Context()), sqldb.Value[int], query, args...)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			// Processes that each invite a share of them, some one address at a time and telling after each; all are killed when a good
			// part is done.
			const processes, each = 4, 50
			ctx, kill := context.WithCancel(t.Context()) // CommandContext kills with SIGKILL
			defer kill()
			var all sync.WaitGroup
			var mu sync.Mutex
			told := map[string]bool{}
			for p := range processes {
				all.Go(func() {
					step := each
					if p%2 == 0 {
						step = 1
					}
					for from := 0; from < each && ctx.Err() == nil; from += step {
						args := []string{"user", "invite", "--org", "contoso", "--role", "viewer", "--json"}
						for i := from; i < from+step; i++ {
							args = append(args, fmt.Sprintf("p%d-%d@contoso.example", p, i))
						}
						var out bytes.Buffer
						c := command(ctx, args...)
						c.Stdout = &out
						if err := c.Run(); err != nil && ctx.Err() == nil {
							t.Errorf("%v: %v", args, err)
						}
						var list []struct{ Email, Error string }
						if json.Unmarshal(out.Bytes(), &list) != nil {
							continue // it died before it told anything
						}
						mu.Lock()
						for _, one := range list {
							told[one.Email] = one.Error == ""
						}
						mu.Unlock()
					}
				})
			}
			const invited = `select count(*) from accounts where email_key like 'p%@contoso.example'`
			for deadline := time.Now().Add(20 * time.Second); count(invited) < 60; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("only %d invitations in 20 seconds", count(invited))
				}
			}
			kill()
			all.Wait()

			n := count(invited)
			t.Logf("%d of %d invitations are there, %d were told", n, processes*each, len(told))
			if n < 60 || n == processes*each {
				t.Errorf("%d accounts: nothing was killed in the middle", n)
			}
			of := ` from accounts a where a.email_key like 'p%@contoso.example' and `
			for what, missing := range map[string]string{
				"a link":     `(select count(*) from links l where l.account_id = a.id and l.purpose = 'activate' and l.state = 'open') <> 1`,
				"a mail":     `(select count(*) from outbox o where o.account_id = a.id and o.kind = 'invite' and o.state = 'ready' and o.box is not null) <> 1`,
				"an event":   `(select count(*) from events e where e.target_id = a.id and e.action = 'account.invited' and e.org_id = a.org_id) <> 1`,
				"its detail": `(select count(*) from events e join event_persons p on p.event_id = e.id where e.target_id = a.id and e.action = 'account.invited') <> 1`,
				"a role":     `(select count(*) from assignments s where s.account_id = a.id and s.role = 'viewer') <> 1`,
			} {
				if n := count(`select count(*)` + of + missing); n != 0 {
					t.Errorf("%d accounts are without %s", n, what)
				}
			}
			// And nothing lies about without its account.
			for what, orphans := range map[string]string{
				"links":  `select count(*) from links l where not exists (select 1 from accounts a where a.id = l.account_id)`,
				"mails":  `select count(*) from outbox o where not exists (select 1 from accounts a where a.id = o.account_id)`,
				"roles":  `select count(*) from assignments s where not exists (select 1 from accounts a where a.id = s.account_id)`,
				"events": `select count(*) from events e where e.action = 'account.invited' and not exists (select 1 from accounts a where a.id = e.target_id)`,
			} {
				if n := count(orphans); n != 0 {
					t.Errorf("%d %s are without their account", n, what)
				}
			}
			if used, there := count(`select s.used from seats s join orgs o on o.id = s.org_id where o.slug = 'contoso'`), n; used != there {
				t.Errorf("%d seats are taken by %d accounts", used, there)
			}
			for email, good := range told {
				if good != (count(`select count(*) from accounts where email_key = $1`, email) == 1) {
					t.Errorf("%s was told otherwise than it is", email)
				}
			}
			// The commands go on where they were stopped.
			args := []string{"user", "invite", "--org", "contoso", "--role", "viewer", "--json"}
			for i := range each {
				args = append(args, fmt.Sprintf("p1-%d@contoso.example", i))
			}
			var exit *exec.ExitError
			if err := command(t.Context(), args...).Run(); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if n := count(`select count(*) from accounts where email_key like 'p1-%@contoso.example'`); n != each {
				t.Errorf("%d of %d accounts after another run", n, each)
			}
		})
	}
}
