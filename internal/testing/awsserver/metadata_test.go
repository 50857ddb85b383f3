package awsserver_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

func newMetadata(t *testing.T) *awsserver.Metadata {
	t.Helper()
	m, err := awsserver.NewMetadata("eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func TestInstanceMetadata(t *testing.T) {
	m := newMetadata(t)
	clean(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", m.URL())
	c, err := config.LoadDefaultConfig(t.Context(), config.WithEC2IMDSRegion())
	if err != nil || c.Region != "eu-west-1" {
		t.Errorf("region %q, %v", c.Region, err)
	}
	got, err := retrieve(t)
	if err != nil || !strings.HasPrefix(got.AccessKeyID, "ASIA") || got.SessionToken == "" {
		t.Errorf("%+v %v", got, err)
	}
	if m.Count(awsserver.MetadataCredentials) != 1 {
		t.Errorf("%d requests for credentials", m.Count(awsserver.MetadataCredentials))
	}
	m.SetCode("AssumeRoleUnauthorizedAccess")
	if _, err := retrieve(t); err == nil || !strings.Contains(err.Error(), "AssumeRoleUnauthorizedAccess") {
		t.Errorf("a role that cannot be assumed: %v", err)
	}
	m.SetCode("Success")
	m.SetRole("")
	if _, err := retrieve(t); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("no role: %v", err)
	}
	m.SetRole("role")
	m.Inject(awsserver.Fault{Operation: awsserver.MetadataCredentials, Error: awsserver.Unavailable})
	if _, err := retrieve(t); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("unavailable: %v", err)
	}
}

func TestContainerCredentials(t *testing.T) {
	m := newMetadata(t)
	clean(t)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", m.ContainerURL())
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", m.ContainerToken())
	got, err := retrieve(t)
	if err != nil || !strings.HasPrefix(got.AccessKeyID, "ASIA") {
		t.Errorf("%+v %v", got, err)
	}
	m.Inject(awsserver.Fault{Operation: awsserver.MetadataContainer, Times: 1, Error: &awsserver.Error{Status: 400, Code: "AccessDenied", Message: "no role for this pod"}})
	if _, err := retrieve(t); err == nil || !strings.Contains(err.Error(), "no role for this pod") {
		t.Errorf("refused: %v", err)
	}
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "another")
	if _, err := retrieve(t); err == nil {
		t.Error("a wrong token was accepted")
	}
}
