package agent

import (
	"fmt"
	"path/filepath"

	"github.com/nebula-credential/nebula"
)

const opName = "agent"

// CheckPath refuses a path at which no socket can be.
func CheckPath(path string) error {
	message := ""
	switch {
	case !filepath.IsAbs(path):
		message = "the path of the agent's socket must be absolute"
	case len(path) > MaxSocketPath:
		message = fmt.Sprintf("the path of the agent's socket has %d bytes, %d are allowed: %s", len(path), MaxSocketPath, path)
	default:
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: opName, Message: message, Hint: "name another one with --socket, or NEBULA_AGENT_SOCK"}
}
