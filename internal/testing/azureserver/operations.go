package azureserver

import (
	"net/http"
	"strings"
)

// Operation names what a request asks for.
type Operation string

// The operations of the secrets API, and what a client needs before them.
const (
	SetSecret         Operation = "set"
	GetSecret         Operation = "get"
	UpdateSecret      Operation = "update"
	DeleteSecret      Operation = "delete"
	ListSecrets       Operation = "list"
	ListVersions      Operation = "list versions"
	GetDeletedSecret  Operation = "get deleted"
	ListDeleted       Operation = "list deleted"
	RecoverSecret     Operation = "recover"
	PurgeSecret       Operation = "purge"
	BackupSecret      Operation = "backup"
	RestoreSecret     Operation = "restore"
	Challenge         Operation = "challenge"          // a vault was asked without a token
	InstanceDiscovery Operation = "instance discovery" // of the login
	OpenIDConfig      Operation = "openid"             // of the login
	Token             Operation = "token"              // for a service principal
	IdentityToken     Operation = "identity token"     // for a managed identity
)

// rbacAction is the data action that a role needs for the operation.
func (op Operation) rbacAction() string {
	const prefix = "Microsoft.KeyVault/vaults/secrets/"
	switch op {
	case SetSecret, GetSecret:
		return prefix + string(op) + "Secret/action"
	case DeleteSecret:
		return prefix + "delete"
	case ListSecrets, ListVersions, ListDeleted, GetDeletedSecret:
		return prefix + "readMetadata/action"
	}
	return prefix + string(op) + "/action"
}

// permission is what an access policy must grant for the operation.
func (op Operation) permission() string {
	switch op {
	case UpdateSecret:
		return "set"
	case ListVersions, ListDeleted:
		return "list"
	case GetDeletedSecret:
		return "get"
	}
	return string(op)
}

// target is what a path of the API names.
type target struct {
	op      Operation
	name    string
	version string // "" for the latest
}

// parse reads a request of the secrets API. Collections are spelt in any case.
func parse(r *http.Request) (target, *apiError) {
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	name, rest := "", []string(nil)
	if len(segments) > 1 {
		name, rest = segments[1], segments[2:]
	}
	ops := map[string]Operation{}
	t := target{name: name}
	switch collection := strings.ToLower(segments[0]); {
	case collection == "secrets" && name == "":
		ops[http.MethodGet] = ListSecrets
	case collection == "secrets" && len(rest) == 0 && strings.EqualFold(name, "restore") && r.Method == http.MethodPost:
		return target{op: RestoreSecret}, nil
	case collection == "secrets" && len(rest) == 0:
		ops = map[string]Operation{http.MethodPut: SetSecret, http.MethodGet: GetSecret,
			http.MethodPatch: UpdateSecret, http.MethodDelete: DeleteSecret}
	case collection == "secrets" && len(rest) == 1 && strings.EqualFold(rest[0], "versions"):
		ops[http.MethodGet] = ListVersions
	case collection == "secrets" && len(rest) == 1 && strings.EqualFold(rest[0], "backup") && r.Method == http.MethodPost:
		ops[http.MethodPost] = BackupSecret
	case collection == "secrets" && len(rest) == 1:
		t.version = strings.ToLower(rest[0])
		ops = map[string]Operation{http.MethodGet: GetSecret, http.MethodPatch: UpdateSecret}
	case collection == "deletedsecrets" && name == "":
		ops[http.MethodGet] = ListDeleted
	case collection == "deletedsecrets" && len(rest) == 0:
		ops = map[string]Operation{http.MethodGet: GetDeletedSecret, http.MethodDelete: PurgeSecret}
	case collection == "deletedsecrets" && len(rest) == 1 && strings.EqualFold(rest[0], "recover"):
		ops[http.MethodPost] = RecoverSecret
	default:
		return t, &apiError{status: http.StatusNotFound, code: "NotFound", message: "There is nothing at this address."}
	}
	t.op = ops[r.Method]
	if t.op == "" {
		return t, methodNotAllowed()
	}
	return t, checkName(name)
}

// checkName refuses names that the service refuses, when reading as well.
func checkName(name string) *apiError {
	for _, c := range name {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-') {
			return badParameter("The request URI contains an invalid name: %s", name)
		}
	}
	if len(name) > maxName {
		return badParameter("The request URI contains a name that is too long.")
	}
	return nil
}
