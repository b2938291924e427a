package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/policy"
	"doorward/internal/sqldb"
)

// A search shows each what they may see: pages, people, organisations; and nobody learns what is beside or above them (AT-65, mission D9).
func TestSearchShowsWhatOneMaySee(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, ada := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		editor, eddy := w.enrolled(w.Contoso, "eddy@contoso.example", access.Editor)
		_, bea := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		_, cora := w.enrolled(w.Fabrikam, "cora@fabrikam.example", access.Core)
		w.Invite(w.Fabrikam, "quinn@fabrikam.example", access.Core)
		w.Invite(w.Tailspin, "quinn@tailspin.example", access.Core)
		w.Invite(w.Wingtip, "quinn@wingtip.example", access.Core)
		w.Invite(w.Contoso, "quinn@contoso.example", access.Viewer)
		if err := w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			_, err := access.Group(tx, w.Clock.Now(), w.Contoso.ID, "north", []id.Org{w.Tailspin.ID}, []id.Account{editor.Account})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		find := func(b *doortest.Browser, at, q string, want ...string) {
			t.Helper()
			text := b.Get("/o/" + at + "/search?" + url.Values{"q": {q}}.Encode()).Want("search").ByID("main")
			for _, one := range []string{"quinn@fabrikam", "quinn@tailspin", "quinn@wingtip", "quinn@contoso", "bea@fabrikam", "Tailspin", "Wingtip", "Fabrikam", "Invite people", "Nothing found"} {
				wanted := strings.Contains(" "+strings.Join(want, " ")+" ", " "+strings.ReplaceAll(one, " ", "_")+" ")
				if got := strings.Contains(text, one); got != wanted {
					t.Errorf("%q at %s: %s is shown: %v, want %v\n%s", q, at, one, got, wanted, text)
				}
			}
		}
		find(ada, "contoso", "quinn", "quinn@fabrikam", "quinn@tailspin", "quinn@contoso", "Tailspin", "Fabrikam")
		find(ada, "fabrikam", "quinn", "quinn@fabrikam", "quinn@tailspin", "quinn@contoso", "Tailspin") // the page's own first, without its name
		find(ada, "contoso", "tails", "Tailspin")
		find(ada, "contoso", "wing", "Nothing_found")
		find(ada, "contoso", "inv", "Invite_people")
		find(eddy, "contoso", "quinn", "quinn@tailspin", "Tailspin") // an Editor: the groups' customers, and not the MSP's own people
		find(eddy, "contoso", "fab", "Nothing_found")
		find(bea, "fabrikam", "quinn", "quinn@fabrikam")
		find(bea, "fabrikam", "tails", "Nothing_found")
		find(bea, "fabrikam", "cont", "Nothing_found")
		find(cora, "fabrikam", "quinn", "Nothing_found")
		find(cora, "fabrikam", "inv", "Nothing_found")
		find(cora, "fabrikam", "", "")

		for _, q := range []string{"%00", "%ff%fe", strings.Repeat("a", 300)} {
			if r := ada.Get("/o/contoso/search?q=" + q); r.Status != http.StatusBadRequest {
				t.Errorf("%q: %d", q, r.Status)
			}
		}
		for _, q := range []string{"%25", "_", "'", "<script>", "\\", strings.Repeat("x ", 90)} {
			ada.Get("/o/contoso/search?" + url.Values{"q": {q}}.Encode()).Want("search")
		}
	})
}

// Without a second factor nobody below is found: the organisations there may ask for one.
func TestSearchBelowNeedsSecondFactor(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.set(w.Contoso.ID, policy.Settings{SecondFactor: policy.Off})
		ada := w.Activate(w.Contoso, "ada@contoso.example", access.Administrator)
		w.Invite(w.Fabrikam, "quinn@fabrikam.example", access.Core)
		w.Invite(w.Contoso, "quinn@contoso.example", access.Viewer)
		b := w.Browser()
		b.Password(ada).Want("dashboard")
		text := b.Get("/o/contoso/search?q=quinn").Want("search").Text()
		if !strings.Contains(text, "quinn@contoso") || strings.Contains(text, "quinn@fabrikam") || !strings.Contains(text, "without a second factor") {
			t.Error(text)
		}
	})
}

// The top bar's search by keyboard alone: Ctrl K, a name, Enter; arrows among the hits; Escape, from the hits and from the field.
func TestChromeSearch(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	founded, _ := w.Found()
	msp := w.Org(access.MSP, founded.Org.ID, "contoso", "Contoso IT")
	fabrikam := w.Org(access.Customer, msp.ID, "fabrikam", "Fabrikam")
	w.Org(access.Customer, msp.ID, "fairmont", "Fairmont")
	ada := w.Enrol(msp, "ada@contoso.example", access.Administrator)
	w.Invite(fabrikam, "farid@fabrikam.example", access.Core)
	b := w.Browser()
	b.SignIn(ada).Want("dashboard")
	c := w.Chrome(doortest.Desk("en-GB"))
	c.Become(b)
	c.Open("/o/contoso/").WaitPage("dashboard")
	searchFor(c, "fari", "farid@fabrikam.example")
	c.Press("\r").WaitPage("user")
	searchFor(c, "fa", "Fairmont")
	hits := doortest.Eval[int](c, `() => document.querySelectorAll(".found-panel a").length`)
	if hits < 3 {
		t.Errorf("%d hits", hits)
	}
	focused := func() string {
		return doortest.Eval[string](c, `() => document.activeElement.matches("[data-search]") ? "the field" : document.activeElement.textContent`)
	}
	if c.Press(kb.ArrowDown); !strings.Contains(focused(), "farid@") {
		t.Errorf("the first arrow leads to %q", focused())
	}
	if c.Press(kb.ArrowDown); !strings.Contains(focused(), "Fabrikam") {
		t.Errorf("the second arrow leads to %q", focused())
	}
	// A key that closes the panel must leave it closed: half a second is more than typing waits before it asks, and than the answer takes.
	staysShut := func(typed string) {
		t.Helper()
		c.Press(kb.Escape)
		for range 10 {
			if doortest.Eval[bool](c, `() => !document.querySelector(".found-panel").hidden`) {
				t.Fatal("the panel is open after Escape")
			}
			time.Sleep(50 * time.Millisecond)
		}
		if at := focused(); at != "the field" {
			t.Errorf("Escape leads to %q", at)
		}
		if value := doortest.Eval[string](c, `() => document.activeElement.value`); value != typed {
			t.Errorf("the field holds %q, want %q", value, typed)
		}
	}
	staysShut("fa")
	staysShut("") // the second Escape empties the field
	searchFor(c, "fair", "Fairmont")
	staysShut("fair")
	c.Press("m") // typing on opens it again
	waitFound(c, "Fairmont")

	// An answer that comes while a hit has the focus does not take the hit away.
	c.Press(kb.ArrowDown)
	doortest.Eval[bool](c, `() => {
		const field = document.querySelector("[data-search]");
		window.hit = document.activeElement;
		field.value = "fa";
		return field.dispatchEvent(new Event("input"));
	}`)
	time.Sleep(500 * time.Millisecond)
	if doortest.Eval[bool](c, `() => document.activeElement !== hit || hit === document.querySelector("[data-search]")`) {
		t.Errorf("the hit lost the focus to %q", focused())
	}
	c.Press(kb.ArrowUp) // back in the field: now it is shown
	waitFound(c, "farid@")

	// Nor does an answer to what was typed before the last key show: it comes while the last text has not been asked for yet.
	doortest.Eval[bool](c, `() => {
		const real = window.fetch;
		window.fetch = async (to, how) => {
			window.fetch = real;
			const field = document.querySelector("[data-search]"), answer = await real(to);
			field.value = "fair";
			field.dispatchEvent(new Event("input"));
			setTimeout(() => { window.seen = document.querySelector(".found-panel").textContent + document.querySelector(".found-panel").ariaBusy }, 100);
			return answer;
		};
		const field = document.querySelector("[data-search]");
		field.value = "farid";
		return field.dispatchEvent(new Event("input"));
	}`)
	for range 200 {
		if doortest.Eval[bool](c, `() => window.seen !== undefined`) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if seen := doortest.Eval[string](c, `() => window.seen`); !strings.Contains(seen, "Fairmont") || !strings.HasSuffix(seen, "true") {
		t.Errorf("the answer to an earlier text is shown: %q", seen)
	}
	waitFound(c, "Fairmont")
	if strings.Contains(c.Text(".found-panel"), "farid@") {
		t.Error("the last text is not what is shown")
	}
	if faults := c.Faults(); len(faults) > 0 {
		t.Error(faults)
	}
}

// searchFor types into the top bar's search, which Ctrl K leads to, and waits until its panel shows something.
func searchFor(c *doortest.Chrome, typed, want string) {
	c.World.T.Helper()
	doortest.Eval[bool](c, `() => document.dispatchEvent(new KeyboardEvent("keydown", {key: "k", ctrlKey: true, cancelable: true}))`)
	c.Press(typed)
	waitFound(c, want)
}

// waitFound waits until the search's panel is what was asked for last, and shows something.
func waitFound(c *doortest.Chrome, want string) {
	c.World.T.Helper()
	for range 200 {
		if strings.Contains(c.Text(".found-panel:not([hidden], [aria-busy=true])"), want) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.World.T.Fatalf("%q is not found", want)
}
