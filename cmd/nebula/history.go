package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func historyCommand(run func(context.Context, nebula.ID) error) *cobra.Command {
	return &cobra.Command{
		Use:   "history ID",
		Short: "List the versions of a credential",
		Long: `List the versions of a credential, the newest first, with the time of each in
UTC, if the backend keeps versions. To read one: nebula get ID --version V`,
		Example: `  nebula history github_token`,
		Args:    oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			return run(cmd.Context(), id)
		},
	}
}

type historyJSON struct {
	Version   nebula.Version `json:"version"`
	CreatedAt string         `json:"created_at"`
	Current   bool           `json:"current"`
	Deleted   bool           `json:"deleted"`
}

func (a *app) history(ctx context.Context, id nebula.ID) error {
	return a.withStore(ctx, func(s *config.Opened) error {
		versions, err := s.History(ctx, id)
		if err != nil {
			return err
		}
		out := make([]historyJSON, 0, len(versions))
		rows := [][]string{{"VERSION", "CREATED", "STATE"}}
		for _, v := range versions {
			out = append(out, historyJSON{v.Version, formatTime(v.CreatedAt), v.Current, v.Deleted})
			state := ""
			switch {
			case v.Deleted:
				state = "deleted"
			case v.Current:
				state = "current"
			}
			rows = append(rows, []string{string(v.Version), v.CreatedAt.UTC().Format(time.DateTime), state})
		}
		return a.print(out, func(w io.Writer) error { return a.table(w, rows) })
	})
}
