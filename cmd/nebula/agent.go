package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/unlock/agent"
)

type agentOptions struct {
	ttl    time.Duration
	socket string   // "": that of the configuration
	argv   []string // of the command whose session it is; none: it runs until it is stopped
}

func (a *app) agentCommand() *cobra.Command {
	o := agentOptions{ttl: agent.DefaultTTL}
	cmd := &cobra.Command{
		Use:   "agent [-- CMD…]",
		Short: "Keep opened data keys for the commands of this user",
		Long: `Keep the data keys of stores that were opened, and nothing else. The next
command then needs no passphrase and calls no service. Commands find the agent
by themselves: at NEBULA_AGENT_SOCK, else in XDG_RUNTIME_DIR, else in the state
directory. The agent forgets a key when its time is over, counted from when the
store was opened with another key.

With a command, the agent runs for as long as the command does, and the command
finds its socket in NEBULA_AGENT_SOCK.

Every process of the same user can get the keys from it. There is no agent on
Windows.`,
		Example: `  nebula agent --ttl 1h
  nebula agent -- bash
  nebula agent status
  nebula agent lock`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() == 0 {
				return nil
			}
			return noCommand(cmd, args)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		Annotations:       map[string]string{slow: unlimited},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.argv = args
			return a.agent(cmd.Context(), o)
		},
	}
	cmd.PersistentFlags().StringVar(&o.socket, "socket", "", "`path` of the socket (NEBULA_AGENT_SOCK)")
	cmd.Flags().DurationVar(&o.ttl, "ttl", agent.DefaultTTL, "the longest `time` that a key is kept, such as 15m")
	cmd.AddCommand(
		plainCommand("status", "Show what the agent keeps: stores, ids of data keys, time left", "  nebula agent status",
			func(ctx context.Context) error { return a.agentStatus(ctx, o.socket) }),
		plainCommand("lock", "Make the agent forget all keys at once", "  nebula agent lock",
			func(ctx context.Context) error { return a.agentLock(ctx, o.socket) }))
	return cmd
}

// agentSocket returns the path of the socket: the flag's, or the configuration's.
func (a *app) agentSocket(flag string) (string, error) {
	if flag != "" {
		return absolute(flag), nil
	}
	c, err := a.load()
	if err != nil {
		return "", err
	}
	if path := c.AgentSocket(); path != "" {
		return path, nil
	}
	return "", usage("there is no home directory to keep a socket in", "name one with --socket, or NEBULA_AGENT_SOCK")
}

func (a *app) agent(ctx context.Context, o agentOptions) error {
	if o.ttl <= 0 {
		return usage("--ttl must be a duration above 0, such as 15m", "")
	}
	path, err := a.agentSocket(o.socket)
	if err != nil {
		return err
	}
	if len(o.argv) > 0 {
		return a.agentSession(ctx, path, o)
	}
	// Closing the terminal ends it as well.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	keeper, err := agent.Listen(ctx, path, o.ttl)
	if err != nil {
		return err
	}
	a.tell(fmt.Sprintf("the agent keeps keys for %v; it listens at %s", o.ttl, path))
	if o.socket != "" {
		a.tell("commands find it with: export NEBULA_AGENT_SOCK=" + atomicfile.Quote(path))
	}
	return keeper.Serve(ctx)
}

func (a *app) agentClient(flag string) (*agent.Client, string, error) {
	path, err := a.agentSocket(flag)
	if err != nil {
		return nil, "", err
	}
	return agent.NewClient(path, slog.New(warnings{a})), path, nil
}

type agentJSON struct {
	Socket string         `json:"socket"`
	Keys   []agentKeyJSON `json:"keys"`
}

type agentKeyJSON struct {
	Address string `json:"address"`
	KeyID   string `json:"key_id"`
	Pinned  bool   `json:"pinned"`
	Left    int64  `json:"seconds_left"`
}

func (a *app) agentStatus(ctx context.Context, socket string) error {
	client, path, err := a.agentClient(socket)
	if err != nil {
		return err
	}
	entries, err := client.List(ctx)
	if err != nil {
		return err
	}
	out := agentJSON{Socket: path, Keys: []agentKeyJSON{}}
	for _, e := range entries {
		out.Keys = append(out.Keys, agentKeyJSON{e.Address, e.KeyID, e.Pinned, int64(e.Left.Round(time.Second).Seconds())})
	}
	return a.print(out, func(w io.Writer) error {
		if len(out.Keys) == 0 {
			_, err := fmt.Fprintln(w, "no keys")
			return err
		}
		rows := [][]string{{"STORE", "DATA KEY", "LEFT", ""}}
		for _, k := range out.Keys {
			state := ""
			if !k.Pinned {
				state = "not pinned"
			}
			rows = append(rows, []string{k.Address, k.KeyID, (time.Duration(k.Left) * time.Second).String(), state})
		}
		return a.table(w, rows)
	})
}

func (a *app) agentLock(ctx context.Context, socket string) error {
	client, _, err := a.agentClient(socket)
	if err != nil {
		return err
	}
	forgotten, err := client.Lock(ctx)
	if err != nil {
		return err
	}
	return a.print(map[string]int{"forgotten": forgotten}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%d forgotten\n", forgotten)
		return err
	})
}
