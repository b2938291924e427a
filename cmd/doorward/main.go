// Command doorward is the server and the operator's tool in one binary. Each file here is one command noun; this one reads the command
// line and the settings, runs the command and says how it ended.
//
//	0 done   1 refused or failed, with one line on standard error   2 the command line is not understood
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // organisations have time zones, and not every machine or container has their data

	"github.com/alecthomas/kong"

	"doorward/internal/config"
	"doorward/internal/locale"
)

// commandLine is everything that can be typed: a command is a line here and a file of its own.
type commandLine struct {
	Config string `help:"Settings file: a JSON object whose keys are the names of the flags below." placeholder:"FILE" env:"DOORWARD_CONFIG"`

	config.Settings `embed:"" group:"settings"`

	Serve     serveCommand     `cmd:"" help:"Run the server."`
	Demo      demoCommand      `cmd:"" help:"Run a sample world with a mailbox, on this machine alone."`
	Init      initCommand      `cmd:"" help:"Create the provider and its first administrator."`
	Org       orgCommand       `cmd:"" help:"Organisations."`
	User      userCommand      `cmd:"" help:"People of an organisation."`
	Policy    policyCommand    `cmd:"" help:"Sign-in rules of an organisation."`
	Key       keyCommand       `cmd:"" help:"Keys that seal data at rest."`
	Passwords passwordsCommand `cmd:"" help:"Stolen passwords, which nobody may choose."`
	DB        dbCommand        `cmd:"" name:"db" help:"The database's schema."`
	Doctor    doctorCommand    `cmd:"" help:"Check settings, database, key file, mail and clock, and say what to do."`
	Show      configCommand    `cmd:"" name:"config" help:"Show the settings in effect and where each comes from."`
	Bench     benchCommand     `cmd:"" help:"Measure speed."`
	Version   versionCommand   `cmd:"" help:"Show the version of this program."`
}

const (
	exitDone = iota
	exitFailed
	exitUsage
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// exited carries the status out of kong, which wants to end the process after --help.
type exited int

func run(args []string, stdout, stderr io.Writer) (status int) {
	defer func() {
		if e := recover(); e != nil {
			code, ok := e.(exited)
			if !ok {
				panic(e)
			}
			status = int(code)
		}
	}()
	fail := func(err error, status int) int {
		_, _ = fmt.Fprintln(stderr, "doorward: "+oneLine(err))
		return status
	}
	var cl commandLine
	settings := &resolver{sources: config.Sources{Environment: os.Getenv}, origins: map[string]string{}}
	parser, err := kong.New(&cl, kong.Name("doorward"), kong.Description("The front door of a product family: people, second factors, sign-in."),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ExplicitGroups([]kong.Group{{Key: settingsGroup, Title: "Settings:"}}),
		kong.Resolvers(settings))
	if err != nil {
		return fail(err, exitFailed)
	}
	chosen, err := parser.Parse(args)
	if settings.fault != nil {
		return fail(settings.fault, exitFailed)
	}
	if err != nil {
		var parse *kong.ParseError
		if errors.As(err, &parse) && parse.ExitCode() > exitFailed {
			return fail(fmt.Errorf("%w; --help shows what there is", err), exitUsage)
		}
		return fail(err, exitFailed)
	}
	texts, err := locale.Load(nil)
	if err != nil {
		return fail(err, exitFailed)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	t := &terminal{settings: cl.Settings, flags: settingFlags(chosen.Model), origins: settings.origins, out: stdout, screen: stderr,
		log: cl.Logger(stderr, isTerminal(stderr)), texts: texts}
	chosen.BindTo(ctx, (*context.Context)(nil))
	if err := chosen.Run(t); err != nil {
		return fail(t.explain(err), exitFailed)
	}
	return exitDone
}

// oneLine makes an error's text one line: several joined errors follow each other, each once.
func oneLine(err error) string {
	var list []string
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		if line != "" && !slices.ContainsFunc(list, func(before string) bool { return strings.HasSuffix(before, line) }) {
			list = append(list, line)
		}
	}
	return strings.Join(list, "; ")
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

const settingsGroup = "settings"

func settingFlags(app *kong.Application) []*kong.Flag {
	var list []*kong.Flag
	for _, f := range app.Flags {
		if f.Group != nil && f.Group.Key == settingsGroup {
			list = append(list, f)
		}
	}
	return list
}

// resolver is how kong asks for what is not on the command line.
type resolver struct {
	sources config.Sources
	origins map[string]string // of each setting that was asked for
	read    bool
	fault   error // what is wrong with the sources; kong would blame the flag that it asks for
}

// Validate implements kong.Resolver.
func (*resolver) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver: environment, then settings file, then default.
func (r *resolver) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Group == nil || flag.Group.Key != settingsGroup {
		return nil, nil
	}
	if r.fault = errors.Join(r.fault, r.readFile(ctx)); r.fault != nil {
		return nil, r.fault
	}
	value, origin, err := r.sources.Find(flag.Name, flag.Envs[0])
	if err != nil {
		r.fault = err
		return nil, err
	}
	if origin == "" {
		r.origins[flag.Name] = "default"
		return flag.Default, nil
	}
	r.origins[flag.Name] = origin
	return value, nil
}

func (r *resolver) readFile(ctx *kong.Context) error {
	if r.read {
		return nil
	}
	r.read = true
	var path string
	var known []string
	for _, f := range ctx.Model.Flags {
		if f.Name == "config" {
			path = ctx.FlagValue(f).(string)
		}
	}
	for _, f := range settingFlags(ctx.Model) {
		known = append(known, f.Name)
	}
	if path == "" {
		return nil
	}
	return r.sources.ReadFile(path, known)
}
