package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func keyListCommand(run func(context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the slots of the store's keyring",
		Long: `List the slots, and the id of the data key. Without a key at hand they are what
the backend shows, which is said.`,
		Example:           `  nebula key list`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return run(cmd.Context()) },
	}
}

type keysJSON struct {
	KeyID        string     `json:"key_id"`
	Authentic    bool       `json:"authentic"`
	Generation   uint64     `json:"generation"`
	Rotating     bool       `json:"rotating"`
	Retired      []string   `json:"retired"`
	CreatedAt    string     `json:"created_at"`
	LastModified string     `json:"last_modified"`
	Slots        []slotJSON `json:"slots"`
}

type slotJSON struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Memory uint32 `json:"memory_kib,omitempty"`
	Passes uint32 `json:"passes,omitempty"`
	Lanes  uint32 `json:"lanes,omitempty"`
}

func slotOf(s nebula.Slot) slotJSON { return slotJSON{s.ID, s.Kind, s.Memory, s.Passes, s.Lanes} }

func (a *app) keyList(ctx context.Context) error {
	return a.withStore(ctx, func(s *config.Opened) error {
		info, err := s.Store.Keys(ctx)
		if err != nil {
			return err
		}
		out := keysJSON{
			KeyID: info.ID.String(), Authentic: info.Authentic, Generation: info.Generation, Rotating: info.Rotating, Retired: []string{},
			CreatedAt: formatTime(info.CreatedAt), LastModified: formatTime(info.LastModified), Slots: []slotJSON{},
		}
		for _, id := range info.Retired {
			out.Retired = append(out.Retired, id.String())
		}
		for _, slot := range info.Slots {
			out.Slots = append(out.Slots, slotOf(slot))
		}
		if !info.Authentic {
			a.warn("no key at hand opens the keyring; this is what the backend shows, and it is not authenticated")
		}
		return a.print(out, func(w io.Writer) error { return a.writeKeys(w, out) })
	})
}

func (a *app) writeKeys(w io.Writer, keys keysJSON) error {
	fmt.Fprintf(w, "data key %s, made %s\n", keys.KeyID, keys.CreatedAt)
	if keys.Rotating {
		fmt.Fprintln(w, "a rotation was begun and has not ended: nebula key rotate --resume")
	}
	for _, id := range keys.Retired {
		fmt.Fprintf(w, "retired: %s\n", id)
	}
	rows := [][]string{{"SLOT", "KIND", "COST"}}
	for _, s := range keys.Slots {
		rows = append(rows, []string{s.ID, s.Kind, s.cost()})
	}
	return a.table(w, rows)
}

func (s slotJSON) cost() string {
	switch s.Kind {
	case nebula.SlotArgon2id:
		return fmt.Sprintf("%d MiB, %d passes, %d lanes", s.Memory>>10, s.Passes, s.Lanes)
	case nebula.SlotPBKDF2:
		return fmt.Sprintf("%d rounds", s.Passes)
	}
	return ""
}
