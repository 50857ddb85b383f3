package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// The linker sets these for a release: see .goreleaser.yaml.
var (
	release    string // v1.2.3
	commit     string
	commitTime string // RFC 3339
)

type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Time     string `json:"time"` // of the commit
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// version describes the source of this program.
func version() versionInfo {
	v := versionInfo{Version: release, Commit: commit, Time: commitTime, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		if v.Version == "" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.time":
				v.Time = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	if v.Version == "" || v.Version == "(devel)" {
		v.Version = "development"
	}
	return v
}

// String returns one line.
func (v versionInfo) String() string {
	text := "nebula " + v.Version
	if len(v.Commit) >= 12 {
		text += ", commit " + v.Commit[:12]
		if v.Modified {
			text += " (modified)"
		}
	}
	if day, _, ok := strings.Cut(v.Time, "T"); ok {
		text += ", " + day
	}
	return fmt.Sprintf("%s, %s, %s", text, v.Go, v.Platform)
}

func versionCommand(run func(context.Context) error) *cobra.Command {
	return plainCommand("version", "Show the version of this program", `  nebula version -o json`, run)
}

func (a *app) version(context.Context) error {
	v := version()
	return a.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, v)
		return err
	})
}
