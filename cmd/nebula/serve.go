package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/service/audit"
)

func (a *app) serveCommand() *cobra.Command {
	var flags config.Serve
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the store over HTTP, to programs in any language",
		Long: `Serve the store over HTTP: on a Unix socket for processes of the same user,
unless --listen says otherwise. An address of TCP that other machines can reach
is served over TLS alone. Every request needs a token: nebula serve token add
makes one.

The API is described at /openapi.yaml, and / is a page for people. Every request
with a valid token is a line of the audit log. SIGHUP opens that file again,
SIGTERM ends the service when the requests that are being served are done.

Each flag is a setting of [serve], too.`,
		Example: `  nebula serve token add web --allow read --prefix web_
  nebula serve --listen 127.0.0.1:8200 --audit ~/nebula-audit.log
  nebula serve --listen 0.0.0.0:8443 --host nebula.example.com \
    --tls-cert tls.crt --tls-key tls.key`,
		Args:              noCommand,
		ValidArgsFunction: cobra.NoFileCompletions,
		Annotations:       map[string]string{slow: unlimited},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.serve(cmd.Context(), func(s *config.Serve) { overrideServe(cmd, s, flags) })
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&flags.Listen, "listen", nil, "`address`: unix:PATH or HOST:PORT; several times for several")
	f.StringVar(&flags.TLSCert, "tls-cert", "", "PEM `file` with the certificate; read again when it changes")
	f.StringVar(&flags.TLSKey, "tls-key", "", "PEM `file` with its key")
	f.StringArrayVar(&flags.Hosts, "host", nil, "`name` that clients call the service by, with a port or without; several times for several")
	f.StringVar(&flags.Tokens, "tokens", "", "`file` of tokens")
	f.StringVar(&flags.Audit, "audit", "", "`file` of the audit log, or - for standard error")
	f.BoolVar(&flags.AuditSync, "audit-sync", false, "answer when the line of the audit log is on the disk")
	f.StringVar(&flags.MetricsListen, "metrics-listen", "", "`address` at which metrics alone are served")
	cmd.AddCommand(a.serveTokenCommand())
	return cmd
}

// overrideServe applies the flags.
func overrideServe(cmd *cobra.Command, s *config.Serve, flags config.Serve) {
	set := func(name string, f func()) {
		if cmd.Flags().Changed(name) {
			f()
		}
	}
	set("listen", func() {
		s.Listen = nil
		for _, l := range flags.Listen {
			s.Listen = append(s.Listen, absoluteAddress(l))
		}
	})
	set("tls-cert", func() { s.TLSCert = absolute(flags.TLSCert) })
	set("tls-key", func() { s.TLSKey = absolute(flags.TLSKey) })
	set("host", func() { s.Hosts = flags.Hosts })
	set("tokens", func() { s.Tokens = absolute(flags.Tokens) })
	set("audit", func() {
		if s.Audit = flags.Audit; s.Audit != audit.Stderr {
			s.Audit = absolute(flags.Audit)
		}
	})
	set("audit-sync", func() { s.AuditSync = flags.AuditSync })
	set("metrics-listen", func() { s.MetricsListen = absoluteAddress(flags.MetricsListen) })
}

// absoluteAddress makes the path of a socket absolute.
func absoluteAddress(address string) string {
	if path, ok := strings.CutPrefix(address, "unix:"); ok && path != "" {
		return "unix:" + absolute(path)
	}
	return address
}
