package main

import (
	"runtime"
	"runtime/debug"

	"doorward/internal/sqldb"
)

// version is set by the linker (-X main.version=…); without it the version is what the compiler recorded.
var version string

type versionCommand struct {
	JSON bool `help:"Write JSON."`
}

// Run shows what the build recorded: the module's version, the commit, the compiler.
func (c *versionCommand) Run(t *terminal) error {
	v := struct {
		Version string `json:"version"`
		Commit  string `json:"commit,omitempty"`
		Time    string `json:"time,omitempty"`
		Changed bool   `json:"changed,omitempty"` // built with changes that no commit has
		Go      string `json:"go"`
		Schema  int64  `json:"schema"` // newest migration
	}{Version: "unknown", Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH, Schema: sqldb.Newest()}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Version = info.Main.Version
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.time":
				v.Time = s.Value
			case "vcs.modified":
				v.Changed = s.Value == "true"
			}
		}
	}
	if version != "" {
		v.Version = version
	}
	if c.JSON {
		return t.json(v)
	}
	commit := ""
	if v.Commit != "" {
		commit = "\ncommit " + v.Commit + ", " + v.Time
	}
	if v.Changed {
		commit += ", changed since"
	}
	return t.say("doorward %s%s\n%s\nschema %d", v.Version, commit, v.Go, v.Schema)
}
