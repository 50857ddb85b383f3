package memory

import (
	"context"
	"fmt"
)

// Identity implements [nebula.Identifier]: the place of the backend in memory.
func (d *driver) Identity(context.Context) (string, error) { return fmt.Sprintf("%p", d.Backend), nil }
