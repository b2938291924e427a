package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/config"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/server"
	"doorward/internal/sqldb"
)

// terminal is what every command works with: the settings, and where to write.
type terminal struct {
	settings config.Settings
	flags    []*kong.Flag      // the settings' flags, in the order of the help
	origins  map[string]string // where a setting comes from, unless it is on the command line
	out      io.Writer
	screen   io.Writer // where progress is shown
	log      *slog.Logger
	texts    *locale.Catalogue
}

// words returns the printer of what a command says. It is read when something is said: a server keeps texts of its own.
func (t *terminal) words() *locale.Printer { return t.texts.In(locale.English) }

// operator is who runs the command, for the audit log.
func operator() access.Actor {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return access.Operator(u.Username)
	}
	return access.Operator("uid " + strconv.Itoa(os.Getuid()))
}

// open opens an existing, migrated database and its key file.
func (t *terminal) open(ctx context.Context) (*server.House, error) {
	if err := t.existing(); err != nil {
		return nil, err
	}
	return t.house(ctx, false)
}

// found opens the database and the key file, makes both when they are missing, and migrates.
func (t *terminal) found(ctx context.Context) (*server.House, error) { return t.house(ctx, true) }

func (t *terminal) house(ctx context.Context, migrate bool) (*server.House, error) {
	if err := t.settings.Check(); err != nil {
		return nil, err
	}
	return server.Open(ctx, t.settings, nil, t.log, migrate)
}

// existing refuses a SQLite file that is not there, so that a mistyped --data makes no new database.
func (t *terminal) existing() error {
	file := t.settings.DatabaseFile()
	if file == "" {
		return nil
	}
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no database %s; check --data, or run `doorward init`", file)
	}
	return nil
}

// database opens the database alone, whatever its schema.
func (t *terminal) database(ctx context.Context) (*sqldb.DB, error) {
	return sqldb.Open(ctx, t.settings.Database, t.settings.Data)
}

// at opens the house and returns the organisation with that tenant domain. leave closes the house; its error is joined to the one that it is given:
// defer it with the address of the command's own.
func (t *terminal) at(ctx context.Context, slug string) (h *server.House, o org.Org, leave func(*error), err error) {
	if h, err = t.open(ctx); err != nil {
		return nil, o, nil, err
	}
	if o, err = t.org(ctx, h, slug); err != nil {
		return nil, o, nil, errors.Join(err, h.Close())
	}
	return h, o, func(err *error) { *err = errors.Join(*err, h.Close()) }, nil
}

// org returns the organisation with that tenant domain.
func (t *terminal) org(ctx context.Context, h *server.House, slug string) (org.Org, error) {
	o, err := org.BySlug(h.DB.Read(ctx), slug)
	if refusal.Is(err, refusal.NotFound) {
		return o, fmt.Errorf("there is no organisation %q; `doorward org list` shows all", slug)
	}
	return o, err
}

// address returns the whole address of a page; the path alone when the public URL does not parse, which open refuses.
func (t *terminal) address(path string) string {
	u, err := t.settings.Public()
	if err != nil {
		return path
	}
	return u.String() + path
}

// link returns the address to activate an account at.
func (t *terminal) link(token secret.Text) string { return t.address(account.Activate.Path(token)) }

// explain turns a refusal into its sentences; other errors stay.
func (t *terminal) explain(err error) error {
	r := refusal.As(err)
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case r == nil:
		return err
	}
	var sentences []string
	for _, one := range append([]*refusal.Error{r}, r.More...) {
		args := refusal.Args{}
		for name, v := range one.Args {
			if list, ok := v.([]string); ok {
				v = t.words().List(list)
			}
			args[name] = v
		}
		sentences = append(sentences, t.words().TMap(one.Key, args))
	}
	return errors.New(strings.Join(sentences, " "))
}

// say writes a line for people.
func (t *terminal) say(format string, args ...any) error {
	_, err := fmt.Fprintf(t.out, format+"\n", args...)
	return err
}

// input opens a file, or standard input for "-". size is 0 when it cannot be known.
func (t *terminal) input(name string) (f io.ReadCloser, size int64, err error) {
	if name == "-" {
		return io.NopCloser(os.Stdin), 0, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", name)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// json writes v for programs, on one line.
func (t *terminal) json(v any) error {
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table writes rows in columns.
func (t *terminal) table(rows [][]string) error {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		if _, err := fmt.Fprintln(w, strings.Join(r, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}
