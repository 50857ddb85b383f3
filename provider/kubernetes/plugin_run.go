package kubernetes

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/internal/process"
)

func (p *plugin) run(ctx context.Context) (*issued, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	command := exec.CommandContext(ctx, p.command, p.config.Args...)
	command.Env = process.ChildEnvironment(os.Environ())
	for _, variable := range p.config.Env {
		command.Env = append(command.Env, variable.Name+"="+variable.Value)
	}
	command.Env = append(command.Env, "KUBERNETES_EXEC_INFO="+p.info)
	output := capped{exceeded: cancel}
	command.Stdout, command.Stderr = &output, p.stderr
	command.WaitDelay = time.Second // what the plugin started may hold its output open
	if err := command.Run(); err != nil {
		return nil, p.failed(ctx, err)
	}
	i, problem := p.parse(output.kept)
	if problem != "" {
		return nil, &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: p.named() + " " + problem}
	}
	return i, nil
}

func (p *plugin) named() string { return "the credential plugin " + strconv.Quote(p.config.Command) }

// failed says why there is no output. The plugin's own message went to standard
// error.
func (p *plugin) failed(ctx context.Context, err error) error {
	e := &nebula.Error{Kind: nebula.ErrUnauthenticated, Err: err, Message: p.named() + " failed"}
	var exited *exec.ExitError
	switch {
	case context.Cause(ctx) == errExceeded:
		e.Message = p.named() + " " + errExceeded.Error()
	case ctx.Err() != nil:
		e.Message = fmt.Sprintf("%s did not end within %v", p.named(), pluginLimit)
	case errors.As(err, &exited):
		e.Message = fmt.Sprintf("%s ended with code %d", p.named(), exited.ExitCode())
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		e.Message, e.Hint = p.named()+" is not installed", "install it, or look at the user in the kubeconfig"
		if hint := strings.TrimSpace(p.config.InstallHint); hint != "" {
			e.Hint += "; the kubeconfig says: " + printable(hint)
		}
	case errors.Is(err, os.ErrPermission):
		e.Message, e.Hint = p.named()+" is not executable", "chmod +x "+strconv.Quote(p.command)+", or look at the user in the kubeconfig"
	default:
		e.Message += ": " + atomicfile.Reason(err)
	}
	return e
}

// parse reads the plugin's output, and says what is wrong with it.
func (p *plugin) parse(output []byte) (i *issued, problem string) {
	var printed execCredential
	switch {
	case json.Unmarshal(output, &printed) != nil || printed.Kind != "ExecCredential":
		return nil, "printed no ExecCredential"
	case printed.APIVersion != p.config.APIVersion:
		return nil, "printed an ExecCredential of another apiVersion than the kubeconfig says"
	case printed.Status == nil:
		return nil, "printed an ExecCredential without a status"
	}
	s := printed.Status
	i = new(issued)
	if s.ExpirationTimestamp != nil {
		i.expires = *s.ExpirationTimestamp
	}
	if s.Token != "" {
		if httpx.CheckToken("", s.Token) != nil {
			return nil, "printed a token that holds characters that no token has"
		}
		i.header = bearer(s.Token)
	}
	if s.ClientCertificateData != "" || s.ClientKeyData != "" {
		pair, err := tls.X509KeyPair([]byte(s.ClientCertificateData), []byte(s.ClientKeyData))
		if err != nil {
			return nil, "printed a certificate and a key that do not make a pair"
		}
		i.certificate = &pair
	}
	if i.header == "" && i.certificate == nil {
		return nil, "printed neither a token nor a certificate"
	}
	return i, ""
}

// capped keeps what is written to it, up to a limit. The buffer is not embedded,
// because then its ReadFrom would be used instead of Write.
type capped struct {
	kept     []byte
	exceeded func(cause error)
}

var errExceeded = fmt.Errorf("printed more than %d bytes", maxPluginOutput)

// Write calls exceeded over the limit, and keeps no more.
func (c *capped) Write(data []byte) (int, error) {
	if len(c.kept)+len(data) > maxPluginOutput {
		c.exceeded(errExceeded)
		return 0, errExceeded
	}
	c.kept = append(c.kept, data...)
	return len(data), nil
}
