package agent

import "github.com/nebula-credential/nebula/internal/unixsocket"

const opName = "agent"

// use says in messages what the socket is for.
func use() unixsocket.Use {
	return unixsocket.Use{Op: opName, Who: "agent", Elsewhere: "--socket, or NEBULA_AGENT_SOCK",
		Look: "look at it with: nebula agent status", Lock: ".agent.lock"}
}

// CheckPath refuses a path at which there can be no socket.
func CheckPath(path string) error { return use().CheckPath(path) }
