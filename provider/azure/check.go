package azure

import (
	"context"

	"github.com/nebula-credential/nebula"
)

// Check .
func (p *Provider) Check(ctx context.Context) []nebula.Finding { return nil }
