package aws

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go/logging"

	"github.com/nebula-credential/nebula/internal/awsapi"
)

// maxAnswer is the greatest answer, in bytes: a page of 100 secrets with 50
// tags each of the greatest length, in four bytes a character, is 8 MB.
const maxAnswer = 16 << 20

// session is a client, with the identity that it has.
type session struct {
	login    *awsapi.Login
	client   *secretsmanager.Client
	endpoint string // "" is the region's own
	service  awsapi.Service
}

func secretsManager() awsapi.Service {
	return awsapi.Service{Name: "Secrets Manager", ID: "Secrets Manager", Code: "secretsmanager", Variable: "AWS_ENDPOINT_URL_SECRETS_MANAGER"}
}

// connect finds region and credentials. It makes calls only if the credentials
// need them.
func (d *driver) connect(ctx context.Context) (*session, error) {
	login, err := awsapi.Connect(ctx, awsapi.Options{Region: d.config.Region, Timeout: d.config.Timeout, MaxAnswer: maxAnswer, Transport: d.config.Transport})
	if err != nil {
		return nil, err
	}
	s := &session{login: login}
	s.client = secretsmanager.NewFromConfig(login.SDK, func(o *secretsmanager.Options) {
		o.Retryer = aws.NopRetryer{}
		o.ClientLogMode, o.Logger = 0, logging.Nop{}
		if d.config.EndpointURL != "" {
			o.BaseEndpoint = &d.config.EndpointURL
		}
	})
	return s, s.setEndpoint()
}

// setEndpoint finds out which endpoint the client asks.
func (s *session) setEndpoint() error {
	s.service = secretsManager().At("Secrets Manager in " + s.login.Region)
	base := s.client.Options().BaseEndpoint
	if base == nil || *base == "" {
		return nil
	}
	u, err := s.service.ParseEndpoint(*base)
	if err != nil {
		return err
	}
	s.service = s.service.At(u.Host)
	if !awsapi.IsAmazon(u) {
		s.endpoint = u.Scheme + "://" + strings.ToLower(u.Host) + u.Path
	}
	return nil
}

// address names the backend: account, region and prefix, behind the endpoint
// if that is not AWS's own.
func (d *driver) address() string {
	region, account, endpoint := d.config.Region, "", d.config.EndpointURL
	if s := d.session.Load(); s != nil {
		region, account, endpoint = s.login.Region, s.login.Account(), s.endpoint
	}
	parts := []string{region, d.config.SecretPrefix}
	if account != "" {
		parts = []string{region, account, d.config.SecretPrefix}
	}
	if endpoint != "" {
		parts = append([]string{endpoint}, parts...)
	}
	return strings.Join(parts, "/")
}
