//go:build linux || darwin

package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/bench/paired"
)

// BenchmarkCommandGetByAgent compares nebula get from files with an agent, which holds the
// data key, to the same with a key file.
func BenchmarkCommandGetByAgent(b *testing.B) {
	byFile := newCommand(b)
	byFile.run(b, value(), byFile.nebula, "put", "x")
	dir, err := os.MkdirTemp("/tmp", "bench") // the path of a socket must be short
	check(b, err)
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	byAgent := byFile
	byAgent.env = append(slices.Clone(byFile.env), "NEBULA_AGENT_SOCK="+filepath.Join(dir, "agent.sock"))
	byFile.env = append(slices.Clone(byFile.env), "NEBULA_KEY_AGENT=false")
	byAgent.startAgent(b)
	byAgent.run(b, "", byAgent.nebula, "get", "x") // the agent gets the key
	paired.Run(b, 1,
		func(int) { byFile.run(b, "", byFile.nebula, "get", "x") },
		func(int) { byAgent.run(b, "", byAgent.nebula, "get", "x") })
	byAgent.report(b, byAgent.nebula, "get", "x")
}

// startAgent runs an agent until the benchmark ends.
func (c command) startAgent(b *testing.B) {
	agent := exec.Command(c.nebula, "agent")
	agent.Env = c.env
	check(b, agent.Start())
	b.Cleanup(func() {
		_ = agent.Process.Signal(os.Interrupt)
		_ = agent.Wait()
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		status := exec.Command(c.nebula, "agent", "status")
		status.Env = c.env
		if status.Run() == nil {
			return
		}
		if time.Now().After(deadline) {
			b.Fatal("the agent does not listen")
		}
	}
}
