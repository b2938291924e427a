package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/config"
	"doorward/internal/doortest"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/secret"
	"doorward/internal/signin"
)

// endless is a body of that many bytes made of one piece again and again; it is written as it is read and takes no memory.
func endless(piece string, n int) io.Reader {
	block := []byte(strings.Repeat(piece, max(1, 4096/len(piece))))
	return io.LimitReader(readerOf(func(p []byte) (int, error) { return copy(p, block), nil }), int64(n))
}

type readerOf func(p []byte) (int, error)

func (r readerOf) Read(p []byte) (int, error) { return r(p) }

// pour sends a head and then a body for as long as the server takes it, reading the answer meanwhile, and returns how much it took.
func pour(t *testing.T, addr, head string, body io.Reader) (r reply, took int64) {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var written atomic.Int64
	var writing sync.WaitGroup
	writing.Go(func() {
		if _, err := io.WriteString(c, head); err != nil {
			return
		}
		n, _ := io.Copy(c, body) // the server may hang up
		written.Store(n)
	})
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Errorf("no answer to %.60q: %v", head, err)
		_ = c.Close()
		writing.Wait()
		return reply{}, written.Load()
	}
	text, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	_ = c.Close()
	writing.Wait()
	if err != nil && !errors.Is(err, syscall.ECONNRESET) { // a server that hangs up on what it does not want may cut its answer short
		t.Errorf("the answer to %.60q breaks off: %v", head, err)
	}
	return reply{res.StatusCode, res.Header, string(text)}, written.Load()
}

// headOfPost is the head of a request from our own page.
func headOfPost(w *doortest.World, c call, lines ...string) string {
	list := append([]string{"POST " + c.Path + " HTTP/1.1", "Host: localhost", "Origin: " + w.Settings.PublicURL, "Sec-Fetch-Site: same-origin"}, lines...)
	if cookie := c.Header.Get("Cookie"); cookie != "" {
		list = append(list, "Cookie: "+cookie)
	}
	return strings.Join(list, "\r\n") + "\r\n\r\n"
}

func zipped(t *testing.T, body io.Reader) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.Copy(z, body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// allocated is how much this process has allocated so far, in bytes.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// AT-138: whatever is poured into a form, on every POST route: the server reads a megabyte of it at most, says so, changes nothing and takes little
// memory. Nothing is unpacked.
func TestBodiesOfAnySize(t *testing.T) {
	w := build(doortest.New(t, databases[0], doortest.Options{}))
	s := setUp(w)
	before := dump(w.World)
	addr := w.Web.Listener.Addr().String()
	const form = "Content-Type: application/x-www-form-urlencoded"
	bomb, packed := zipped(t, endless("a=b&", 50<<20)), ""
	deep, parts := strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000), strings.Repeat("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n", 10_000)+"--x--\r\n"
	s.eachPost(t, func(t *testing.T, c call) {
		packed = zipped(t, strings.NewReader(c.Fields.Encode()))
		length := func(n int) string { return fmt.Sprintf("Content-Length: %d", n) }
		most := int64(0)
		for _, one := range []struct {
			name   string
			lines  []string
			body   io.Reader
			status []int
		}{
			{"10 MB", []string{form, length(10 << 20)}, endless("x", 10<<20), []int{413}},
			{"10 MB of one field", []string{form, length(10 << 20)}, io.MultiReader(strings.NewReader("code="), endless("1", 10<<20-5)), []int{413}},
			{"a million fields", []string{form, length(4 << 20)}, endless("a=b&", 4<<20), []int{413}},
			{"a million fields within the limit", []string{form, length(1 << 20)}, endless("&", 1<<20), []int{400, 422}},
			{"a chunked body without end", []string{form, "Transfer-Encoding: chunked"}, endless("5\r\na=b&c\r\n", 64<<20), []int{413}},
			{"deep JSON", []string{"Content-Type: application/json", length(len(deep))}, strings.NewReader(deep), []int{415}},
			{"ten thousand parts", []string{"Content-Type: multipart/form-data; boundary=x", length(len(parts))}, strings.NewReader(parts), []int{415}},
			{"a packed form", []string{form, "Content-Encoding: gzip", length(len(packed))}, strings.NewReader(packed), []int{400, 415, 422}},
			{"a packed bomb", []string{form, "Content-Encoding: gzip", length(len(bomb))}, strings.NewReader(bomb), []int{400, 415, 422}},
			{"a length without a body", []string{form, "Content-Length: 99999999999999999999"}, strings.NewReader(""), []int{400}},
			{"two lengths", []string{form, "Content-Length: 3", "Content-Length: 4"}, strings.NewReader("a=b&"), []int{400}},
		} {
			was := allocated()
			r, took := pour(t, addr, headOfPost(w.World, c, one.lines...), one.body)
			spent := allocated() - was
			most = max(most, took)
			switch reads := c.Path != "/login" && c.Path != "/logout"; { // those two read nothing
			case !reads && r.Status != 413:
			case strings.HasPrefix(c.Path, "/login/") && r.Status == http.StatusSeeOther && one.status[0] != 413 && one.status[0] != 415:
			case c.File && one.name == "ten thousand parts" && r.Status == http.StatusUnprocessableEntity: // it takes parts, but not these
			case !slices.Contains(one.status, r.Status):
				t.Errorf("%s is answered %d %q, want %v", one.name, r.Status, r.Page(), one.status)
			}
			if r.Status >= 500 || sessionIn(r) {
				t.Errorf("%s is answered %d", one.name, r.Status)
			}
			if spent > 24<<20 {
				t.Errorf("%s costs %d MB", one.name, spent>>20)
			}
		}
		if most > 24<<20 { // what lies in the buffers of the connection among it
			t.Errorf("the server took %d MB of a body", most>>20)
		}
		if c.Spends || c.Path == "/logout" {
			before = dump(w.World)
		}
		if d := differing(before, dump(w.World), "throttles", "org_health"); d != nil {
			t.Errorf("changed %v", d)
			before = dump(w.World)
		}
	})
}

// listening serves a world on a listener of its own, with the limits of production.
func listening(t *testing.T, w *doortest.World) (addr string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- w.Serve(ctx, func(a string) { ready <- a }) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return <-ready
}

// AT-138, AT-139: heads that are too large are refused, connections that never finish one are cut after ten seconds, and everybody else is
// served meanwhile.
func TestHeadsOfAnySizeAndSpeed(t *testing.T) {
	w := build(doortest.New(t, databases[0], doortest.Options{}))
	addr := listening(t, w.World)
	const slowOnes = 200
	var cut atomic.Int64
	var soonest atomic.Int64
	soonest.Store(int64(time.Hour))
	var open sync.WaitGroup
	began := time.Now()
	for i := range slowOnes {
		c, err := net.DialTimeout("tcp", addr, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		open.Go(func() {
			defer c.Close()
			_ = c.SetDeadline(began.Add(60 * time.Second))
			stop := make(chan struct{})
			var drip sync.WaitGroup
			drip.Go(func() {
				if _, err := io.WriteString(c, "POST /o/fabrikam/login HTTP/1.1\r\nHost: localhost\r\n"); err != nil || i%2 == 0 { // half of them fall silent
					return
				}
				tick := time.NewTicker(500 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-stop:
						return
					case <-tick.C:
						if _, err := io.WriteString(c, "X-A: b\r\n"); err != nil {
							return
						}
					}
				}
			})
			_, err := io.Copy(io.Discard, c)
			close(stop)
			drip.Wait()
			if lasted := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) {
				cut.Add(1)
				for was := soonest.Load(); int64(lasted) < was && !soonest.CompareAndSwap(was, int64(lasted)); was = soonest.Load() {
				}
			}
		})
	}

	get := func(path string, lines ...string) reply {
		t.Helper()
		r, _ := pour(t, addr, strings.Join(append([]string{"GET " + path + " HTTP/1.1", "Host: localhost", "Connection: close"}, lines...), "\r\n")+"\r\n\r\n", strings.NewReader(""))
		return r
	}
	many := func(n int, line func(i int) string) (list []string) {
		for i := range n {
			list = append(list, line(i))
		}
		return list
	}
	cookie := func(i int) string { return fmt.Sprintf("c%05d=x", i) }
	for name, c := range map[string]struct {
		r    reply
		want []int
	}{
		"a head of a megabyte":    {get("/me", "X-Long: "+strings.Repeat("x", 1<<20)), []int{431}},
		"a cookie of a megabyte":  {get("/me", "Cookie: door-session="+strings.Repeat("x", 1<<20)), []int{431}},
		"an address of 100 KB":    {get("/o/" + strings.Repeat("x", 100<<10) + "/login"), []int{414, 431}},
		"a query of 100 KB":       {get("/o/fabrikam/login?to=" + strings.Repeat("/", 100<<10)), []int{414, 431}},
		"a query of 50 KB":        {get("/o/fabrikam/login?to=" + strings.Repeat("/", 50<<10)), []int{200}},
		"ten thousand cookies":    {get("/me", "Cookie: "+strings.Join(many(10_000, cookie), "; ")), []int{431}},
		"five thousand cookies":   {get("/me", "Cookie: "+strings.Join(many(5_000, cookie), "; ")), []int{400, 401}},
		"ten thousand lines":      {get("/me", many(10_000, func(i int) string { return fmt.Sprintf("X-%d: y", i) })...), []int{431}},
		"three thousand lines":    {get("/me", many(3_000, func(i int) string { return fmt.Sprintf("X-%d: y", i) })...), []int{401}},
		"two thousand proxies":    {get("/me", many(2_000, func(int) string { return "X-Forwarded-For: 10.0.0.1" })...), []int{401}},
		"a hundred languages":     {get("/o/fabrikam/login", "Accept-Language: "+strings.Join(many(5_000, func(i int) string { return fmt.Sprintf("x%d;q=0.%d", i, i%10) }), ",")), []int{200}},
		"no end of the head line": {get("/me\x00"), []int{400}},
	} {
		if !slices.Contains(c.want, c.r.Status) {
			t.Errorf("%s is answered %d, want %v", name, c.r.Status, c.want)
		}
	}
	for range 20 {
		began := time.Now()
		if r := get("/healthz"); r.Status != http.StatusOK || time.Since(began) > 8*time.Second { // waiting for a slow one would take ten
			t.Errorf("beside slow ones /healthz is answered %d after %v", r.Status, time.Since(began))
		}
		if r := get("/o/fabrikam/login"); r.Status != http.StatusOK {
			t.Errorf("beside slow ones the sign-in is answered %d", r.Status)
		}
	}
	open.Wait()
	if n := cut.Load(); n != slowOnes || time.Duration(soonest.Load()) < 5*time.Second {
		t.Errorf("%d of %d slow connections were cut, the first after %v", n, slowOnes, time.Duration(soonest.Load()))
	}
}

// AT-137: three hundred sign-ins at once, of names that are known and not, compute as many hashes at a time as there are slots: memory stays bounded,
// health answers, and so does a passkey.
func TestHashesAtOnce(t *testing.T) {
	const cost = 4 << 20 // of one computation, in bytes
	w := build(doortest.New(t, databases[0], doortest.Options{Argon2: "m=4096,t=1,p=1",
		Settings: func(s *config.Settings) { s.TrustedProxies = []string{"127.0.0.0/8", "::1/128"} }}))
	w.Exec(`update seats set seat_limit = null`)
	const people, tries = 25, 4
	known := make([]*doortest.Person, people)
	for i := range known {
		known[i] = w.Activate(w.Fabrikam, fmt.Sprintf("p%d@fabrikam.example", i), access.Core)
	}
	_, k, _ := w.keyed(w.Fabrikam, "key@fabrikam.example", access.Core)
	type one struct {
		form url.Values
		h    http.Header
		path string
	}
	var all []one
	for i := range 300 {
		identifier, password := fmt.Sprintf("nobody%d@fabrikam.example", i), "a wrong passphrase 1"
		if i < people*tries {
			identifier, password = known[i%people].Email, doortest.Password
		}
		h := with("X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i%200))
		r := send(w.World, http.MethodPost, "/o/fabrikam/login", url.Values{"identifier": {identifier}}, h)
		h.Set("Cookie", "door-attempt0="+r.Cookie("attempt0"))
		_, attemptID, _ := strings.Cut(r.Location(), "attempt=")
		all = append(all, one{url.Values{"attempt": {attemptID}, "password": {password}}, h, "/login/password"})
	}
	waiting := alone(w.World, "fabrikam")
	answer := k.get(waiting.ask())

	runtime.GC()
	base, peak, stop := inUse(), atomic.Uint64{}, make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				if n := inUse(); n > peak.Load() {
					peak.Store(n)
				}
			}
		}
	})
	var mu sync.Mutex
	answers := map[int]int{}
	var busy sync.WaitGroup
	busy.Go(func() {
		atOnce(len(all), func(i int) {
			r, err := transmit(w.World, http.MethodPost, all[i].path, all[i].form.Encode(), all[i].h)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			answers[r.Status]++
			if limited := r.Status == http.StatusTooManyRequests || r.Status == http.StatusServiceUnavailable; limited && r.Head.Get("Retry-After") == "" {
				t.Error("who has to wait is not told how long")
			}
		})
	})
	slowest := time.Duration(0)
	for range 10 {
		began := time.Now()
		if r := send(w.World, http.MethodGet, "/healthz", nil, nil); r.Status != http.StatusOK {
			t.Errorf("meanwhile /healthz answers %d", r.Status)
		}
		slowest = max(slowest, time.Since(began))
	}
	began := time.Now()
	waiting.give(answer).Want("dashboard")
	slowest = max(slowest, time.Since(began))
	busy.Wait()
	close(stop)
	watch.Wait()
	if slowest > 20*time.Second { // half a second is the aim, see `make bench`; machines that run tests are busy
		t.Errorf("health or a passkey took %v meanwhile", slowest)
	}
	if answers[303] < people || answers[303]+answers[422]+answers[429]+answers[503] != len(all) {
		t.Errorf("the answers are %v", answers)
	}
	// Twice the slots, because what a computation leaves is collected later; and what three hundred requests take by themselves.
	if grown, most := int64(peak.Load())-int64(base), int64(runtime.NumCPU()*cost*4+(96<<20)); grown > most {
		t.Errorf("memory grew by %d MB, at most %d are meant", grown>>20, most>>20)
	}
}

// inUse is what is on the heap, in bytes, what was not collected yet among it.
func inUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// AT-140: whatever reads what people type takes time in proportion to its length: a megabyte of the worst is nothing.
func TestReadersAreLinear(t *testing.T) {
	const n = 1 << 20
	worst := map[string]string{
		"letters": strings.Repeat("a", n), "dots": strings.Repeat(".", n), "hyphens": strings.Repeat("a-", n/2), "ats": strings.Repeat("@", n), "labels": "a@" + strings.Repeat("a.", n/2),
		"spaces": strings.Repeat(" ", n), "digits": strings.Repeat("1", n), "marks": "e" + strings.Repeat("\u0301", n/2), "mixed marks": strings.Repeat("\u0301\u0323", n/4), "dollars": strings.Repeat("$", n),
		"quotes": strings.Repeat(`"`, n), "slashes": "/" + strings.Repeat("/", n), "back and forth": strings.Repeat("/../", n/4), "percents": strings.Repeat("%25", n/3), "full width": strings.Repeat("ａ", n/3),
		"commas": strings.Repeat("m=1,", n/4), "ideographs": strings.Repeat("漢", n/3), "punycode": "a@xn--" + strings.Repeat("a", n), "invalid": strings.Repeat("\xff", n), "brackets": strings.Repeat("[", n),
		"hash": "$argon2id$v=19$" + strings.Repeat("m=1,", n/4) + "$x$y", "scrypt": "$scrypt$" + strings.Repeat("ln=1,", n/5), "pbkdf2": "$pbkdf2-sha256$i=" + strings.Repeat("1", n) + "$x$y",
	}
	readers := map[string]func(s string){
		"ParseEmail":     func(s string) { _, _ = account.ParseEmail("email", s) },
		"FoldIdentifier": func(s string) { account.FoldIdentifier(s) },
		"FoldSlug":       func(s string) { _, _ = org.FoldSlug(s) },
		"CheckName":      func(s string) { _, _ = org.CheckName(s) },
		"CheckTimeZone":  func(s string) { _ = org.CheckTimeZone(s) },
		"CleanCode":      func(s string) { _, _ = factor.CleanCode(s) },
		"CleanRecovery":  func(s string) { _, _ = factor.CleanRecovery(s) },
		"CheckNew":       func(s string) { _ = factor.CheckNew(secret.Text(s), secret.Text(s), 8, []string{s}, nil) },
		"Normalize":      func(s string) { factor.Normalize(secret.Text(s)) },
		"CheckHash":      func(s string) { _, _ = secret.CheckHash(s) },
		"ParseCost":      func(s string) { _, _ = secret.ParseCost(s) },
		"ParseKey":       func(s string) { signin.ParseKey(s) },
		"ParseID":        func(s string) { id.Parse[id.Account](s) },
		"LocalPath":      func(s string) { page.LocalPath(s) },
		"Device":         func(s string) { _ = signin.Session{UserAgent: s}.Device() },
	}
	for reader, read := range readers {
		for name, s := range worst {
			began := time.Now()
			read(s)
			if took := time.Since(began); took > 20*time.Second { // a hundredth of that is usual; what is not linear takes minutes
				t.Errorf("%s takes %v for a megabyte of %s", reader, took, name)
			}
		}
	}
}
