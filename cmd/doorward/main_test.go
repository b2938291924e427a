package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"doorward": main})
}

// TestCommands runs every script of testdata as a shell would, on SQLite.
func TestCommands(t *testing.T) {
	p := scripts("")
	p.Dir = "testdata"
	testscript.Run(t, p)
}

// TestCommandsOnPostgreSQL runs those whose SQL matters once more, each script in a schema of its own.
func TestCommandsOnPostgreSQL(t *testing.T) {
	for _, noun := range []string{"db", "fill", "import", "init", "key", "org", "passwords", "policy", "user"} {
		t.Run(noun, func(t *testing.T) {
			setting, _ := doortest.Database(t, sqldb.Postgres)
			p := scripts(setting)
			p.Files = []string{filepath.Join("testdata", noun+".txt")}
			testscript.Run(t, p)
		})
	}
}

// scripts returns how scripts run: on that PostgreSQL database, or on SQLite.
func scripts(postgres string) testscript.Params {
	return testscript.Params{
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("DOORWARD_DATA", filepath.Join(env.WorkDir, "data"))
			env.Setenv("DOORWARD_ARGON2", "m=8,t=1,p=1")
			listen, err := freeAddress()
			if err != nil {
				return err
			}
			env.Setenv("DOORWARD_LISTEN", listen)
			env.Setenv("DOORWARD_DATABASE", postgres)
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name == "postgres" {
				return postgres != "", nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"capture":      capture,
			"sql":          runSQL,
			"unprivileged": unprivileged,
			"terminate":    terminate,
			"await":        await,
		},
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// capture NAME REGEXP sets a variable to the first group of the last command's output.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("no match for %s", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// sql STATEMENT changes the script's database, for what no command can bring about.
func runSQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sql STATEMENT")
	}
	db, err := sqldb.Open(context.Background(), ts.Getenv("DOORWARD_DATABASE"), ts.Getenv("DOORWARD_DATA"))
	ts.Check(err)
	_, err = db.Pool().Exec(args[0])
	ts.Check(errors.Join(err, db.Close()))
}

// unprivileged doorward ARG… runs the command as nobody where the test runs as root, whom no file mode stops. It must be refused in
// one line, which is kept in unprivileged.out.
func unprivileged(ts *testscript.TestScript, neg bool, args []string) {
	if !neg || len(args) == 0 || args[0] != "doorward" {
		ts.Fatalf("usage: ! unprivileged doorward ARG…")
	}
	c := exec.Command(ts.MkAbs("doorward"), args[1:]...)
	c.Dir = ts.MkAbs(".")
	c.Env = []string{"DOORWARD_DATA=" + ts.Getenv("DOORWARD_DATA"), "DOORWARD_ARGON2=" + ts.Getenv("DOORWARD_ARGON2")}
	if os.Getuid() == 0 {
		const nobody = 65534
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		for dir := c.Dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			ts.Check(os.Chmod(dir, 0o755))
		}
	}
	// A copy: the folder of the test's own binary is root's alone.
	self, err := os.Executable()
	ts.Check(err)
	binary, err := os.ReadFile(self)
	ts.Check(err)
	ts.Check(os.WriteFile(c.Path, binary, 0o755))
	out, err := c.CombinedOutput()
	ts.Logf("%s%v", out, err)
	if err == nil || strings.Count(string(out), "\n") != 1 {
		ts.Fatalf("want one line and a status that is not 0")
	}
	ts.Check(os.WriteFile(ts.MkAbs("unprivileged.out"), out, 0o600))
}

// terminate sends SIGTERM to what runs in the background.
func terminate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: terminate")
	}
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(syscall.SIGTERM))
	}
}

// await url URL, await file PATTERN: waits until the address answers 200, a file is there.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await url|file WHAT")
	}
	there := func() bool {
		if args[0] == "file" {
			found, err := filepath.Glob(ts.MkAbs(args[1]))
			ts.Check(err)
			return len(found) > 0
		}
		resp, err := http.Get(args[1]) //nolint:gosec // the script's own server
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	for end := time.Now().Add(15 * time.Second); !there(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("%s did not come", args[1])
		}
	}
}
