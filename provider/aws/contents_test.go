package aws_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

// Doctor names the secrets that lost their tags, those that it cannot judge, and
// those of others.
func TestCheckNamesContents(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	c := configFor(s)
	p := open(t, c)
	for _, id := range []string{"fine", "stripped", "denied"} {
		storeTagged(t, p, id, "v", "x", nebula.StoreOptions{})
	}
	untag(t, c, "stripped")
	untag(t, c, "denied")
	s.Inject(awsserver.Fault{Operation: "GetSecretValue", Secret: c.SecretPrefix + "denied", Deny: true})
	id, value := c.SecretPrefix+"theirs", "plain"
	if _, err := directClient(c).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &id, SecretString: &value}); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for _, f := range p.Check(t.Context()) {
		fmt.Fprintln(&said, f.Severity, f.Message, f.Fix)
	}
	for _, want := range []string{"warning others removed the tags of nebula from stripped nebula restore stripped\n",
		"warning without tags of nebula, and cannot be read: denied ", "warning of others, below our prefix: theirs "} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is not among\n%s", want, said.String())
		}
	}
	if strings.Contains(said.String(), "fine") {
		t.Error(said.String())
	}
}
