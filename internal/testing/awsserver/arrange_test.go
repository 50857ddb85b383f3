package awsserver_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

// state is what a scenario has said about a secret so far.
type state struct {
	name, arn string
	deleted   bool
	forced    bool
	described bool
	read      map[string]bool // versions by id, and "" means the secret
	tags      map[string]string
	tagged    bool
	rotates   bool
	policy    bool
	key       bool
	replicas  bool
}

// secret returns the state of a name, and creates the secret if there is none.
func (w *world) secret(name string) *state {
	if w.secrets[name] == nil {
		w.create(name, map[string]any{})
	}
	return w.secrets[name]
}

// do sends a request that was not recorded. It has to succeed.
func (w *world) do(operation string, in map[string]any) answer {
	w.t.Helper()
	for _, field := range tokenOperations(operation) {
		w.tokens++
		in[field] = fmt.Sprintf("token-%032d", w.tokens)
	}
	w.now = w.now.Add(10 * time.Millisecond)
	got := send(w.t, w.server, operation, in)
	if got.status != http.StatusOK {
		w.t.Fatalf("%s, which a recording presupposes: %d %s", operation, got.status, got.raw)
	}
	if id, ok := got.body["VersionId"].(string); ok {
		w.values[id] = sentValue(in)
	}
	return got
}

func sentValue(in map[string]any) string {
	return fmt.Sprint(in["SecretString"], " ", in["SecretBinary"])
}

// arrange sets up the state that the exchange presupposes.
func (w *world) arrange(e *exchange) {
	if e.Status != http.StatusOK {
		w.arrangeError(e)
		return
	}
	switch e.Operation {
	case "GetRandomPassword":
	case "CreateSecret":
		w.waitForDeletion(e)
		if made, _ := e.Output["VersionId"].(string); !w.mentioned[made] {
			delete(w.bound, made) // it belonged to a secret that was presupposed before
		}
	case "ListSecrets":
		w.arrangeList(e)
	case "BatchGetSecretValue":
		w.arrangeBatch(e)
	case "RestoreSecret":
		w.schedule(w.subject(e))
	default:
		if e.Input["SecretId"] == "{absent}" {
			return
		}
		w.exist(w.subject(e), e)
		w.describe(w.subject(e), e.Output)
		w.arrangeRest(e)
	}
}

// exist makes a secret with the versions that the exchange mentions.
func (w *world) exist(name string, e *exchange) {
	if w.secrets[name] != nil {
		return
	}
	shape := map[string]any{}
	maps.Copy(shape, e.Output)
	stages := stagesOf(e.Output)
	if e.Operation == "UpdateSecretVersionStage" {
		stages = stagesToMove(e.Input)
	}
	if e.Operation == "DescribeSecret" && len(stages) == 0 {
		shape["empty"] = true
	}
	if made, _ := e.Output["VersionId"].(string); stages == nil && made != "" && !strings.Contains(made, "token") {
		stages = chain(made)
	}
	shape["stages"] = stages
	w.create(name, shape)
}

// stagesOf returns the stages by version that an answer names.
func stagesOf(output map[string]any) map[string]any {
	for _, field := range []string{"VersionIdsToStages", "SecretVersionsToStages"} {
		if stages, ok := output[field].(map[string]any); ok {
			return stages
		}
	}
	stages := map[string]any{}
	versions, _ := output["Versions"].([]any)
	for _, v := range versions {
		entry, _ := v.(map[string]any)
		if id, ok := entry["VersionId"].(string); ok {
			stages[id] = entry["VersionStages"]
		}
	}
	if id, ok := output["VersionId"].(string); ok && output["CreatedDate"] != nil {
		stages[id] = output["VersionStages"]
	}
	if len(stages) == 0 {
		return nil
	}
	return stages
}

func stagesToMove(in map[string]any) map[string]any {
	stages := map[string]any{}
	if to, ok := in["MoveToVersionId"].(string); ok {
		stages[to] = []any{"AWSPENDING"}
		if in["VersionStage"] != "AWSCURRENT" {
			stages[to] = []any{"AWSCURRENT"}
		}
	}
	if from, ok := in["RemoveFromVersionId"].(string); ok {
		stages[from] = []any{in["VersionStage"]}
		to, _ := in["MoveToVersionId"].(string)
		if in["VersionStage"] == "AWSCURRENT" && isBefore(to, from) {
			stages[to] = []any{"AWSPREVIOUS"}
		}
	}
	return stages
}

// stagesElsewhere returns stages where the version that is to lose the stage does not
// have it.
func stagesElsewhere(in map[string]any) map[string]any {
	stages := stagesToMove(in)
	from, ok := in["RemoveFromVersionId"].(string)
	if !ok {
		return stages
	}
	stages["{version0}"] = []any{in["VersionStage"]}
	stages[from] = []any{"AWSPREVIOUS"}
	if in["VersionStage"] != "AWSCURRENT" && in["MoveToVersionId"] == nil {
		stages[from] = []any{"AWSCURRENT"}
	}
	return stages
}

var numbered = regexp.MustCompile(`^\{(version|v)(\d+)\}$`)

// isBefore reports whether both versions are numbered and a has the lower number.
func isBefore(a, b string) bool {
	x, y := numbered.FindStringSubmatch(a), numbered.FindStringSubmatch(b)
	return x != nil && y != nil && (len(x[2]) < len(y[2]) || len(x[2]) == len(y[2]) && x[2] < y[2])
}

// chain returns the versions before the one that was made, with their stages.
func chain(made string) map[string]any {
	parts := numbered.FindStringSubmatch(made)
	if parts == nil {
		return nil
	}
	count := 0
	_, _ = fmt.Sscan(parts[2], &count)
	stages := map[string]any{}
	for i := 1; i < count; i++ {
		stages[fmt.Sprintf("{%s%d}", parts[1], i)] = nil
		switch i {
		case count - 1:
			stages[fmt.Sprintf("{%s%d}", parts[1], i)] = []any{"AWSCURRENT"}
		case count - 2:
			stages[fmt.Sprintf("{%s%d}", parts[1], i)] = []any{"AWSPREVIOUS"}
		}
	}
	return stages
}

// create makes a secret with these fields of a description, and the versions of
// "stages". The order of writing, deprecated, previous, current, others, leaves each
// version with its stages.
func (w *world) create(name string, shape map[string]any) {
	in := map[string]any{"Name": name}
	if text, ok := shape["Description"].(string); ok {
		in["Description"] = text
	}
	got := w.do("CreateSecret", in)
	s := &state{name: name, arn: got.body["ARN"].(string), described: in["Description"] != nil, read: map[string]bool{}, tags: map[string]string{}}
	w.secrets[name] = s
	if shape["empty"] != nil {
		return
	}
	stages, _ := shape["stages"].(map[string]any)
	if !slices.ContainsFunc(slices.Collect(maps.Values(stages)), func(list any) bool { return has(list, "AWSCURRENT") }) {
		added := map[string]any{"{version1}": []any{"AWSCURRENT"}}
		if w.bound["{version1}"] != "" || len(stages) > 0 {
			added = map[string]any{"{version0}": []any{"AWSCURRENT"}}
		}
		maps.Copy(added, stages)
		stages = added
	}
	rank := func(list any) int {
		switch {
		case list == nil:
			return 0
		case has(list, "AWSPREVIOUS"):
			return 1
		case has(list, "AWSCURRENT"):
			return 2
		}
		return 3
	}
	order := slices.Sorted(maps.Keys(stages))
	slices.SortStableFunc(order, func(a, b string) int { return rank(stages[a]) - rank(stages[b]) })
	for _, id := range order {
		w.put(name, id, stages[id], rank(stages[id]) < 3)
	}
}

func has(list any, stage string) bool {
	stages, _ := list.([]any)
	return slices.Contains(stages, any(stage))
}

func (w *world) put(name, version string, stages any, isCurrent bool) {
	list, _ := stages.([]any)
	list = slices.DeleteFunc(slices.Clone(list), func(s any) bool { return s == "AWSPREVIOUS" })
	if isCurrent && !slices.Contains(list, any("AWSCURRENT")) {
		list = append(list, "AWSCURRENT")
	}
	got := w.do("PutSecretValue", map[string]any{"SecretId": name, "SecretString": "VALUE", "VersionStages": list})
	if !w.bind(version, got.body["VersionId"].(string)) {
		w.t.Fatalf("%s is another version", version)
	}
}

const keyARN = "arn:aws:kms:us-east-1:123456789012:key/1"

// describe gives a secret what an answer says about it and no earlier exchange did.
func (w *world) describe(name string, output map[string]any) {
	s := w.secrets[name]
	if tags, ok := output["Tags"].([]any); ok {
		w.tag(s, tags)
	}
	if output["Description"] != nil && !s.described {
		s.described = true
		w.do("UpdateSecret", map[string]any{"SecretId": name, "Description": "presupposed"})
	}
	if output["KmsKeyId"] != nil && !s.key {
		s.key = true
		w.do("UpdateSecret", map[string]any{"SecretId": name, "KmsKeyId": keyARN})
	}
	if output["RotationEnabled"] == true && !s.rotates {
		w.rotate(s, output["LastRotatedDate"] != nil)
	}
	if output["PrimaryRegion"] != nil && !s.replicas {
		w.replicate(s, "eu-west-1")
	}
	if output["ResourcePolicy"] != nil && !s.policy {
		s.policy = true
		w.do("PutResourcePolicy", map[string]any{"SecretId": name, "ResourcePolicy": policyText})
	}
	if output["LastAccessedDate"] != nil && !s.read[""] {
		w.read(s, "")
	}
	versions, _ := output["Versions"].([]any)
	for _, v := range versions {
		entry, _ := v.(map[string]any)
		version, _ := entry["VersionId"].(string)
		if id := w.bound[version]; entry["LastAccessedDate"] != nil && !s.read[id] {
			w.read(s, id)
		}
	}
	if output["DeletedDate"] != nil && !s.deleted {
		w.schedule(name)
	}
}

func (w *world) rotate(s *state, now bool) {
	const function = "arn:aws:lambda:us-east-1:123456789012:function:rotate"
	s.rotates = true
	w.server.AddRotationFunction(function)
	w.do("RotateSecret", map[string]any{"SecretId": s.name, "RotationLambdaARN": function,
		"RotationRules": map[string]any{"AutomaticallyAfterDays": 30}, "RotateImmediately": now})
}

func (w *world) replicate(s *state, region string) {
	s.replicas = true
	w.do("ReplicateSecretToRegions", map[string]any{"SecretId": s.name, "AddReplicaRegions": []any{map[string]any{"Region": region, "KmsKeyId": keyARN}}})
}

// tag replaces the tags that the scenario's exchanges left by these.
func (w *world) tag(s *state, tags []any) {
	want := map[string]string{}
	for _, t := range tags {
		pair := t.(map[string]any)
		want[pair["Key"].(string)] = pair["Value"].(string)
	}
	if maps.Equal(want, s.tags) && s.tagged {
		return
	}
	add := tags
	if len(tags) == 0 && len(s.tags) == 0 {
		add, s.tags = []any{map[string]any{"Key": "presupposed", "Value": "1"}}, map[string]string{"presupposed": "1"}
	}
	if len(add) > 0 {
		w.do("TagResource", map[string]any{"SecretId": s.name, "Tags": add})
	}
	var remove []string
	for key := range s.tags {
		if _, ok := want[key]; !ok {
			remove = append(remove, key)
		}
	}
	if len(remove) > 0 {
		w.do("UntagResource", map[string]any{"SecretId": s.name, "TagKeys": remove})
	}
	s.tags, s.tagged = want, true
}

func (w *world) read(s *state, version string) {
	in := map[string]any{"SecretId": s.name}
	if version != "" {
		in["VersionId"] = version
	}
	got := w.do("GetSecretValue", in)
	s.read[""], s.read[version], s.read[got.body["VersionId"].(string)] = true, true, true
}

func (w *world) schedule(name string) {
	s := w.secret(name)
	if !s.deleted {
		s.deleted = true
		w.do("DeleteSecret", map[string]any{"SecretId": name})
	}
}

// arrangeRest sets up what only the input shows.
func (w *world) arrangeRest(e *exchange) {
	if function, ok := e.Input["RotationLambdaARN"].(string); ok {
		w.server.AddRotationFunction(w.fill(function))
	}
	if s := w.secret(w.subject(e)); e.Operation == "CancelRotateSecret" && !s.rotates {
		w.rotate(s, false)
	}
	if regions, ok := e.Input["RemoveReplicaRegions"].([]any); ok {
		for _, region := range regions {
			w.replicate(w.secret(w.subject(e)), w.fill(region.(string)))
		}
	}
	if versions, ok := e.Output["Versions"].([]any); ok && e.Output["NextToken"] != nil {
		w.server.SetPageSize(len(versions))
		w.do("PutSecretValue", map[string]any{"SecretId": w.subject(e), "SecretString": "VALUE", "VersionStages": []any{"PRESUPPOSED"}})
	}
}

// legendForm matches the secrets that a scenario's name describes: A name
// 'description'.
var legendForm = regexp.MustCompile(`\b([A-Z]) (\S+) '([^']*)'`)

func (w *world) legend(e *exchange) map[string]struct{ name, description string } {
	all := map[string]struct{ name, description string }{}
	for _, parts := range legendForm.FindAllStringSubmatch(e.Scenario, -1) {
		all[parts[1]] = struct{ name, description string }{parts[2], parts[3]}
	}
	return all
}

func (w *world) arrangeList(e *exchange) {
	for _, one := range w.legend(e) {
		if w.secrets[one.name] == nil {
			w.create(one.name, map[string]any{"Description": one.description})
		}
	}
	list, _ := e.Output["SecretList"].([]any)
	list = w.expand(list)
	// In this order of creation, the secrets are not in the order of their names.
	for i, item := range slices.Backward(list) {
		shape := map[string]any{}
		if object, ok := item.(map[string]any); ok {
			maps.Copy(shape, object)
		}
		name, ok := shape["Name"].(string)
		if !ok {
			name = fmt.Sprintf("{name#%d}", i)
		}
		name = w.fill(name)
		if w.secrets[name] == nil {
			shape["stages"] = stagesOf(shape)
			w.create(name, shape)
		}
		w.describe(name, shape)
	}
	if e.Output["NextToken"] != nil {
		w.server.SetPageSize(len(list))
		w.secret("presupposed-" + fmt.Sprint(w.tokens))
	}
}

func (w *world) arrangeBatch(e *exchange) {
	failing := map[string]string{}
	errors, _ := e.Output["Errors"].([]any)
	for _, one := range errors {
		entry, _ := one.(map[string]any)
		id, _ := entry["SecretId"].(string)
		failing[id], _ = entry["ErrorCode"].(string)
	}
	ids, _ := e.Input["SecretIdList"].([]any)
	for _, one := range ids {
		id := one.(string)
		switch name := w.fill(id); failing[id] {
		case "":
			w.secret(name)
		case "InvalidRequestException":
			w.schedule(name)
		case "AccessDeniedException":
			w.server.Inject(awsserver.Fault{Operation: "GetSecretValue", Secret: name, Deny: true})
		}
	}
}

// arrangeError sets up a refusal.
func (w *world) arrangeError(e *exchange) {
	withToken := true
	if token, ok := e.Input["ClientRequestToken"]; ok && token == nil {
		withToken = false
	}
	name := w.subject(e)
	switch e.ErrorCode {
	case "ResourceExistsException":
		w.arrangeExisting(e, name)
	case "InvalidRequestException", "InvalidParameterException":
		w.arrangeRefusal(e, name, withToken)
	case "ResourceNotFoundException":
		w.waitForDeletion(e)
		_, byVersion := e.Input["VersionId"]
		_, byStage := e.Input["VersionStage"]
		if (byVersion || byStage) && e.Input["SecretId"] != "{absent}" {
			w.exist(name, withoutMissing(e))
		}
	case "AccessDeniedException":
		if e.Operation == "RotateSecret" {
			w.secret(name)
		} else {
			w.server.Inject(awsserver.Fault{Operation: e.Operation, Times: e.Repeats, Deny: true})
		}
	case "ValidationException", "InvalidNextTokenException", "MalformedPolicyDocumentException":
		if name != "" && e.Operation != "CreateSecret" && !placeholder.MatchString(name) && validNames.MatchString(name) {
			w.secret(name)
		}
	default: // throttling, states of keys, credentials: the request does not matter
		w.server.Inject(awsserver.Fault{Operation: e.Operation, Times: e.Repeats, Error: &awsserver.Error{Status: e.Status, Code: e.ErrorCode, Message: "presupposed"}})
	}
}

// withoutMissing returns the exchange without the version that was not found. In a move
// it is the version that gets the stage, unless only the other one has no number.
func withoutMissing(e *exchange) *exchange {
	if e.Operation != "UpdateSecretVersionStage" {
		return e
	}
	missing := "MoveToVersionId"
	from, _ := e.Input["RemoveFromVersionId"].(string)
	if to, ok := e.Input[missing].(string); !ok || numbered.MatchString(to) && from != "" && !numbered.MatchString(from) {
		missing = "RemoveFromVersionId"
	}
	one := *e
	one.Input = maps.Clone(e.Input)
	delete(one.Input, missing)
	return &one
}

var validNames = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]+$`)

// waitForDeletion waits the 5 s of a forced deletion. If the recording gives no time,
// it waited that long.
func (w *world) waitForDeletion(e *exchange) {
	if s := w.secrets[w.subject(e)]; s != nil && s.forced && e.Seconds == nil {
		w.now = w.now.Add(5 * time.Second)
	}
}

// arrangeExisting: the name exists already, or the token does.
func (w *world) arrangeExisting(e *exchange, name string) {
	w.secret(name)
	token, ok := e.Input["ClientRequestToken"].(string)
	if ok && e.Operation != "CreateSecret" && w.bound[token] == "" {
		got := send(w.t, w.server, "PutSecretValue", map[string]any{"SecretId": name, "SecretString": "presupposed", "ClientRequestToken": w.fill(token)})
		if got.status != http.StatusOK {
			w.t.Fatalf("a version with the token, which a recording presupposes: %s", got.raw)
		}
	}
}

// arrangeRefusal schedules the secret for deletion, unless the request itself is wrong.
func (w *world) arrangeRefusal(e *exchange, name string, withToken bool) {
	version, byVersion := e.Input["VersionId"].(string)
	stage, byStage := e.Input["VersionStage"].(string)
	switch {
	case w.secrets[name] != nil && w.secrets[name].replicas && e.Operation == "DeleteSecret":
	case !withToken && e.Operation == "CreateSecret", name == "", e.Input["SecretId"] == "{absent}":
	case byVersion && byStage && w.secrets[name] == nil:
		stages := map[string]any{version: []any{"AWSPREVIOUS"}, "{version0}": []any{"AWSCURRENT"}}
		if stage != "AWSCURRENT" {
			stages = map[string]any{version: []any{"AWSCURRENT"}, "{version0}": []any{stage}}
		}
		w.create(name, map[string]any{"stages": stages})
	case byStage && w.secrets[name] == nil:
		w.create(name, map[string]any{"stages": stagesElsewhere(e.Input)})
	case !withToken || byStage || e.ErrorCode == "InvalidParameterException":
		w.secret(name)
	default:
		w.schedule(name)
	}
}

// remember adds to the state what the exchange did.
func (w *world) remember(e *exchange, in map[string]any) {
	w.changed = w.seen
	name := w.subject(e)
	if e.Status != http.StatusOK {
		if s := w.secrets[name]; s != nil && e.ErrorCode == "ResourceNotFoundException" && e.Operation == "DescribeSecret" {
			delete(w.secrets, name)
		}
		return
	}
	if e.Operation == "CreateSecret" {
		got := send(w.t, w.server, "DescribeSecret", map[string]any{"SecretId": name})
		arn, _ := got.body["ARN"].(string)
		w.secrets[name] = &state{name: name, arn: arn, described: in["Description"] != nil, read: map[string]bool{}, tags: map[string]string{}}
	}
	s := w.secrets[name]
	if s == nil {
		return
	}
	switch e.Operation {
	case "DeleteSecret":
		s.deleted, s.forced = true, s.forced || in["ForceDeleteWithoutRecovery"] == true
	case "RestoreSecret":
		s.deleted = false
	case "GetSecretValue":
		id, _ := e.Output["VersionId"].(string)
		s.read[""], s.read[w.bound[id]] = true, true
	case "PutResourcePolicy", "DeleteResourcePolicy":
		s.policy = e.Operation == "PutResourcePolicy"
	case "RotateSecret":
		s.rotates = true
	case "RemoveRegionsFromReplication":
		s.replicas = false
	case "UpdateSecret":
		s.key = s.key || in["KmsKeyId"] != nil
		s.described = s.described || in["Description"] != nil
	}
	s.replicas = s.replicas || in["AddReplicaRegions"] != nil
	s.rememberTags(in)
}

func (s *state) rememberTags(in map[string]any) {
	added, _ := in["Tags"].([]any)
	for _, t := range added {
		pair := t.(map[string]any)
		s.tags[pair["Key"].(string)], s.tagged = pair["Value"].(string), true
	}
	removed, _ := in["TagKeys"].([]any)
	for _, key := range removed {
		delete(s.tags, key.(string))
	}
}
