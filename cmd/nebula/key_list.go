package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func keyListCommand(run func(ctx context.Context, verify bool) error) *cobra.Command {
	verify := false
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the slots of the store's keyring",
		Long: `List the slots, and the id of the data key. If no key is at hand, key list shows
what the backend says, and tells you so.

HERE says for which slots the configuration has a key, without a call to any
service. With --verify, each such key is tried. An id is unverified if neither
known_stores nor the configuration names it.`,
		Example: `  nebula key list
  nebula key list --verify`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), verify) },
	}
	cmd.Flags().BoolVar(&verify, "verify", false, "try the keys that the configuration has")
	return cmd
}

type keysJSON struct {
	KeyID        string     `json:"key_id"`
	Verified     bool       `json:"verified"` // by the pin or the configuration
	Authentic    bool       `json:"authentic"`
	Generation   uint64     `json:"generation"`
	Rotating     bool       `json:"rotating"`
	Retired      []string   `json:"retired"`
	CreatedAt    string     `json:"created_at"`
	LastModified string     `json:"last_modified"`
	Slots        []slotJSON `json:"slots"`
}

func (a *app) keyList(ctx context.Context, verify bool) error {
	return a.withStore(ctx, func(s *config.Opened) error {
		info, err := s.Store.Keys(ctx)
		if err != nil {
			return err
		}
		out := keysJSON{
			KeyID: info.ID.String(), Verified: info.Verified, Authentic: info.Authentic, Generation: info.Generation, Rotating: info.Rotating,
			Retired: []string{}, CreatedAt: formatTime(info.CreatedAt), LastModified: formatTime(info.LastModified), Slots: []slotJSON{},
		}
		for _, id := range info.Retired {
			out.Retired = append(out.Retired, id.String())
		}
		for _, slot := range info.Slots {
			out.Slots = append(out.Slots, a.describeSlot(ctx, s, info, slot, verify))
		}
		a.tellUnopened(info)
		return a.print(out, func(w io.Writer) error { return a.writeKeys(w, out) })
	})
}

// describeSlot describes a slot. If that is wanted and the configuration has
// its key, it tries the key.
func (a *app) describeSlot(ctx context.Context, s *config.Opened, info nebula.KeyInfo, slot nebula.Slot, verify bool) slotJSON {
	note, noted := info.Notes[slot.ID]
	out := slotOf(slot).noted(note, noted)
	here := s.Keys.OpensHere(slot)
	out.Here = &here
	if !here || !verify || !info.Authentic {
		return out
	}
	err := s.TrySlot(ctx, slot.ID)
	opens := err == nil
	out.Opens = &opens
	if err != nil {
		f := a.failureOf(err)
		out.Error = &failureJSON{f.Kind, f.Message, f.Hint}
	}
	return out
}

// tellUnopened says that a keyring is described as the backend shows it, and
// why.
func (a *app) tellUnopened(info nebula.KeyInfo) {
	if info.Authentic {
		return
	}
	a.warn("no key at hand opens the keyring; this is what the backend shows, and it is not authenticated")
	if kind := nebula.KindOf(info.Problem); kind == nebula.ErrUntrustedKey || kind == nebula.ErrPermissionDenied || kind == nebula.ErrUnavailable {
		a.warn(a.failureOf(info.Problem).Message)
	}
}

func (a *app) writeKeys(w io.Writer, keys keysJSON) error {
	state := ""
	if !keys.Verified {
		state = " (unverified)"
	}
	fmt.Fprintf(w, "data key %s%s, made %s\n", keys.KeyID, state, keys.CreatedAt)
	if keys.Rotating {
		fmt.Fprintln(w, "a rotation was begun and has not ended: nebula key rotate --resume")
	}
	for _, id := range keys.Retired {
		fmt.Fprintf(w, "retired: %s\n", id)
	}
	return a.writeSlots(w, keys.Slots)
}
