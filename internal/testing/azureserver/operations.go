package azureserver

import (
	"net/http"
	"strings"
)

// Operation names what a request asks for.
type Operation string

// The operations of the secrets API and of the keys API, and what a client needs
// before them.
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
	CreateKey         Operation = "create key"
	ImportKey         Operation = "import key" // refused: see doKey
	GetKey            Operation = "get key"
	UpdateKey         Operation = "update key"
	DeleteKey         Operation = "delete key"
	GetDeletedKey     Operation = "get deleted key"
	RecoverKey        Operation = "recover key"
	PurgeKey          Operation = "purge key"
	WrapKey           Operation = "wrapKey"
	UnwrapKey         Operation = "unwrapKey"
	Encrypt           Operation = "encrypt"
	Decrypt           Operation = "decrypt"
	Sign              Operation = "sign"               // refused: see doKey
	Challenge         Operation = "challenge"          // a vault was asked without a token
	InstanceDiscovery Operation = "instance discovery" // of the login
	OpenIDConfig      Operation = "openid"             // of the login
	Token             Operation = "token"              // for a service principal
	IdentityToken     Operation = "identity token"     // for a managed identity
)

// collection says whether a name is that of a secret or of a key.
type collection string

const (
	ofSecrets collection = "secret"
	ofKeys    collection = "key"
)

// code is the beginning of error codes.
func (c collection) code() string {
	return map[collection]string{ofSecrets: "Secret", ofKeys: "Key"}[c]
}

// collection returns the collection that the operation is for.
func (op Operation) collection() collection {
	switch op {
	case CreateKey, ImportKey, GetKey, UpdateKey, DeleteKey, GetDeletedKey, RecoverKey, PurgeKey, WrapKey, UnwrapKey, Encrypt, Decrypt, Sign:
		return ofKeys
	}
	return ofSecrets
}

// Action returns the data action that a role needs for the operation.
func (op Operation) Action() string {
	action := string(op) + "/action"
	switch op {
	case SetSecret, GetSecret:
		action = string(op) + "Secret/action"
	case DeleteSecret, DeleteKey:
		action = "delete"
	case ListSecrets, ListVersions, ListDeleted, GetDeletedSecret:
		action = "readMetadata/action"
	case GetKey, GetDeletedKey:
		action = "read"
	case WrapKey, UnwrapKey:
		action = strings.TrimSuffix(string(op), "Key") + "/action"
	case CreateKey, ImportKey, UpdateKey, RecoverKey, PurgeKey:
		action = strings.TrimSuffix(string(op), " key") + "/action"
	}
	return "Microsoft.KeyVault/vaults/" + string(op.collection()) + "s/" + action
}

// Permission returns what an access policy must grant for the operation.
func (op Operation) Permission() string {
	switch op {
	case UpdateSecret:
		return "set"
	case ListVersions, ListDeleted:
		return "list"
	case GetDeletedSecret, GetDeletedKey:
		return "get"
	}
	return strings.TrimSuffix(string(op), " key")
}

// target is what a path of the API names.
type target struct {
	op      Operation
	of      collection
	name    string
	version string // "" for the latest
}

// parse reads a request. Upper and lower case do not matter in the names of
// collections.
func parse(r *http.Request) (target, *apiError) {
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	name, rest := "", []string(nil)
	if len(segments) > 1 {
		name, rest = segments[1], segments[2:]
	}
	ops := map[string]Operation{}
	t := target{of: ofSecrets, name: name}
	switch collection := strings.ToLower(segments[0]); {
	case (collection == "keys" || collection == "deletedkeys") && name != "":
		t.of = ofKeys
		ops, t.version = keyOperations(collection, rest)
	case collection == "secrets" && name == "":
		ops[http.MethodGet] = ListSecrets
	case collection == "secrets" && len(rest) == 0 && strings.EqualFold(name, "restore") && r.Method == http.MethodPost:
		return target{op: RestoreSecret, of: ofSecrets}, nil
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
		ops = nil
	}
	if ops == nil {
		return t, &apiError{status: http.StatusNotFound, code: "NotFound", message: "There is nothing at this address."}
	}
	t.op = ops[r.Method]
	if t.op == "" {
		return t, methodNotAllowed()
	}
	return t, checkName(name)
}

// keyOperations returns the operations of an address, by their methods. In an address
// that uses a key, the version may be empty or left out: Microsoft's clients do both.
func keyOperations(root string, rest []string) (ops map[string]Operation, version string) {
	if root == "deletedkeys" {
		switch {
		case len(rest) == 0:
			return map[string]Operation{http.MethodGet: GetDeletedKey, http.MethodDelete: PurgeKey}, ""
		case len(rest) == 1 && strings.EqualFold(rest[0], "recover"):
			return map[string]Operation{http.MethodPost: RecoverKey}, ""
		}
		return nil, ""
	}
	if len(rest) == 0 {
		return map[string]Operation{http.MethodGet: GetKey, http.MethodPatch: UpdateKey, http.MethodDelete: DeleteKey}, ""
	}
	posted := map[string]Operation{"create": CreateKey, "import": ImportKey, "wrapkey": WrapKey, "unwrapkey": UnwrapKey,
		"encrypt": Encrypt, "decrypt": Decrypt, "sign": Sign}
	last := strings.ToLower(rest[len(rest)-1])
	switch op := posted[last]; {
	case len(rest) > 2:
	case op != "" && len(rest) == 2:
		return map[string]Operation{http.MethodPost: op}, strings.ToLower(rest[0])
	case op != "":
		return map[string]Operation{http.MethodPost: op}, ""
	case len(rest) == 1:
		return map[string]Operation{http.MethodGet: GetKey, http.MethodPatch: UpdateKey}, last
	}
	return nil, ""
}

// checkName refuses the names that the service refuses, also for reading.
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
