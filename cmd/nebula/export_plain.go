package main

import (
	"context"

	"github.com/spf13/cobra"
)

// plainOptions are those of an export in clear.
type plainOptions struct{}

func (*plainOptions) flags(*cobra.Command) {}

func (*plainOptions) wanted() bool { return false }

func (a *app) exportPlain(context.Context, exportOptions) error { return nil }
