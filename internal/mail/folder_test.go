package mail_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"doorward/internal/locale"
	"doorward/internal/mail"
)

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "mails")
	f, err := mail.NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, kind := range []string{"reset", "invite", "mail-code"} {
		m := render(t, letter(locale.French, letters()[kind]))
		if err := f.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		order = append(order, kind)
	}
	var got []string
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := regexp.MustCompile(`^\d{8}T\d{6}\.\d{9}Z-(.+)-out_01hzy8\.eml$`).FindStringSubmatch(e.Name())
		if name == nil {
			t.Fatalf("file %q", e.Name())
		}
		got = append(got, name[1])
		info, err := e.Info()
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		parsed := parse(t, b)
		text, html := parts(t, parsed)
		want := render(t, letter(locale.French, letters()[name[1]]))
		if strings.TrimSpace(text) != strings.TrimSpace(want.Text) || strings.TrimSpace(html) != strings.TrimSpace(want.HTML) ||
			parsed.Header.Get("X-Doorward-Message") != name[1] {
			t.Errorf("%s differs from what was sent", e.Name())
		}
	}
	if !slices.Equal(got, order) {
		t.Errorf("files in the order %v, sent %v", got, order)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder %v, %v", info.Mode(), err)
	}
}

// Whoever looks into the folder while messages arrive sees whole ones only.
func TestFolderIsAtomic(t *testing.T) {
	dir := t.TempDir()
	f, err := mail.NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := render(t, letter(locale.English, letters()["invite"]))
	var senders sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		senders.Go(func() {
			for range 10 {
				if err := f.Send(t.Context(), m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() {
		senders.Wait()
		close(done)
	}()
	for last := false; !last; {
		select {
		case <-done:
			last = true
		default:
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(strings.TrimSpace(string(b)), "--") || !strings.HasPrefix(string(b), "Auto-Submitted:") {
				t.Fatalf("%s is not whole", name)
			}
		}
		if last && len(files) != 40 {
			t.Errorf("%d files", len(files))
		}
	}
	if rest, _ := filepath.Glob(filepath.Join(dir, ".*")); len(rest) > 0 {
		t.Errorf("left over: %v", rest)
	}
}

func TestFolderThatCanNotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), "/proc/doorward", ""} {
		if _, err := mail.NewFolder(dir); err == nil {
			t.Errorf("%q was accepted", dir)
		}
	}
	dir := filepath.Join(t.TempDir(), "mails")
	f, err := mail.NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	m := render(t, letter(locale.English, letters()["reset"]))
	if err := f.Send(t.Context(), m); err == nil || mail.Permanent(err) {
		t.Errorf("a folder that is gone: %v, permanent: %t", err, mail.Permanent(err))
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Send(t.Context(), m); err != nil {
		t.Errorf("a folder that is back: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Send(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Messages made by hand are checked as well: a sender never writes a header that it was not meant to.
func TestMalformedMessages(t *testing.T) {
	box := &letterbox{}
	box.open(t, plain)
	dir := t.TempDir()
	f, err := mail.NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*mail.Message){
		"subject":         func(m *mail.Message) { m.Subject += "\r\nBcc: eve@b.example" },
		"to":              func(m *mail.Message) { m.To += "\r\nBcc: eve@b.example" },
		"two":             func(m *mail.Message) { m.To = "ada@a.example, eve@b.example" },
		"no from":         func(m *mail.Message) { m.From = "" },
		"no id":           func(m *mail.Message) { m.ID = "@door.example.org" },
		"id upwards":      func(m *mail.Message) { m.ID = "../../x@door.example.org" },
		"kind upwards":    func(m *mail.Message) { m.Kind = "../x" },
		"language":        func(m *mail.Message) { m.Language = "en\nX: y" },
		"id's host":       func(m *mail.Message) { m.ID = "out_1@h>\r\nX: y" },
		"id without host": func(m *mail.Message) { m.ID = "out_1" },
	} {
		m := render(t, letter(locale.English, letters()["reset"]))
		spoil(&m)
		for _, sender := range []mail.Sender{f, newSMTP(t, "smtp://"+box.addr, nil)} {
			if err := sender.Send(t.Context(), m); err == nil || !mail.Permanent(err) {
				t.Errorf("%s, %T: %v", name, sender, err)
			}
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries)+len(box.accepted) > 0 {
		t.Errorf("%d files, %d messages", len(entries), len(box.accepted))
	}
}
