package azureapi

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// metadataHost is where virtual machines ask for tokens.
const metadataHost = "169.254.169.254"

// explainMachine is for managed identities.
func (a *authenticator) explainMachine(l *loginError) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrUnauthenticated, Hint: a.machineHint()}
	id := a.config.ClientID
	key, isArc := strings.CutPrefix(l.challenge, "Basic realm=")
	switch {
	case l.failure != nil || l.ended != nil:
		e.Message = "this machine has no managed identity: no token service answers"
	case l.status == http.StatusGone, l.status == http.StatusNotFound && l.host == metadataHost:
		e.Kind = nebula.ErrUnavailable
		e.Message = fmt.Sprintf("the managed identity of this machine is being set up, or its token service is being updated (status %d)", l.status)
		e.Hint = "try again in a minute or two"
	case l.status == http.StatusUnauthorized && isArc:
		e.Message = fmt.Sprintf("the agent of Azure Arc asks for the key in %.200q, which cannot be used: %s", key, arcKeyProblem(key))
		e.Hint = "let the user of this process read it: on Linux by the group himds, on Windows by Hybrid Agent Extension Applications"
	case l.status == http.StatusBadRequest && id != "":
		e.Message = "the managed identity " + id + " is not assigned to this machine"
		e.Hint = "look at " + a.section + ".credential.client_id, or AZURE_CLIENT_ID"
	case l.status == http.StatusBadRequest && bytes.Contains(bytes.ToLower(l.body), []byte("multiple user assigned identities")):
		e.Message = "several managed identities are assigned to this machine, and none is chosen"
		e.Hint = "set " + a.section + ".credential.client_id, or AZURE_CLIENT_ID, to the client id of one of them"
	case l.status == http.StatusBadRequest:
		e.Message = "no managed identity of the system is assigned to this machine"
	default:
		e.Message = fmt.Sprintf("this machine has no managed identity: its token service answered with status %d", l.status)
	}
	return e
}

// arcKeyProblem says why the key of Arc's agent cannot be used.
func arcKeyProblem(path string) string {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return "it is no file"
	}
	var file *os.File
	if err == nil {
		file, err = os.Open(path)
	}
	if err != nil {
		return atomicfile.Reason(err)
	}
	defer file.Close()
	return "it is not where the agent puts its keys, or was not accepted"
}

// machineHint says what to use instead of a managed identity. The type that the
// environment was made for comes first.
func (a *authenticator) machineHint() string {
	c := a.config
	switch {
	case c.FederatedTokenFile != "":
		return "AZURE_FEDERATED_TOKEN_FILE is set: set " + a.section + ".credential.type to workload_identity"
	case len(c.ClientSecret.Reveal()) > 0:
		return "AZURE_CLIENT_SECRET is set: set " + a.section + ".credential.type to service_principal"
	}
	return "assign one, or set " + a.section + ".credential.type to workload_identity, service_principal or developer_tools"
}
