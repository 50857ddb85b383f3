package config

import (
	"path/filepath"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/unlock/agent"
)

// envAgentSocket names the socket of the agent.
const envAgentSocket = "NEBULA_AGENT_SOCK"

// AgentSocket returns the path of the agent's socket: that of NEBULA_AGENT_SOCK,
// else one in the user's runtime directory, else in the state directory; "" if
// the environment names no place.
func (c *Config) AgentSocket() string { return c.env.agentSocket() }

func (e environment) agentSocket() string {
	if path := e.get(envAgentSocket); path != "" {
		return e.expand(path)
	}
	if dir := e.runtimeDirectory(); dir != "" {
		return filepath.Join(dir, "agent.sock")
	}
	return ""
}

// checkAgent checks the variable with the socket.
func (l *loader) checkAgent() {
	if l.config.env.get(envAgentSocket) == "" {
		return
	}
	if err := agent.CheckPath(l.config.env.agentSocket()); err != nil {
		l.problems.add(envAgentSocket, "must be an absolute path of at most %d bytes", agent.MaxSocketPath)
	}
}

// dataKeys returns the agent that keeps the data key of the store, or nil.
func (k *Keys) dataKeys() nebula.DataKeys {
	path := k.env.agentSocket()
	// An examination of the store looks at the keys at hand, too.
	if !k.store.key.Agent || k.options.Examine || agent.CheckPath(path) != nil {
		return nil
	}
	return agent.NewClient(path, k.options.Logger)
}
