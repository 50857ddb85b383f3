package main

import (
	"context"

	"github.com/spf13/cobra"
)

// foreignOptions are those for what stands elsewhere, in clear or under another
// program's key.
type foreignOptions struct{}

func (*foreignOptions) flags(*cobra.Command) {}

// given names a flag that only goes with a source elsewhere, or returns "".
func (*foreignOptions) given(*cobra.Command) string { return "" }

// foreignImport takes over what the rest of a source names.
type foreignImport func(ctx context.Context, a *app, o importOptions, rest string) error

// foreignImports are those that there are, by scheme.
func foreignImports() map[string]foreignImport { return nil }
